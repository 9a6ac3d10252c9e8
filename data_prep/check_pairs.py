"""Find every bad pair of a data set: ``mmivtuning check``, as a script.

Example:
    python data_prep/check_pairs.py data/msrs --out /tmp/msrs_check
"""

import sys
from typing import Optional, Sequence

from mmivtuning.cli import main


def run(argv: Optional[Sequence[str]] = None) -> int:
    """Check; returns the exit status."""
    return main(['check', *(sys.argv[1:] if argv is None else argv)])


if __name__ == '__main__':
    sys.exit(run())
