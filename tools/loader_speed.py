"""Throughput of loading pairs against that of decoding alone.

Example:
    python tools/loader_speed.py data/msrs --split train --workers 2
"""

import argparse
import json
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset

from mmivtuning.pairs import find_pairs
from mmivtuning.transforms import LoadPairedImage


class Pairs(Dataset):
    """Pairs of files: decoded only, or loaded as for training.

    Args:
        files (List[Tuple[str, str]]): Visible and infrared path of each.
        decode_only (bool): Whether the images are decoded and thrown away.
        repeat (int): How often the files are listed. Default: 1.
    """

    def __init__(self, files: List[Tuple[str, str]], decode_only: bool,
                 repeat: int = 1) -> None:
        self.files = files * repeat
        self.decode_only = decode_only
        self.load = LoadPairedImage()

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> int:
        """Read a pair; only its size leaves the worker."""
        visible, infrared = self.files[index]
        if not self.decode_only:
            return self.load(
                dict(img_path=visible, infrared_path=infrared))['img'].size
        size = 0
        for path in (visible, infrared):
            with open(path, 'rb') as file:
                data = np.frombuffer(file.read(), np.uint8)
            size += cv2.imdecode(data, cv2.IMREAD_UNCHANGED).size
        return size


def throughput(dataset: Pairs, workers: int) -> float:
    """Pairs a second, the start of the workers not counted."""
    loader = iter(
        DataLoader(dataset, batch_size=None, num_workers=workers))
    next(loader)
    begin = time.perf_counter()
    count = sum(1 for _ in loader)
    return count / (time.perf_counter() - begin)


def measure(files: List[Tuple[str, str]], workers: int, rounds: int,
            repeat: int) -> Dict[str, float]:
    """Measure both in turn and take the medians.

    Args:
        files (List[Tuple[str, str]]): Visible and infrared path of each.
        workers (int): Number of workers.
        rounds (int): Measurements of each kind.
        repeat (int): How often the files are read in one.

    Returns:
        Dict[str, float]: Pairs a second of ``decode`` and ``load``, and
        their ``share``, the median over rounds.
    """
    found: Dict[str, List[float]] = dict(decode=[], load=[], share=[])
    for _ in range(rounds):
        decode = throughput(Pairs(files, True, repeat), workers)
        load = throughput(Pairs(files, False, repeat), workers)
        found['decode'].append(decode)
        found['load'].append(load)
        found['share'].append(load / decode)
    return {key: float(np.median(value)) for key, value in found.items()}


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('root', type=Path, help='folder of the data set')
    parser.add_argument('--split', default='', help='folder in visible/ and '
                        'infrared/')
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--repeat', type=int, default=4)
    args = parser.parse_args(argv)
    # As mmengine sets it for training.
    cv2.setNumThreads(0)
    folders = [args.root / m / args.split for m in ('visible', 'infrared')]
    files = [(str(folders[0] / pair.visible), str(folders[1] / pair.infrared))
             for pair in find_pairs(*map(str, folders))]
    result = measure(files, args.workers, args.rounds, args.repeat)
    print(json.dumps(dict(pairs=len(files), workers=args.workers, **{
        key: round(value, 3) for key, value in result.items()})))


if __name__ == '__main__':
    main()
