"""Convert VEDAI to our layout, with upright boxes, one fold of ten.

Example:
    python data_prep/vedai.py VEDAI data/vedai --class-list ids.txt --fold 1
"""

import argparse
import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from command_line import add_class_list, class_ids, main, parser_of

from mmivtuning.pairs import PairError
from mmivtuning.pairs.benchmarks import BENCHMARKS
from mmivtuning.pairs.formats import Box, ImageBoxes
from mmivtuning.pairs.oriented import read_vedai
from mmivtuning.pairs.sources import (
    ConversionError,
    Item,
    Plan,
    index_folder,
    locate,
    read_stems,
)

NAME = 'vedai'
LAYOUT = ('Vehicules512/00000000_co.png, Vehicules512/00000000_ir.png, '
          'Annotations512/annotation512.txt or Annotations512/00000000.txt, '
          'fold01.txt and fold01test.txt beside the annotations; 1024 '
          'likewise.')
# Ids in public code; the list of nine classes joins the rare ones.
IDS = {1: 'car', 2: 'truck', 4: 'tractor', 5: 'camping_car', 7: 'other',
       8: 'other', 9: 'van', 10: 'other', 11: 'pickup', 23: 'boat',
       31: 'plane'}


def plan(source: Path, args: argparse.Namespace) -> Plan:
    """Find the pairs of a fold.

    Raises:
        ConversionError: If folders are missing, or nothing states the ids.
    """
    root = locate(source, (f'Vehicules{args.size}', ))
    images, notes = (root / f'{part}{args.size}'
                     for part in ('Vehicules', 'Annotations'))
    ids = class_ids(NAME, root, args, IDS)
    strangers = sorted(set(ids.values()) - set(BENCHMARKS[NAME]['classes']))
    if strangers:
        raise ConversionError([
            f"{NAME}: the class list has {', '.join(strangers)}; expected "
            f"{', '.join(BENCHMARKS[NAME]['classes'])} (several ids may be "
            'other)'])
    visible, infrared = (index_folder(images, f'_{kind}.png')
                         for kind in ('co', 'ir'))
    problems = [f'{images}: {stem} has only one of _co.png and _ir.png'
                for stem in sorted(set(visible) ^ set(infrared))]
    boxes = _read_boxes(notes, args.size, sorted(visible), ids)
    lists = {'train': f'fold{args.fold:02d}.txt',
             'test': f'fold{args.fold:02d}test.txt'}
    items: List[Item] = []
    seen: Dict[str, str] = {}
    for split, name in lists.items():
        for stem in read_stems(notes / name):
            if stem not in visible or stem not in infrared:
                problems.append(f'{notes / name}: no pair of {stem}')
            elif stem in seen:
                problems.append(f'{notes / name}: {stem} is in {seen[stem]}')
            else:
                seen[stem] = name
                found, origin = boxes.get(stem, ([], notes))
                items.append(
                    Item(split, stem, visible[stem], infrared[stem],
                         boxes=ImageBoxes(None, found),
                         boxes_from=str(origin)))
    # Some images are in no fold: the number of all is that of the folder.
    published = BENCHMARKS[NAME]['images']
    if len(visible) != published and not args.allow_subset:
        problems.append(f'{images}: found {len(visible)} pairs, published '
                        f'are {published} (--allow-subset accepts it)')
    return Plan(items, {}, problems)


def _read_boxes(folder: Path, size: int, stems: Sequence[str],
                ids: Dict[int, str]
                ) -> Dict[str, Tuple[List[Box], Path]]:
    """Boxes of every image, from one file or one a image.

    Raises:
        ConversionError: If there are neither, or they are of another form.
    """
    whole = folder / f'annotation{size}.txt'
    try:
        if whole.is_file():
            found = read_vedai(whole, ids, with_image=True)
            return {f'{int(stem):08d}': (boxes, whole)
                    for stem, boxes in found.items()}
        result = {}
        for stem in stems:
            path = folder / f'{stem}.txt'
            if path.is_file():
                result[stem] = (read_vedai(path, ids, False).get('', []),
                                path)
    except (PairError, ValueError) as error:
        raise ConversionError([str(error)]) from error
    if not result:
        raise ConversionError([f'{folder}: expected {whole.name} or a text '
                               'file for each image'])
    return result


def run(argv: Optional[Sequence[str]] = None) -> int:
    """Convert; returns the exit status."""
    parser = parser_of(NAME, LAYOUT)
    add_class_list(parser)
    parser.add_argument('--fold', type=int, default=1, choices=range(1, 11))
    parser.add_argument('--size', type=int, default=1024,
                        choices=(512, 1024))
    return main(NAME, plan, parser, argv)


if __name__ == '__main__':
    sys.exit(run())
