"""Convert M3FD to our layout, with a split of its own or the user's.

Example:
    python data_prep/m3fd.py M3FD_Detection data/m3fd
"""

import argparse
import hashlib
import sys
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from command_line import main, parser_of

from mmivtuning.pairs.sources import (
    ConversionError,
    Plan,
    index_folder,
    index_xml,
    locate,
    pair_up,
    read_stems,
    unpaired,
)

NAME = 'm3fd'
LAYOUT = 'Vis/00000.png, Ir/00000.png, Annotation/00000.xml (Pascal VOC).'
SEED = 0
TRAIN_SHARE = 0.8


def draw_split(stems: Sequence[str], seed: int) -> Tuple[List[str], List[str]]:
    """Draw 80 % for training.

    M3FD has no official split. Stems are ranked by a hash of seed and stem,
    so that the split depends neither on the machine nor on library versions.

    Args:
        stems (Sequence[str]): All stems, in any order.
        seed (int): Seed of the draw.

    Returns:
        Tuple[List[str], List[str]]: Training and validation stems, sorted.
    """
    ranked = sorted(
        stems,
        key=lambda stem: hashlib.sha256(f'{seed}:{stem}'.encode()).digest())
    count = round(TRAIN_SHARE * len(ranked))
    return sorted(ranked[:count]), sorted(ranked[count:])


def plan(source: Path, args: argparse.Namespace) -> Plan:
    """Find the files of each split.

    Raises:
        ConversionError: If only one list of a split of one's own is given.
    """
    root = locate(source, ('Vis', 'Ir', 'Annotation'))
    files = dict(
        visible=(root / 'Vis', index_folder(root / 'Vis')),
        infrared=(root / 'Ir', index_folder(root / 'Ir')),
        voc=(root / 'Annotation', index_xml(root / 'Annotation')))
    everything = sorted(files['visible'][1])
    problems = unpaired('Vis', everything, files)
    if (args.train_list is None) != (args.val_list is None):
        raise ConversionError(['--train-list and --val-list: give both'])
    if args.train_list is None:
        splits = draw_split(everything, args.split_seed)
    else:
        splits = (read_stems(args.train_list), read_stems(args.val_list))
        problems += [
            f'{args.val_list}: {stem} is in {args.train_list} as well'
            for stem in sorted(set(splits[0]) & set(splits[1]))
        ]
    items = []
    for split, stems in zip(('train', 'val'), splits):
        found, missing = pair_up(split, stems, files)
        items += found
        problems += missing
    return Plan(items, {}, problems)


def run(argv: Optional[Sequence[str]] = None) -> int:
    """Convert; returns the exit status."""
    parser = parser_of(NAME, LAYOUT)
    parser.add_argument(
        '--split-seed', type=int, default=SEED, help='of the 80/20 draw')
    parser.add_argument(
        '--train-list',
        type=Path,
        help='one name a line: a split of your own, with --val-list; other '
        'numbers than 3360 and 840 need --allow-subset')
    parser.add_argument('--val-list', type=Path)
    return main(NAME, plan, parser, argv)


if __name__ == '__main__':
    sys.exit(run())
