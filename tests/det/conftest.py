"""A little data set in two folders with boxes."""

import json

import cv2
import numpy as np
import pytest

CATEGORIES = [
    dict(id=7, name='truck'),
    dict(id=3, name='person'),
    dict(id=5, name='car')
]
BOXES = dict(person=[2, 3, 9, 8], car=[12, 5, 10, 10], truck=[4, 14, 20, 9])


@pytest.fixture
def content():
    """Return a json whose order and ids are those of no class list."""
    ids = {category['name']: category['id'] for category in CATEGORIES}
    annotations = []
    for image in range(3):
        for name, box in BOXES.items():
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image + 10,
                    category_id=ids[name],
                    bbox=[box[0] + image, *box[1:]],
                    area=box[2] * box[3],
                    iscrowd=0))
    return dict(
        images=[
            dict(
                id=image + 10, file_name=f'{image:04}.png', height=24,
                width=36) for image in range(3)
        ],
        annotations=annotations,
        categories=CATEGORIES)


@pytest.fixture
def tree(tmp_path, content):
    """Write three pairs of 24 x 36 and ``train.json``."""
    rng = np.random.default_rng(4)
    for folder in ('visible', 'infrared'):
        (tmp_path / folder).mkdir()
    for index in range(3):
        image = rng.integers(0, 256, (24, 36, 4), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f'visible/{index:04}.png'), image[..., :3])
        cv2.imwrite(str(tmp_path / f'infrared/{index:04}.bmp'), image[..., 3])
    (tmp_path / 'train.json').write_text(json.dumps(content))
    return tmp_path
