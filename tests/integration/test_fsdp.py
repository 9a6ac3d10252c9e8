"""A backbone of frozen and trainable parameters, sharded (FSDP)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.utils import digit_version


@pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version('2.4'),
    reason="torch 2.1's FSDP has no CPU path")
@pytest.mark.parametrize(
    'option',
    ['iv', 'with_cp', 'lora', 'adaptformer', 'vpt_deep', 'bitfit'])
def test_two_processes_train_as_one(tmp_path, option):
    worker = Path(__file__).with_name('fsdp_worker.py')
    processes = [
        subprocess.Popen(
            [sys.executable, worker, option],
            env=dict(
                os.environ,
                RANK=str(rank),
                WORLD_SIZE='2',
                RENDEZVOUS=str(tmp_path / 'rendezvous'),
                CUDA_VISIBLE_DEVICES='-1',
                OMP_NUM_THREADS='1',
                PYTHONWARNINGS='ignore'),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True) for rank in (0, 1)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    for process, output in zip(processes, outputs):
        assert process.returncode == 0, output[-4000:]
        assert 'rank' in output
