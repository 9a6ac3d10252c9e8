"""LoadPairedImage."""

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

from mmivtuning.pairs import PairError
from mmivtuning.transforms import LoadPairedImage

RNG = np.random.default_rng(5)
VISIBLE = RNG.integers(0, 256, (12, 17, 3), dtype=np.uint8)
INFRARED = RNG.integers(0, 256, (12, 17), dtype=np.uint8)


@pytest.fixture
def files(tmp_path):
    paths = dict(
        img_path=str(tmp_path / 'visible.png'),
        infrared_path=str(tmp_path / 'infrared.png'))
    cv2.imwrite(paths['img_path'], VISIBLE)
    cv2.imwrite(paths['infrared_path'], INFRARED)
    return paths


@pytest.mark.parametrize('scope', ['mmseg', 'mmdet'])
def test_in_a_pipeline_of_either_toolbox(files, scope):
    with DefaultScope.overwrite_default_scope(scope):
        pipeline = Compose([dict(type='mmivtuning.LoadPairedImage')])
        results = pipeline(dict(files))
    assert np.array_equal(results['img'], np.dstack((VISIBLE, INFRARED)))
    assert results['img'].dtype == np.uint8
    assert results['img_shape'] == results['ori_shape'] == (12, 17)
    assert {key: results[key] for key in files} == files


def test_a_file_of_four_channels(tmp_path):
    path = str(tmp_path / '00001D.png')
    cv2.imwrite(path, np.dstack((VISIBLE, INFRARED)))
    results = LoadPairedImage()(dict(img_path=path))
    assert np.array_equal(results['img'], np.dstack((VISIBLE, INFRARED)))
    assert results['infrared_path'] == path


def test_float32_and_range(files):
    results = LoadPairedImage(
        infrared_range=(0, 510), to_float32=True)(dict(files))
    assert results['img'].dtype == np.float32
    assert np.array_equal(results['img'][..., 3], np.rint(INFRARED / 2))


def test_file_backend(files):
    results = LoadPairedImage(backend_args=dict(backend='local'))(dict(files))
    assert results['img'].shape == (12, 17, 4)


@pytest.mark.parametrize('key', ['img_path', 'infrared_path'])
def test_a_missing_file_is_named(files, key):
    files[key] += '.gone'
    with pytest.raises(FileNotFoundError, match=r"no such file: '.*\.gone'"):
        LoadPairedImage()(files)


def test_annotations_of_another_size(files):
    LoadPairedImage()(dict(files, height=12, width=17))
    with pytest.raises(PairError, match=r'visible\.png.*12 x 17.*17 x 12'):
        LoadPairedImage()(dict(files, height=17, width=12))


@pytest.mark.parametrize('bad', [(3, 3), (1, 0), (1, 2, 3)])
def test_a_bad_range_is_refused_at_once(bad):
    with pytest.raises(ValueError, match='infrared_range'):
        LoadPairedImage(infrared_range=bad)


def test_repr():
    assert repr(LoadPairedImage()) == (
        'LoadPairedImage(infrared_range=None, to_float32=False, '
        'backend_args=None)')
