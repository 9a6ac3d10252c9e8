"""Convert MSRS to our layout.

Example:
    python data_prep/msrs.py MSRS data/msrs
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

NAME = 'msrs'
LAYOUT = ('{train,test}/vi/00001D.png, {train,test}/ir/00001D.png, '
          '{train,test}/Segmentation_labels/00001D.png.')
FOLDERS = dict(visible='vi', infrared='ir', labels='Segmentation_labels')


def plan(source: Path, args: argparse.Namespace) -> Plan:
    """Find the files of each split; day and night go by the file names."""
    root = locate(source, ('train', 'test'))
    items, problems = [], []
    for split in ('train', 'test'):
        files = {}
        for field, folder in FOLDERS.items():
            path = root / split / folder
            files[field] = (path, index_folder(path))
        stems = sorted(files['visible'][1])
        found, missing = pair_up(split, stems, files)
        items += found
        problems += missing + unpaired(split, stems, files)
    test = [item.stem for item in items if item.split == 'test']
    subsets = dict(
        test_day=[stem for stem in test if stem.endswith('D')],
        test_night=[stem for stem in test if stem.endswith('N')])
    return Plan(items, subsets, problems)


def run(argv: Optional[Sequence[str]] = None) -> int:
    """Convert; returns the exit status."""
    return main(NAME, plan, parser_of(NAME, LAYOUT), argv)


if __name__ == '__main__':
    sys.exit(run())
