"""Modality drop, infrared shift and gain: what they change and what not."""

import numpy as np
import pytest
import torch

from mmivtuning.transforms import (
    RandomInfraredGain,
    RandomInfraredShift,
    RandomModalityDrop,
)

MEAN = [123.675, 116.28, 103.53, 84.8]


def pair(dtype=np.uint8, height=20, width=30):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 4))
    return dict(img=image.astype(dtype), gt_bboxes='kept')


ALL = [
    RandomModalityDrop(MEAN, prob=1),
    RandomInfraredShift(max_shift=3, max_angle=2, max_scale=0.1, prob=1),
    RandomInfraredGain(prob=1, invert_prob=0.5, stripe_prob=1,
                       vignette_prob=1)
]
EACH = pytest.mark.parametrize(
    'transform', ALL, ids=[type(t).__name__ for t in ALL])


@EACH
@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_shape_type_range_and_the_rest_stay(transform, dtype):
    for _ in range(20):
        results = pair(dtype)
        image = results['img']
        before = image.copy()
        after = transform(results)
        assert after['img'].shape == image.shape
        assert after['img'].dtype == dtype
        assert 0 <= after['img'].min() <= after['img'].max() <= 255
        assert np.array_equal(image, before)
        assert after['gt_bboxes'] == 'kept'
        if not isinstance(transform, RandomModalityDrop):
            assert np.array_equal(after['img'][..., :3], before[..., :3])
            assert not np.array_equal(after['img'][..., 3], before[..., 3])


@EACH
def test_a_picture_of_three_planes_is_refused(transform):
    with pytest.raises(ValueError, match='expects a pair'):
        transform(dict(img=np.zeros((4, 4, 3), np.uint8)))


@EACH
def test_repr_says_the_settings(transform):
    assert 'prob=' in repr(transform)


def test_one_modality_goes_and_becomes_zero():
    preprocessor = pytest.importorskip(
        'mmivtuning.seg').PairedSegDataPreprocessor(
            mean=MEAN, std=[58.395, 57.12, 57.375, 34.9])
    seen = set()
    transform = RandomModalityDrop(MEAN, prob=0.7)
    for _ in range(60):
        results = transform(pair(np.float32))
        seen.add(results['dropped'])
        tensor = torch.from_numpy(results['img'].transpose(2, 0, 1).copy())
        planes = preprocessor(dict(inputs=[tensor]))['inputs'][0]
        empty = planes.abs().amax(dim=(1, 2)) < 1e-4
        assert empty.tolist() == [results['dropped'] == 'visible'] * 3 + [
            results['dropped'] == 'infrared'
        ]
    assert seen == {None, 'visible', 'infrared'}


def test_chances():
    drop = RandomModalityDrop(MEAN, prob=0)
    assert drop(pair())['dropped'] is None
    drop = RandomModalityDrop(MEAN, prob=1, infrared_share=1)
    assert {drop(pair())['dropped'] for _ in range(9)} == {'infrared'}
    for transform in (RandomInfraredShift(prob=0),
                      RandomInfraredGain(prob=0, stripe_prob=0,
                                         vignette_prob=0)):
        assert np.array_equal(transform(pair())['img'], pair()['img'])


def test_shift_moves_by_what_it_says(monkeypatch):
    monkeypatch.setattr(np.random, 'uniform',
                        lambda *a: np.array([0, 0, 1, -1.]))
    before = pair()['img']
    after = RandomInfraredShift(max_shift=3, prob=1)(pair())['img']
    assert np.array_equal(after[:-3, 3:, 3], before[3:, :-3, 3])


def test_inversion_alone():
    gain = RandomInfraredGain(prob=0, invert_prob=1, stripe_prob=0,
                              vignette_prob=0)
    assert np.array_equal(gain(pair())['img'][..., 3],
                          255 - pair()['img'][..., 3])


@pytest.mark.parametrize('make', [
    lambda: RandomModalityDrop(MEAN[:3]),
    lambda: RandomModalityDrop(MEAN, prob=2),
    lambda: RandomInfraredShift(max_shift=-1),
    lambda: RandomInfraredShift(max_scale=1),
    lambda: RandomInfraredGain(contrast=(2, 1)),
    lambda: RandomInfraredGain(contrast=(0, 1)),
    lambda: RandomInfraredGain(stripe_prob=-1),
])
def test_bad_settings_are_refused(make):
    with pytest.raises(ValueError, match='must'):
        make()
