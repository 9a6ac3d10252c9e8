"""LoadSegLabels: mmseg's results, and errors that name the file."""

import cv2
import numpy as np
import pytest
from mmseg.datasets.transforms import LoadAnnotations

from mmivtuning.pairs import PairError, read_bytes
from mmivtuning.seg import LoadSegLabels


@pytest.fixture
def results(tmp_path):
    labels = np.random.default_rng(1).integers(0, 5, (9, 14), dtype=np.uint8)
    labels[0, :3] = 255
    path = str(tmp_path / '00042N.png')
    cv2.imwrite(path, labels)
    return dict(
        img_path='visible/00042N.png',
        seg_map_path=path,
        ori_shape=(9, 14),
        reduce_zero_label=False,
        label_map=None,
        num_label_ids=5,
        ignore_index=255,
        seg_fields=[])


@pytest.mark.parametrize('reduce_zero_label', [False, True])
@pytest.mark.parametrize('label_map', [None, {0: 2, 1: 255, 2: 0}])
@pytest.mark.parametrize('backend', ['pillow', 'cv2'])
def test_equals_the_stock_transform(results, reduce_zero_label, label_map,
                                    backend):
    results.update(reduce_zero_label=reduce_zero_label, label_map=label_map)
    stock = LoadAnnotations(imdecode_backend=backend)(
        dict(results, seg_fields=[]))
    ours = LoadSegLabels(imdecode_backend=backend)(
        dict(results, seg_fields=[]))
    assert ours['gt_seg_map'].dtype == stock['gt_seg_map'].dtype
    assert np.array_equal(ours['gt_seg_map'], stock['gt_seg_map'])
    assert ours['seg_fields'] == stock['seg_fields'] == ['gt_seg_map']


def test_every_id_maps_as_in_the_stock_transform(results):
    ids = np.arange(256, dtype=np.uint8).reshape(16, 16)
    cv2.imwrite(results['seg_map_path'], ids)
    results.update(
        ori_shape=(16, 16), num_label_ids=255, reduce_zero_label=True)
    stock = LoadAnnotations()(dict(results, seg_fields=[]))
    ours = LoadSegLabels()(dict(results, seg_fields=[]))
    assert np.array_equal(ours['gt_seg_map'], stock['gt_seg_map'])


@pytest.mark.parametrize('changes', [
    dict(num_label_ids=4),
    dict(num_label_ids=3, reduce_zero_label=True),
    dict(ignore_index=254),
    dict(num_label_ids=4, label_map={0: 0, 1: 255, 2: 255, 3: 1}),
])
def test_ids_out_of_range_are_named(results, changes):
    results.update(changes)
    wrong = '255' if 'ignore_index' in changes else '4'
    with pytest.raises(
            PairError, match=rf"00042N\.png' holds label ids.* \[{wrong}\]"):
        LoadSegLabels()(results)


def test_the_argument_decides_without_a_data_set(results):
    del results['num_label_ids'], results['ignore_index']
    LoadSegLabels()(dict(results, seg_fields=[]))
    with pytest.raises(PairError, match=r'expected 0 to 1, or 255'):
        LoadSegLabels(num_classes=2)(dict(results, seg_fields=[]))


def test_16_bit_ids_do_not_wrap(results):
    ids = np.zeros((9, 14), np.uint16)
    cv2.imwrite(results['seg_map_path'], ids + 3)
    loaded = LoadSegLabels(imdecode_backend='cv2')(
        dict(results, seg_fields=[]))
    assert (loaded['gt_seg_map'] == 3).all()
    for backend in ('cv2', 'pillow'):
        cv2.imwrite(results['seg_map_path'], ids + 256)
        with pytest.raises(PairError, match=r'00042N\.png.*\[256\]'):
            LoadSegLabels(imdecode_backend=backend)(
                dict(results, seg_fields=[]))


def test_a_colour_picture_is_no_label_map(results):
    cv2.imwrite(results['seg_map_path'], np.zeros((9, 14, 3), np.uint8))
    with pytest.raises(PairError, match=r'00042N\.png.*\(9, 14, 3\)'):
        LoadSegLabels()(results)


def test_another_size_names_both_files(results):
    results['ori_shape'] = (14, 9)
    with pytest.raises(
            PairError,
            match=r'00042N\.png.* 9 x 14 .*visible/00042N\.png.*14 x 9'):
        LoadSegLabels()(results)


def test_a_truncated_file_is_named(results):
    data = read_bytes(results['seg_map_path'])
    for end in (0, 4, 20, len(data) // 2, len(data) - 3):
        with open(results['seg_map_path'], 'wb') as file:
            file.write(data[:end])
        with pytest.raises(PairError, match=r'00042N\.png'):
            LoadSegLabels()(dict(results, seg_fields=[]))


def test_a_missing_file_is_named(results):
    results['seg_map_path'] += '.gone'
    with pytest.raises(FileNotFoundError, match=r'00042N\.png\.gone'):
        LoadSegLabels()(results)


def test_a_palette_png_holds_ids(results):
    from PIL import Image
    ids = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    picture = Image.fromarray(ids, 'P')
    picture.putpalette([200, 100, 50] * 256)
    picture.save(results['seg_map_path'])
    results['ori_shape'] = (2, 3)
    assert np.array_equal(LoadSegLabels()(results)['gt_seg_map'], ids)
