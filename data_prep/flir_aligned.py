"""Convert FLIR-aligned to our layout, from its xml files or from COCO json.

Example:
    python data_prep/flir_aligned.py align data/flir_aligned
"""

import argparse
import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from command_line import main, parser_of

from mmivtuning.pairs.formats import read_coco
from mmivtuning.pairs.sources import (
    ConversionError,
    Item,
    Plan,
    index_folder,
    index_xml,
    locate,
    pair_up,
    read_stems,
)

NAME = 'flir_aligned'
LAYOUT = ('JPEGImages/FLIR_00002_RGB.jpg, '
          'JPEGImages/FLIR_00002_PreviewData.jpeg, '
          'Annotations/FLIR_00002_PreviewData.xml (Pascal VOC), '
          'align_train.txt, align_validation.txt, these two beside or in '
          'ImageSets/Main; or, with --train-json and --test-json, COCO files '
          'in place of xml files and lists.')
VISIBLE, INFRARED = '_RGB.jpg', '_PreviewData.jpeg'
LISTS = dict(train='align_train.txt', test='align_validation.txt')


def bare(name: str) -> str:
    """The number of a frame, FLIR_00002, from any of its names."""
    stem = name.rsplit('/', 1)[-1]
    for suffix in ('.jpg', '.jpeg', '.xml', '_RGB', '_PreviewData'):
        if stem.endswith(suffix):
            stem = stem[:-len(suffix)]
    return stem


def plan(source: Path, args: argparse.Namespace) -> Plan:
    """Find the files of each split.

    The published test split is called test; the archive calls it
    validation.

    Raises:
        ConversionError: If only one of two COCO files is given.
    """
    if (args.train_json is None) != (args.test_json is None):
        raise ConversionError(['--train-json and --test-json: give both'])
    root = locate(source, ('JPEGImages', ))
    images = root / 'JPEGImages'
    files = dict(
        visible=(images, index_folder(images, VISIBLE)),
        infrared=(images, index_folder(images, INFRARED)))
    if args.train_json is not None:
        return _from_coco(files, dict(train=args.train_json,
                                      test=args.test_json))
    xml = root / 'Annotations'
    files['voc'] = (xml, {bare(k): v for k, v in index_xml(xml).items()})
    items, problems = [], []
    for split, name in LISTS.items():
        path = root / name
        if not path.is_file():
            path = root / 'ImageSets' / 'Main' / name
        stems = [bare(stem) for stem in read_stems(path)]
        found, missing = pair_up(split, stems, files)
        items += found
        problems += missing
    return Plan(items, {}, problems + twice(items))


def _from_coco(files: Dict[str, Tuple[Path, Dict[str, Path]]],
               sources: Dict[str, Path]) -> Plan:
    """Take splits and boxes from COCO files."""
    items: List[Item] = []
    problems: List[str] = []
    for split, path in sources.items():
        images = read_coco(path)
        boxes = {bare(name): found for name, found in images.items()}
        if len(boxes) < len(images):
            problems.append(f'{path}: lists {len(images)} images of '
                            f'{len(boxes)} frames, expected one a frame')
        found, missing = pair_up(split, list(boxes), files)
        items += [
            item._replace(boxes=boxes[item.stem], boxes_from=str(path))
            for item in found
        ]
        problems += missing
    return Plan(items, {}, problems + twice(items))


def twice(items: Sequence[Item]) -> List[str]:
    """A problem for every frame that both splits have."""
    train = {item.stem for item in items if item.split == 'train'}
    return [
        f'{item.stem} is in both splits' for item in items
        if item.split != 'train' and item.stem in train
    ]


def run(argv: Optional[Sequence[str]] = None) -> int:
    """Convert; returns the exit status."""
    parser = parser_of(NAME, LAYOUT)
    parser.add_argument('--train-json', type=Path, help='COCO file')
    parser.add_argument('--test-json', type=Path, help='COCO file')
    return main(NAME, plan, parser, argv)


if __name__ == '__main__':
    sys.exit(run())
