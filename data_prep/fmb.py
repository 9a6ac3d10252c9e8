"""Convert FMB to our layout.

Example:
    python data_prep/fmb.py FMB data/fmb --class-list classes.txt
"""

import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from command_line import add_class_list, class_ids, in_order, main, parser_of

from mmivtuning.pairs.benchmarks import BENCHMARKS
from mmivtuning.pairs.sources import (
    ConversionError,
    Plan,
    index_folder,
    locate,
    pair_up,
    unpaired,
)

NAME = 'fmb'
LAYOUT = '{train,test}/{Visible,Infrared,Label}/00001.png.'
FOLDERS = dict(visible='Visible', infrared='Infrared', labels='Label')


def plan(source: Path, args: argparse.Namespace) -> Plan:
    """Find the files of each split.

    Raises:
        ConversionError: If nothing states the ids of the classes, or their
            order is not that of the data set class.
    """
    root = locate(source, ('train', 'test'))
    known = BENCHMARKS[NAME]['classes']
    classes = in_order(
        class_ids(NAME, root, args, dict(enumerate(known))), NAME)
    if len(classes) != len(known):
        raise ConversionError(
            [f'{NAME}: the class list has {len(classes)} classes, published '
             f'are {len(known) - 1} and the background'])
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
    return Plan(items, {}, problems, classes if classes != known else ())


def run(argv: Optional[Sequence[str]] = None) -> int:
    """Convert; returns the exit status."""
    parser = parser_of(NAME, LAYOUT)
    add_class_list(parser)
    return main(NAME, plan, parser, argv)


if __name__ == '__main__':
    sys.exit(run())
