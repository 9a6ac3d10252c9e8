"""Make synthetic paired street scenes in our layout.

Day and night streets, seen by a visible and an infrared camera. People and
cars are warm, but fade in the dark visible image; signs and cones have the
temperature of their surroundings: the infrared image does not show them. The
same arguments give the same bytes, whatever the number of processes.

Example:
    python data_prep/make_scenes.py --out data/scenes --train 400 --val 100
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Optional, Sequence

from mmivtuning.pairs.benchmarks import BENCHMARKS
from mmivtuning.scenes import SIZE, SPLITS, write_scenes


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n\n')[0],
        epilog='Labels: ' + ', '.join(
            f'{number} {name}'
            for number, name in enumerate(BENCHMARKS['scenes']['classes'])))
    parser.add_argument('--out', type=Path, required=True, help='new folder')
    parser.add_argument('--train', type=int, default=400, help='pairs')
    parser.add_argument('--val', type=int, default=100, help='pairs')
    parser.add_argument('--test', type=int, default=0, help='pairs')
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=SIZE,
        metavar=('HEIGHT', 'WIDTH'),
        help='default 224 294: 16 x 21 patches of 14')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--visible-format',
        choices=('png', 'jpg'),
        default='png',
        help='infrared is always png')
    parser.add_argument(
        '--jobs', type=int, default=os.cpu_count() or 1, help='processes')
    parser.add_argument(
        '--force', action='store_true', help='replace an existing folder')
    args = parser.parse_args(argv)
    if min(args.train, args.val, args.test, args.seed) < 0:
        parser.error('--train, --val, --test and --seed must not be negative')
    if args.train + args.val + args.test == 0:
        parser.error('nothing to make: --train, --val and --test are all 0')
    if min(args.size) < 32:
        parser.error(f'--size must be at least 32 32, got {args.size}')
    if args.jobs < 1:
        parser.error(f'--jobs must be at least 1, got {args.jobs}')
    return args


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Make the data set; returns the exit status."""
    args = parse_args(argv)
    counts = {
        split: getattr(args, split)
        for split in SPLITS if getattr(args, split)
    }
    try:
        made = write_scenes(args.out, counts, tuple(args.size), args.seed,
                            args.visible_format, args.jobs, args.force)
    except OSError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    numbers = ', '.join(f'{count} {split}' for split, count in counts.items())
    print(f'{args.out}: {numbers} pairs' +
          ('' if made else ', there already, unchanged'))
    return 0


if __name__ == '__main__':
    sys.exit(main())
