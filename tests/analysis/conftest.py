"""Little configs on the synthetic scenes."""

from pathlib import Path
from typing import Callable

import pytest

ROOT = Path(__file__).resolve().parents[2]
SEGMENTATION = ROOT / 'configs' / 'segmentation' / 'scenes'
NAME = '{}-tiny-random_segformer_{}_4i_scenes-56x70.py'


@pytest.fixture
def config() -> Callable[..., str]:
    """Return a function that names a tiny config, by backbone and tuning."""

    def path(backbone: str = 'vit', tuning: str = 'iv') -> str:
        return str(SEGMENTATION / NAME.format(backbone, tuning))

    return path


@pytest.fixture
def own(scenes) -> list:
    """Return the options that put the scenes in place of a config's data."""
    return ['--cfg-options', f'data_root={scenes}']
