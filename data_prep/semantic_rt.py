r"""Convert SemanticRT to our layout.

Its classes and the sizes of its splits are taken from the archive, or the
converter stops: no public source states them.

Example:
    python data_prep/semantic_rt.py SemanticRT data/semantic_rt \
        --class-list classes.txt
"""

import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from command_line import add_class_list, class_ids, in_order, main, parser_of

from mmivtuning.pairs.sources import (
    ConversionError,
    Plan,
    index_folder,
    locate,
    pair_up,
    read_stems,
    unpaired,
)

NAME = 'semantic_rt'
LAYOUT = ('{rgb,thermal,labels}/*, and the lists train.txt, val.txt, '
          'test.txt; or {train,val,test}/{rgb,thermal,labels}/*.')
FOLDERS = dict(visible='rgb', infrared='thermal', labels='labels')
SPLITS = ('train', 'val', 'test')


def plan(source: Path, args: argparse.Namespace) -> Plan:
    """Find the files of each split.

    Raises:
        ConversionError: If nothing states the ids of the classes, or there
            are neither lists nor folders of the splits.
    """
    try:
        root, by_list = locate(source, [*FOLDERS.values()]), True
    except ConversionError:
        root, by_list = locate(source, SPLITS), False
    classes = in_order(class_ids(NAME, root, args, {}), NAME)
    items, problems = [], []
    listed = []
    for split in SPLITS:
        parent = root if by_list else root / split
        files = {}
        for field, folder in FOLDERS.items():
            files[field] = (parent / folder, index_folder(parent / folder))
        stems = (
            read_stems(root / f'{split}.txt') if by_list else sorted(
                files['visible'][1]))
        problems += [
            f'{root}: {stem} is in {split} and another split'
            for stem in stems if stem in listed and by_list
        ]
        listed += stems
        found, missing = pair_up(split, stems, files)
        items += found
        problems += missing
        if not by_list:
            problems += unpaired(split, stems, files)
    return Plan(items, {}, problems, classes)


def run(argv: Optional[Sequence[str]] = None) -> int:
    """Convert; returns the exit status."""
    parser = parser_of(NAME, LAYOUT)
    add_class_list(parser)
    return main(NAME, plan, parser, argv)


if __name__ == '__main__':
    sys.exit(run())
