"""Fixtures of every test: scenes, the cache, real data, seeds, tools."""

import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _seeded():
    """Make every test repeatable by itself."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope='session')
def root() -> Path:
    """Return the root of the checkout."""
    return ROOT


@pytest.fixture(scope='session')
def load_tool():
    """Return a function that imports a script of ``tools/`` by its name."""

    def load(name):
        spec = importlib.util.spec_from_file_location(
            name, ROOT / f'tools/{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope='session')
def scenes(tmp_path_factory) -> Path:
    """Return a folder of 8 training and 4 validation scenes of 112x140."""
    folder = tmp_path_factory.mktemp('data') / 'scenes'
    subprocess.run(
        [
            sys.executable,
            str(ROOT / 'data_prep/make_scenes.py'), '--out',
            str(folder), '--train', '8', '--val', '4', '--size', '112', '140'
        ],
        check=True,
        stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope='session')
def real_data() -> Path:
    """Return the folder of real pairs; skip where there is none."""
    folder = Path(
        os.environ.get('MMIVTUNING_REAL_DATA', ROOT / '../shared/data'))
    if not folder.is_dir():
        pytest.skip(f'no real pairs in {folder} (MMIVTUNING_REAL_DATA)')
    return folder.resolve()
