"""Commands of the documentation, run in one process for all of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope='session')
def server(root):
    """Return what parses and runs commands; see `docs_server.py`."""
    from docs_server import Client
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name('docs_server.py'))],
        cwd=root,
        env=dict(
            os.environ,
            CUDA_VISIBLE_DEVICES='-1',
            OMP_NUM_THREADS='1',
            PYTHONPATH=str(root),
            PYTHONWARNINGS='ignore'),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True)
    client = Client(process)
    yield client
    client.close()
