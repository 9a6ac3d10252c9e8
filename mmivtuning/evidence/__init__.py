"""Studies: many trainings, compared with each other.

``study`` reads what a study file says, ``subjects`` looks at the data,
``recipes`` makes a config of each run, ``trial`` is one run in a process of
its own, ``scheduling`` starts them, ``conduct`` carries a study out, and
``statistics``, ``tables``, ``plots`` and ``report`` say what came out.
docs/evidence/README.md explains how a claim is judged.
"""
