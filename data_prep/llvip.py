"""Convert LLVIP to our layout.

Example:
    python data_prep/llvip.py LLVIP data/llvip --link
"""

import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from command_line import main, parser_of

from mmivtuning.pairs.sources import (
    Plan,
    index_folder,
    index_xml,
    locate,
    pair_up,
    unpaired,
)

NAME = 'llvip'
LAYOUT = ('visible/{train,test}/010001.jpg, infrared/{train,test}/010001.jpg, '
          'Annotations/010001.xml (Pascal VOC).')


def plan(source: Path, args: argparse.Namespace) -> Plan:
    """Find the files of each split."""
    root = locate(source, ('visible', 'infrared', 'Annotations'))
    boxes = index_xml(root / 'Annotations')
    items, problems = [], []
    for split in ('train', 'test'):
        files = {}
        for modality in ('visible', 'infrared'):
            path = root / modality / split
            files[modality] = (path, index_folder(path))
        stems = sorted(files['visible'][1])
        problems += unpaired(split, stems, files)
        files['voc'] = (root / 'Annotations', boxes)
        found, missing = pair_up(split, stems, files)
        items += found
        problems += missing
    return Plan(items, {}, problems)


def run(argv: Optional[Sequence[str]] = None) -> int:
    """Convert; returns the exit status."""
    return main(NAME, plan, parser_of(NAME, LAYOUT), argv)


if __name__ == '__main__':
    sys.exit(run())
