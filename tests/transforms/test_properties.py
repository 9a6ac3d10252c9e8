"""Any order of stock transforms and ours keeps modalities, masks, boxes.

Columns are written into B, rows into G, a constant into R, columns into the
infrared plane and into the labels; ours may change values of the infrared
plane, none may move the visible planes against labels and boxes.
"""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

HEIGHT, WIDTH = 40, 52
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH].astype(np.uint8)
MEAN = [120., 116., 104., 100.]
GAIN = dict(type='mmivtuning.RandomInfraredGain', prob=1., invert_prob=.5)
SHIFT = dict(type='mmivtuning.RandomInfraredShift', prob=1.)
DROP = dict(type='mmivtuning.RandomModalityDrop', mean=MEAN, prob=1.,
            infrared_share=1.)
# Identity on values, so that columns stay columns.
SAME = dict(type='mmivtuning.OnModality', modality='infrared',
            transforms=[dict(type='PhotoMetricDistortion')])
OURS = st.sampled_from([GAIN, SHIFT, DROP, SAME])
FLIP = st.sampled_from(['horizontal', 'vertical']).map(
    lambda way: dict(type='RandomFlip', prob=1., direction=way))
ORDER = st.lists(st.one_of(OURS, FLIP), min_size=2, max_size=6)


def run(scope, transforms, results, seed):
    pytest.importorskip(scope)
    np.random.seed(seed)
    with DefaultScope.overwrite_default_scope(scope):
        pipeline = Compose(copy.deepcopy(transforms))
        return pipeline(results)


def pair():
    return dict(
        img=np.dstack([COLUMNS, ROWS, np.full_like(ROWS, 77), COLUMNS]),
        img_shape=(HEIGHT, WIDTH),
        ori_shape=(HEIGHT, WIDTH))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(ORDER, st.integers(20, 60), st.integers(20, 60), st.integers(0, 999))
def test_masks_follow_the_visible_planes(order, height, width, seed):
    results = dict(pair(), gt_seg_map=COLUMNS.copy(),
                   seg_fields=['gt_seg_map'])
    crop = dict(type='RandomCrop', crop_size=(height, width))
    results = run('mmseg', [*order, crop, *order[::-1]], results, seed)
    image, labels = results['img'], results['gt_seg_map']
    assert image.shape == (min(height, HEIGHT), min(width, WIDTH), 4)
    assert image.dtype == np.uint8
    assert labels.shape == image.shape[:2]
    assert np.array_equal(image[..., 0], labels)
    assert (image[..., 2] == 77).all()
    assert (np.abs(np.diff(image[..., 1].astype(int), axis=0)) == 1).all()
    if not any(t in order for t in (GAIN, SHIFT, DROP, SAME)):
        assert np.array_equal(image[..., 3], labels)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(ORDER, st.tuples(st.integers(0, 20), st.integers(0, 15),
                        st.integers(5, 30), st.integers(5, 24)),
       st.integers(0, 999))
def test_boxes_follow_the_visible_planes(order, box, seed):
    structures = pytest.importorskip('mmdet.structures.bbox')
    left, top, width, height = box
    corners = np.array([[left, top, left + width, top + height]], np.float32)
    results = dict(
        pair(),
        gt_bboxes=structures.HorizontalBoxes(corners),
        gt_bboxes_labels=np.zeros(1, np.int64),
        gt_ignore_flags=np.zeros(1, bool))
    results = run('mmdet', order, results, seed)
    image = results['img']
    assert image.shape == (HEIGHT, WIDTH, 4)
    assert image.dtype == np.uint8
    x1, y1, x2, y2 = results['gt_bboxes'].tensor[0].int().tolist()
    inside = image[y1:y2, x1:x2]
    # The box still frames the very pixels that it framed.
    assert sorted(set(inside[..., 0].ravel())) == list(
        range(left, left + width))
    assert sorted(set(inside[..., 1].ravel())) == list(
        range(top, top + height))
