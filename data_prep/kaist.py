r"""Convert KAIST Multispectral Pedestrian to our layout.

Example:
    python data_prep/kaist.py kaist data/kaist --train-list train.txt \
        --train-annotations sanitized_annotations --test-list test-all-20.txt
"""

import argparse
import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from command_line import main, parser_of

from mmivtuning.pairs import PairError
from mmivtuning.pairs.oriented import read_kaist
from mmivtuning.pairs.sources import ConversionError, Item, Plan, locate

NAME = 'kaist'
LAYOUT = ('images/set00/V000/{visible,lwir}/I00001.jpg; annotations as '
          'FOLDER/set00/V000/I00001.txt or FOLDER/set00_V000_I00001.txt '
          '(% bbGt version=3); lists of lines set00/V000/I00001.')
LISTS = dict(train='imageSets/train-all-02.txt',
             test='imageSets/test-all-20.txt')
# What other code counts as neither person nor background.
IGNORED = ('people', 'person?', 'cyclist', 'person?a')
DAY, NIGHT = ('set06', 'set07', 'set08'), ('set09', 'set10', 'set11')


def read_frames(path: Path) -> List[Tuple[str, str, str]]:
    """Read a list of frames: set, video, frame.

    Raises:
        ConversionError: If there is no such file, a line is none, or is there
            twice.
    """
    if not path.is_file():
        raise ConversionError([f'{path}: no such file (a list of frames)'])
    frames, problems = [], []
    for line in path.read_text(encoding='utf-8').splitlines():
        if not line.strip():
            continue
        parts = line.strip().split('.')[0].replace('_', '/').split('/')
        frame = tuple(parts[-3:])
        if len(parts) < 3 or not frame[0].startswith('set'):
            problems.append(f"{path}: '{line.strip()}', expected a line like "
                            'set00/V000/I00001')
        frames.append(frame)
    repeated = len(frames) - len(set(frames))
    if repeated and not problems:
        problems.append(f'{path}: lists {repeated} frame(s) twice')
    if problems or not frames:
        raise ConversionError(problems or [f'{path}: empty'])
    return frames


def plan(source: Path, args: argparse.Namespace) -> Plan:
    """Find the files of each split and read their boxes."""
    root = locate(source, ('images', ))
    items, problems = [], []
    for split in ('train', 'test'):
        listed = getattr(args, f'{split}_list') or root / LISTS[split]
        folder = getattr(args, f'{split}_annotations') or (
            root / 'annotations')
        for frame in read_frames(listed):
            item = _item(root, split, frame, folder, problems)
            if item is not None:
                items.append(item)
    test = [item.stem for item in items if item.split == 'test']
    subsets: Dict[str, List[str]] = dict(
        test_day=[stem for stem in test if stem.startswith(DAY)],
        test_night=[stem for stem in test if stem.startswith(NIGHT)])
    return Plan(items, subsets, problems)


def _item(root: Path, split: str, frame: Tuple[str, str, str], folder: Path,
          problems: List[str]) -> Optional[Item]:
    """The files of one frame, None if one is missing or bad."""
    place, stem = '/'.join(frame), '_'.join(frame)
    images = root / 'images' / frame[0] / frame[1]
    paths = [images / part / f'{frame[2]}.jpg' for part in ('visible',
                                                            'lwir')]
    text = next((p for p in (folder / f'{place}.txt', folder / f'{stem}.txt')
                 if p.is_file()), None)
    missing = [f'{path}: no such file ({split})' for path in paths
               if not path.is_file()]
    if text is None:
        missing.append(f'{folder}: no annotation of {place} ({split})')
    if missing:
        problems += missing
        return None
    try:
        boxes = read_kaist(text, ('person', ), IGNORED)
    except PairError as error:
        problems.append(str(error))
        return None
    return Item(split, stem, paths[0], paths[1], boxes=boxes,
                boxes_from=str(text))


def run(argv: Optional[Sequence[str]] = None) -> int:
    """Convert; returns the exit status."""
    parser = parser_of(NAME, LAYOUT)
    for split in ('train', 'test'):
        parser.add_argument(
            f'--{split}-list', type=Path, metavar='FILE',
            help=f'list of frames (default: {LISTS[split]} in SOURCE)')
        parser.add_argument(
            f'--{split}-annotations', type=Path, metavar='FOLDER',
            help='for example the sanitised, or improved, annotations '
            '(default: annotations in SOURCE)')
    return main(NAME, plan, parser, argv)


if __name__ == '__main__':
    sys.exit(run())
