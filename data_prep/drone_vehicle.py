"""Convert DroneVehicle to our layout, with upright boxes.

The white border of 100 pixels is cut off, which needs writing the images
anew (PNG, nothing is lost; about four times the size).

Example:
    python data_prep/drone_vehicle.py DroneVehicle data/drone_vehicle
"""

import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from command_line import main, parser_of

from mmivtuning.pairs import PairError
from mmivtuning.pairs.oriented import read_polygon_voc
from mmivtuning.pairs.sources import (
    Plan,
    index_folder,
    index_xml,
    locate,
    pair_up,
    unpaired,
)

NAME = 'drone_vehicle'
LAYOUT = ('{train,val,test}/{train,val,test}{img,imgr,label,labelr}/00001.jpg '
          'and .xml (oriented boxes; r: infrared).')
BORDER = 100
# Spellings of the archive. Others, such as '*', are named and stop the
# conversion unless --ignore-class leaves them out.
ALIASES = {
    'feright car': 'freight_car',
    'feright_car': 'freight_car',
    'feright': 'freight_car',
    'freight car': 'freight_car',
    'freight': 'freight_car',
    'truvk': 'truck',
}


def plan(source: Path, args: argparse.Namespace) -> Plan:
    """Find the files of each split and read their boxes."""
    root = locate(source, ('train', 'val', 'test'))
    ending = 'labelr' if args.boxes_of == 'infrared' else 'label'
    items, problems = [], []
    for split in ('train', 'val', 'test'):
        files = {}
        for field, part in (('visible', 'img'), ('infrared', 'imgr')):
            path = root / split / f'{split}{part}'
            files[field] = (path, index_folder(path))
        stems = sorted(files['visible'][1])
        problems += unpaired(split, stems, files)
        path = root / split / f'{split}{ending}'
        files['voc'] = (path, index_xml(path))
        found, missing = pair_up(split, stems, files)
        problems += missing
        for item in found:
            try:
                boxes = read_polygon_voc(item.voc, ALIASES, BORDER)
            except PairError as error:
                problems.append(str(error))
                continue
            items.append(
                item._replace(voc=None, boxes=boxes,
                              boxes_from=str(item.voc), border=BORDER))
    return Plan(items, {}, problems)


def run(argv: Optional[Sequence[str]] = None) -> int:
    """Convert; returns the exit status."""
    parser = parser_of(NAME, LAYOUT)
    parser.add_argument(
        '--boxes-of',
        choices=('infrared', 'visible'),
        default='infrared',
        help='whose annotations (default: %(default)s, as more vehicles are '
        'seen at night)')
    return main(NAME, plan, parser, argv)


if __name__ == '__main__':
    sys.exit(run())
