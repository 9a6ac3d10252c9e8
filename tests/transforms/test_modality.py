"""OnModality: parity with the stock transform, and nothing but pixels."""

import numpy as np
import pytest
from mmcv.transforms import RandomFlip, Resize
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

from mmivtuning.transforms import OnModality


@pytest.fixture
def pair():
    rng = np.random.default_rng(11)
    return rng.integers(0, 256, (18, 25, 4), dtype=np.uint8)


def build(scope, modality, *transforms):
    with DefaultScope.overwrite_default_scope(scope):
        return Compose([
            dict(
                type='mmivtuning.OnModality',
                modality=modality,
                transforms=list(transforms))
        ])


def by_hand(scope, image, *transforms):
    with DefaultScope.overwrite_default_scope(scope):
        result = Compose(list(transforms))(dict(
            img=image.copy(), img_shape=image.shape[:2]))['img']
    return result


STOCK = [('mmseg', dict(type='PhotoMetricDistortion')),
         ('mmdet', dict(type='PhotoMetricDistortion')),
         ('mmdet', dict(type='YOLOXHSVRandomAug')),
         ('mmseg', dict(type='CLAHE')),
         ('mmseg', dict(type='AdjustGamma', gamma=1.7)),
         ('mmseg', dict(type='RandomCutOut', prob=1., n_holes=1,
                        cutout_shape=(4, 5))),
         ('mmdet', dict(type='Sharpness', prob=1., level=8)),
         ('mmdet', dict(type='Posterize', prob=1., level=8)),
         ('mmdet', dict(type='AutoContrast', prob=1.))]


@pytest.mark.parametrize(('scope', 'transform'), STOCK)
@pytest.mark.parametrize('seed', range(4))
def test_visible_equals_the_stock_transform(pair, scope, transform, seed):
    np.random.seed(seed)
    expected = by_hand(scope, pair[..., :3], transform)
    expected = np.clip(np.rint(expected), 0, 255).astype(np.uint8)
    np.random.seed(seed)
    results = build(scope, 'visible', transform)(dict(img=pair.copy()))
    assert results['img'].dtype == np.uint8
    assert np.array_equal(results['img'][..., :3], expected)
    assert np.array_equal(results['img'][..., 3], pair[..., 3])


@pytest.mark.parametrize(('scope', 'transform'), STOCK)
@pytest.mark.parametrize('seed', range(4))
def test_infrared_is_the_mean_of_three_planes(pair, scope, transform, seed):
    np.random.seed(seed)
    expected = by_hand(scope, np.dstack([pair[..., 3]] * 3), transform)
    expected = np.rint(expected.astype(np.float32).mean(axis=2))
    np.random.seed(seed)
    results = build(scope, 'infrared', transform)(dict(img=pair.copy()))
    assert np.array_equal(results['img'][..., :3], pair[..., :3])
    assert np.array_equal(results['img'][..., 3], np.clip(expected, 0, 255))


def test_something_does_change(pair):
    np.random.seed(1)
    for modality in ('visible', 'infrared'):
        changed = build(
            'mmseg', modality,
            dict(type='AdjustGamma', gamma=2.))(dict(img=pair.copy()))['img']
        assert not np.array_equal(changed, pair)


def test_values_are_rounded_and_clipped(pair):
    pair[...] = 100
    pair[0] = 250

    def brighter(results):
        results['img'] = results['img'].astype(np.float32) + 10.6
        return results

    image = OnModality('infrared', [brighter])(dict(img=pair))['img']
    assert image[1, 0].tolist() == [100, 100, 100, 111]
    assert image[0, 0].tolist() == [250, 250, 250, 255]


def test_float_images_are_not_clipped(pair):

    def darker(results):
        results['img'] = results['img'] - 300.5
        return results

    image = pair.astype(np.float32)
    result = OnModality('visible', darker)(dict(img=image))['img']
    assert result.dtype == np.float32
    assert np.array_equal(result[..., :3], image[..., :3] - 300.5)


def test_the_input_array_is_left_alone(pair):

    def in_place(results):
        results['img'][...] = 0
        return results

    before = pair.copy()
    result = OnModality('visible', [in_place])(dict(img=pair))['img']
    assert np.array_equal(pair, before)
    assert not result[..., :3].any()


def test_labels_are_out_of_reach(pair):
    seen = []

    def look(results):
        seen.append(set(results))
        return results

    results = dict(img=pair, gt_bboxes='boxes', flip=False, img_path='a')
    out = OnModality('visible', [look])(dict(results))
    assert seen[0] == {'img', 'img_path', 'seg_fields', 'gt_seg_map'}
    assert out['gt_bboxes'] == 'boxes'
    assert set(out) == set(results)


@pytest.mark.parametrize(('transform', 'reason'), [
    (dict(type='Resize', scale=(10, 10)), 'the size became'),
    (dict(type='RandomCrop', crop_size=(9, 9)), 'the size became'),
    (dict(type='RandomFlip', prob=1.), 'pixels moved'),
    (dict(type='RandomRotate', prob=1., degree=(20, 20)), 'pixels moved'),
    (dict(type='Pad', size=(40, 40)), 'the size became'),
    (dict(type='Normalize', mean=[0.] * 3, std=[1.] * 3), 'normalised'),
])
def test_geometry_and_normalisation_are_refused(pair, transform, reason):
    wrapped = build('mmseg', 'infrared', transform)
    with pytest.raises(ValueError, match=f'photometric.*{reason}'):
        wrapped(dict(img=pair, img_shape=pair.shape[:2]))


@pytest.mark.parametrize('transform', [
    dict(type='RandomFlip', prob=1.),
    dict(type='RandomAffine', max_translate_ratio=0., border=(0, 0)),
    dict(type='TranslateX', prob=1., level=8),
])
def test_geometry_of_mmdet_is_refused(pair, transform):
    wrapped = build('mmdet', 'visible', transform)
    with pytest.raises(ValueError, match='photometric'):
        wrapped(dict(img=pair, img_shape=pair.shape[:2]))


def test_callables_and_objects_are_taken(pair):
    with pytest.raises(ValueError, match='photometric'):
        OnModality('visible', [RandomFlip(prob=1.)])(dict(
            img=pair, img_shape=pair.shape[:2]))
    with pytest.raises(ValueError, match='photometric'):
        OnModality('visible', Resize(scale=(5, 5)))(dict(
            img=pair, img_shape=pair.shape[:2]))


def test_none_is_passed_on(pair):
    assert OnModality('visible', [lambda results: None])(dict(
        img=pair)) is None


def test_channels_that_come_back(pair):

    def to_one(results):
        results['img'] = results['img'][..., :1]
        return results

    same = OnModality('infrared', [to_one])(dict(img=pair))['img']
    assert np.array_equal(same, pair)
    with pytest.raises(ValueError, match=r'came back with 1 channel'):
        OnModality('visible', [to_one])(dict(img=pair))


def test_wrong_image_and_wrong_modality(pair):
    with pytest.raises(ValueError, match=r'\(18, 25, 3\).*LoadPairedImage'):
        OnModality('visible', [])(dict(img=pair[..., :3]))
    with pytest.raises(ValueError, match="'thermal'"):
        OnModality('thermal', [])


@pytest.mark.parametrize('shape', [(1, 1, 4), (1, 7, 4), (5, 1, 4)])
def test_tiny_images(shape):
    image = np.full(shape, 7, np.uint8)
    result = build('mmseg', 'visible',
                   dict(type='PhotoMetricDistortion'))(dict(img=image))
    assert result['img'].shape == shape
