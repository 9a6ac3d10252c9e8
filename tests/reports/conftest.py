"""Folders of runs: written by hand, and one that trained."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

STAMP = '2025/01/31 12:00:0{} - mmengine - INFO - '
LOG = f"""{STAMP.format(0)}
------------------------------------------------------------
System environment:
    sys.platform: linux
    Python: 3.11.7 (main) [GCC 12.2.0]
    PyTorch: 2.1.2+cu121
    PyTorch compiling details: PyTorch built with:
  - GCC 9.3
  - C++ Version: 201703

    TorchVision: 0.16.2+cu121

Runtime environment:
    cudnn_benchmark: True
    seed: 0
------------------------------------------------------------

{STAMP.format(1)}Config:
work_dir = 'somewhere'
{STAMP.format(2)}Exp name: tiny_20250131_120000
{STAMP.format(2)}Iter(train) [10/20]  lr: 1.0e-03  eta: 0:01:23  \
time: 0.1000  data_time: 0.0100  loss: 0.9000  decode.loss_ce: 0.9000
{STAMP.format(3)}Iter(val) [1/2]    eta: 0:00:01  time: 0.1000
{STAMP.format(3)}per class results:
{STAMP.format(3)}
+------------+-------+-------+
|   Class    |  IoU  |  Acc  |
+------------+-------+-------+
| background | 90.00 | 95.00 |
|    <car>   |  nan  |  nan  |
+------------+-------+-------+
{STAMP.format(3)}Iter(val) [2/2]    aAcc: 91.0000  mIoU: 45.0000  time: 0.1000
{STAMP.format(4)}Iter(train) [20/20]  lr: 1.0e-04  eta: 0:00:00  \
time: 0.1000  data_time: 0.0100  loss: 0.5000  decode.loss_ce: 0.5000
{STAMP.format(5)}per class results:
{STAMP.format(5)}
+------------+-------+-------+
|   Class    |  IoU  |  Acc  |
+------------+-------+-------+
| background | 91.00 | 96.00 |
|    <car>   | 12.50 | 20.00 |
+------------+-------+-------+
{STAMP.format(5)}Iter(val) [2/2]    aAcc: 92.0000  mIoU: 51.7500  time: 0.1000
"""
SCALARS = [
    dict(lr=1e-3, data_time=0.01, loss=0.9, time=0.1, iter=10, step=10),
    dict(aAcc=91., mIoU=45., time=0.1, step=10),
    dict(lr=1e-4, data_time=0.01, loss=0.5, time=0.1, iter=20, step=20),
    dict(aAcc=92., mIoU=51.75, time=0.1, step=20),
]


@pytest.fixture
def run_log() -> str:
    """Return the text log of a run."""
    return LOG


@pytest.fixture
def write_run(tmp_path) -> Callable[..., Path]:
    """Return a function that writes the folder of a run by hand."""

    def write(name: str = '20250131_120000', log=LOG, scalars=SCALARS,
              work_dir: str = 'work') -> Path:
        folder = tmp_path / work_dir / name
        (folder / 'vis_data').mkdir(parents=True)
        if log is not None:
            (folder / f'{name}.log').write_text(log)
        if scalars is not None:
            if not isinstance(scalars, str):
                scalars = ''.join(json.dumps(s) + '\n' for s in scalars)
            (folder / 'vis_data/scalars.json').write_text(scalars)
        return folder

    return write


@pytest.fixture(scope='session')
def trained(root, scenes, tmp_path_factory) -> Callable[[str], Path]:
    """Return a function that trains once and returns the work_dir."""
    done = {}

    def train(config: str, *options: str) -> Path:
        if config not in done:
            folder = tmp_path_factory.mktemp('trained')
            result = subprocess.run([
                sys.executable, str(root / 'tools/train.py'),
                str(root / config), '--work-dir', str(folder),
                '--cfg-options', f'data_root={scenes}', *options
            ], env=dict(os.environ, CUDA_VISIBLE_DEVICES='-1',
                        OMP_NUM_THREADS='1'), capture_output=True, text=True)
            assert result.returncode == 0, result.stderr[-4000:]
            done[config] = folder
        return done[config]

    return train
