"""Tables and pages about models and runs: the commands params and report."""
