"""Unpack radiometric JPEGs of FLIR cameras into pairs.

visible/<stem>.png is the photograph, infrared/<stem>.png the temperatures in
hundredths of a kelvin (16 bits), brought to the size of the photograph. Load
them with infrared_scale=(0.01, -273.15) and infrared_range=(0, 60), say.

Example:
    python data_prep/flir_radiometric.py photos data/mine --align resize
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Optional, Sequence

import cv2
import numpy as np

from mmivtuning.pairs import PairError, list_names, read_bytes
from mmivtuning.pairs.flir_radiometric import (
    read_radiometric,
    to_centikelvin,
)
from mmivtuning.pairs.layout import atomic_folder
from mmivtuning.pairs.radiometry import Alignment


def parse_args(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('source', type=Path, help='folder of JPEG files')
    parser.add_argument('out', type=Path, help='folder to make')
    parser.add_argument(
        '--align',
        choices=('error', 'resize', 'homography'),
        default='error',
        help='if the two are of different size (default: %(default)s)')
    parser.add_argument(
        '--homography',
        type=Path,
        help='json of a 3 x 3 matrix: from infrared to visible pixels')
    return parser.parse_args(argv)


def unpack(path: Path, stem: str, out: Path, alignment: Alignment) -> None:
    """Unpack one file.

    Raises:
        PairError: If it is not usable, or its images differ in size.
    """
    name = str(path)
    thermogram = read_radiometric(read_bytes(name), name)
    if thermogram.visible is None:
        raise PairError(f"'{name}' holds no photograph")
    size = thermogram.visible.shape[:2]
    infrared = alignment.apply(to_centikelvin(thermogram.celsius, name), size)
    if infrared.shape != size:
        raise PairError(
            f"'{name}': the temperatures are {infrared.shape[0]} x "
            f'{infrared.shape[1]} (height x width), the photograph is '
            f'{size[0]} x {size[1]}: give --align resize or homography')
    images = dict(visible=thermogram.visible, infrared=infrared)
    for folder, image in images.items():
        target = out / folder / f'{stem}.png'
        target.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(target), image):
            raise OSError(f'{target}: could not be written')


def run(argv: Optional[Sequence[str]] = None) -> int:
    """Unpack a folder; returns the exit status."""
    args = parse_args(argv)
    problems = []
    try:
        matrix = None
        if args.homography is not None:
            matrix = np.array(json.loads(args.homography.read_text()))
        alignment = Alignment(args.align, matrix).checked()
        names = sorted(n for n in list_names(str(args.source))
                       if n.lower().endswith(('.jpg', '.jpeg')))
        if not names:
            raise FileNotFoundError(f"no JPEG files in '{args.source}'")
        with atomic_folder(args.out) as root:
            for name in names:
                try:
                    unpack(args.source / name, str(Path(name).with_suffix('')),
                           root, alignment)
                except PairError as error:
                    problems.append(str(error))
            if problems:
                raise PairError('\n'.join(problems))
    except (OSError, ImportError, PairError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        print('nothing was written', file=sys.stderr)
        return 1
    print(f'{args.out}: {len(names)} pairs')
    return 0


if __name__ == '__main__':
    sys.exit(run())
