"""Run mim and other commands as a user would, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, Optional

import pytest


def _environment(**extra: str) -> Dict[str, str]:
    """Return the environment of a run with one thread, else on the CPU."""
    return {
        **os.environ, 'CUDA_VISIBLE_DEVICES': '-1', 'OMP_NUM_THREADS': '1',
        'PYTHONWARNINGS': 'ignore', **extra
    }


@pytest.fixture(scope='session')
def run() -> Callable[..., str]:
    """Return a function that runs a command and returns what it printed."""

    def run_command(*command: object,
                    cwd: Path,
                    fails: bool = False,
                    environment: Optional[Dict[str, str]] = None) -> str:
        result = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=_environment(**(environment or {})),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600)
        assert bool(result.returncode) == fails, result.stdout[-6000:]
        return result.stdout

    return run_command


@pytest.fixture(scope='session')
def mim(run) -> Callable[..., str]:
    """Return a function that runs a mim command with this interpreter."""

    def run_mim(*arguments: object, **kwargs) -> str:
        program = Path(sys.executable).with_name('mim')
        return run(program, *arguments, **kwargs)

    return run_mim


@pytest.fixture(scope='session')
def detection_toolbox() -> str:
    """Return the name by which this stack's mim finds mmdet.

    The mim of the onedl stack cannot tell mmdet from mmdet3d by that name.
    """
    from importlib.metadata import PackageNotFoundError, version
    try:
        version('onedl-mmdetection')
    except PackageNotFoundError:
        return 'mmdet'
    return 'mmdetection'
