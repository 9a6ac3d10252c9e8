"""Convert PST900 to our layout.

Example:
    python data_prep/pst900.py PST900_RGBT_Dataset data/pst900
"""

import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from command_line import main, parser_of

from mmivtuning.pairs.sources import (
    Plan,
    index_folder,
    locate,
    pair_up,
    unpaired,
)

NAME = 'pst900'
LAYOUT = ('{train,test}/rgb/*.png, {train,test}/thermal/*.png (8 bits; 16 '
          'bits in thermal_raw), {train,test}/labels/*.png.')


def plan(source: Path, args: argparse.Namespace) -> Plan:
    """Find the files of each split."""
    root = locate(source, ('train', 'test'))
    infrared = 'thermal_raw' if args.raw else 'thermal'
    folders = dict(visible='rgb', infrared=infrared, labels='labels')
    items, problems = [], []
    for split in ('train', 'test'):
        files = {}
        for field, folder in folders.items():
            path = root / split / folder
            files[field] = (path, index_folder(path))
        stems = sorted(files['visible'][1])
        found, missing = pair_up(split, stems, files)
        items += found
        problems += missing + unpaired(split, stems, files)
    return Plan(items, {}, problems)


def run(argv: Optional[Sequence[str]] = None) -> int:
    """Convert; returns the exit status."""
    parser = parser_of(NAME, LAYOUT)
    parser.add_argument(
        '--raw',
        action='store_true',
        help='take the infrared frames of 16 bits; train with infrared_range')
    return main(NAME, plan, parser, argv)


if __name__ == '__main__':
    sys.exit(run())
