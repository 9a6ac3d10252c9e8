"""Convert VT5000, VT1000 or VT821 (salient objects) to our layout.

Example:
    python data_prep/vt_saliency.py vt5000 VT5000 data/vt5000
    python data_prep/vt_saliency.py vt1000 VT1000 data/vt1000
    python data_prep/vt_saliency.py vt821 VT821 data/vt821
"""

import argparse
import hashlib
import sys
from functools import partial
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from command_line import main, parser_of

from mmivtuning.pairs.sources import (
    Plan,
    index_folder,
    locate,
    pair_up,
    unpaired,
)

FOLDERS = dict(visible='RGB', infrared='T', mask='GT')
_PAIR = 'RGB/0001.jpg, T/0001.jpg, GT/0001.png'
# Where the splits of each set lie in its archive.
SPLITS: Dict[str, Dict[str, str]] = dict(
    vt5000=dict(train='Train', test='Test'),
    vt1000=dict(test='.'),
    vt821=dict(test='.'))
SEED = 0
FIT_SHARE = 0.9


def draw_holdout(stems: Sequence[str]) -> Dict[str, List[str]]:
    """Split the training pairs: nine tenths to fit, the rest to select by.

    Stems are ranked by a hash, so that the split depends neither on the
    machine nor on library versions.

    Args:
        stems (Sequence[str]): Of the training pairs, in any order.

    Returns:
        Dict[str, List[str]]: Sorted stems of ``fit`` and ``holdout``.
    """
    ranked = sorted(
        stems,
        key=lambda stem: hashlib.sha256(f'{SEED}:{stem}'.encode()).digest())
    count = round(FIT_SHARE * len(ranked))
    return dict(fit=sorted(ranked[:count]), holdout=sorted(ranked[count:]))


def plan(source: Path, args: argparse.Namespace, name: str) -> Plan:
    """Find the files of each split."""
    splits = SPLITS[name]
    inside = list(splits.values())
    root = locate(source, [*FOLDERS.values()] if inside == ['.'] else inside)
    items, problems = [], []
    for split, folder in splits.items():
        files = {}
        for field, part in FOLDERS.items():
            path = root / folder / part
            files[field] = (path, index_folder(path))
        stems = sorted(files['visible'][1])
        found, missing = pair_up(split, stems, files)
        items += found
        problems += missing + unpaired(split, stems, files)
    train = [item.stem for item in items if item.split == 'train']
    return Plan(items, draw_holdout(train) if train else {}, problems)


def run(argv: Optional[Sequence[str]] = None) -> int:
    """Convert; returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    chooser = argparse.ArgumentParser(
        description=__doc__.split('\n\n')[0],
        epilog='`%(prog)s vt5000 --help` lists the other arguments.',
        add_help=argv[:1] in (['-h'], ['--help']))
    chooser.add_argument('name', choices=sorted(SPLITS))
    name = chooser.parse_args(argv[:1]).name
    layout = ', '.join(SPLITS[name].values())
    layout = _PAIR if layout == '.' else f'in each of {layout}: {_PAIR}'
    parser = parser_of(name, f'{layout}.')
    parser.prog = f'{parser.prog} {name}'
    return main(name, partial(plan, name=name), parser, argv[1:])


if __name__ == '__main__':
    sys.exit(run())
