"""Convert MFNet: 4-channel PNGs, labels and lists, to our layout.

Example:
    python data_prep/mfnet.py ir_seg_dataset data/mfnet
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
    read_stems,
)

NAME = 'mfnet'
LAYOUT = ('images/00001D.png (R, G, B and infrared in the alpha plane), '
          'labels/00001D.png, train.txt, val.txt, test.txt; test_day.txt and '
          'test_night.txt if there are any. The 4-channel files are split, '
          'so --link concerns the labels only.')
FLIP = '_flip'


def plan(source: Path, args: argparse.Namespace) -> Plan:
    """Find the files of each split.

    The mirrored training copies that some archives hold are left out, as
    training mirrors by itself, unless ``--with-flips`` is given.
    """
    root = locate(source, ('images', 'labels', 'train.txt'))
    images = index_folder(root / 'images')
    files = dict(
        visible=(root / 'images', images),
        infrared=(root / 'images', images),
        labels=(root / 'labels', index_folder(root / 'labels')))
    items, subsets, problems, listed = [], {}, [], {}
    for split in ('train', 'val', 'test'):
        stems = read_stems(root / f'{split}.txt')
        stems = [stem for stem in stems if not stem.endswith(FLIP)]
        if split == 'train' and args.with_flips:
            stems += [
                stem + FLIP for stem in stems if stem + FLIP in images
            ]
        for stem in stems:
            if stem in listed:
                problems.append(f'{root}: {stem} is listed in both '
                                f'{listed[stem]}.txt and {split}.txt')
            listed[stem] = split
        found, missing = pair_up(split, stems, files)
        items += found
        # images and labels of a stem: the image is looked up twice
        problems += list(dict.fromkeys(missing))
    for subset, ending in (('test_day', 'D'), ('test_night', 'N')):
        path = root / f'{subset}.txt'
        test = [stem for stem, split in listed.items() if split == 'test']
        subsets[subset] = (
            read_stems(path) if path.is_file() else
            [stem for stem in test if stem.endswith(ending)])
        problems += [
            f'{path}: {stem} is not in test.txt'
            for stem in subsets[subset] if stem not in test
        ]
    return Plan(items, subsets, problems)


def run(argv: Optional[Sequence[str]] = None) -> int:
    """Convert; returns the exit status."""
    parser = parser_of(NAME, LAYOUT)
    parser.add_argument(
        '--with-flips',
        action='store_true',
        help='keep the mirrored training copies; needs --allow-subset')
    return main(NAME, plan, parser, argv)


if __name__ == '__main__':
    sys.exit(run())
