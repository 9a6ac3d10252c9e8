"""A little data set in two folders with label maps."""

import cv2
import numpy as np
import pytest


@pytest.fixture
def tree(tmp_path):
    """Write four pairs, 20 x 30; infrared files have another suffix."""
    rng = np.random.default_rng(2)
    for folder in ('visible', 'infrared', 'labels'):
        (tmp_path / folder).mkdir()
    for index in range(4):
        image = rng.integers(0, 256, (20, 30, 4), dtype=np.uint8)
        labels = rng.integers(0, 3, (20, 30), dtype=np.uint8)
        labels[0, 0] = 255
        cv2.imwrite(str(tmp_path / f'visible/{index:04}.png'), image[..., :3])
        cv2.imwrite(str(tmp_path / f'infrared/{index:04}.bmp'), image[..., 3])
        cv2.imwrite(str(tmp_path / f'labels/{index:04}.png'), labels)
    return tmp_path
