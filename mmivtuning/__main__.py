"""``python -m mmivtuning``."""

import sys

from mmivtuning.cli import main

if __name__ == '__main__':
    sys.exit(main())
