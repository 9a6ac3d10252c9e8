"""Data sets of pairs with label maps."""

import pickle
import shutil

import cv2
import numpy as np
import pytest
from mmengine.dataset import ConcatDataset
from mmengine.registry import DATASETS, DefaultScope

from mmivtuning.pairs import MissingPartnerError, PairError
from mmivtuning.seg import MFNetDataset, MSRSDataset, PairedSegDataset

METAINFO = dict(classes=('a', 'b', 'c'), palette=[[0] * 3, [9] * 3, [99] * 3])
PIPELINE = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(type='mmivtuning.LoadSegLabels')
]


def build(root, **kwargs):
    with DefaultScope.overwrite_default_scope('mmseg'):
        return DATASETS.build(
            dict(
                type='mmivtuning.PairedSegDataset',
                **{
                    'data_root': str(root),
                    'metainfo': METAINFO,
                    'pipeline': PIPELINE,
                    **kwargs
                }))


def test_two_folders(tree):
    dataset = build(tree)
    assert isinstance(dataset, PairedSegDataset)
    assert len(dataset) == 4
    entry = dataset.get_data_info(2)
    assert entry['img_path'] == str(tree / 'visible/0002.png')
    assert entry['infrared_path'] == str(tree / 'infrared/0002.bmp')
    assert entry['seg_map_path'] == str(tree / 'labels/0002.png')
    results = dataset[2]
    assert np.array_equal(results['img'][..., :3],
                          cv2.imread(entry['img_path']))
    assert np.array_equal(results['img'][..., 3],
                          cv2.imread(entry['infrared_path'], 0))
    assert np.array_equal(results['gt_seg_map'],
                          cv2.imread(entry['seg_map_path'], 0))


def test_list_of_stems_keeps_its_order(tree):
    (tree / 'val.txt').write_text('0003\r\n\n  0001.png \n')
    dataset = build(tree, ann_file='val.txt')
    names = [dataset.get_data_info(i)['img_path'][-8:] for i in range(2)]
    assert len(dataset) == 2
    assert names == ['0003.png', '0001.png']


def test_a_list_needs_only_its_own_partners(tree):
    (tree / 'val.txt').write_text('0001\n')
    (tree / 'infrared/0000.bmp').unlink()
    (tree / 'visible/0002.png').unlink()
    (tree / 'labels/0003.png').unlink()
    assert len(build(tree, ann_file='val.txt')) == 1


@pytest.mark.parametrize(('content', 'words'), [
    ('0001\n0009\n', r'1 of the stems.*val\.txt.*visible.*\n  0009'),
    ('0001\n0002\n0001\n', r'val\.txt.*twice:\n  0001'),
    ('\n', r'val\.txt.*lists no stems'),
])
def test_a_bad_list_is_named(tree, content, words):
    (tree / 'val.txt').write_text(content)
    with pytest.raises(PairError, match=f'(?s){words}'):
        build(tree, ann_file='val.txt')


def test_a_missing_list_is_named(tree):
    with pytest.raises(FileNotFoundError, match=r'nothing\.txt'):
        build(tree, ann_file='nothing.txt')


@pytest.mark.parametrize(('gone', 'words'), [
    ('infrared/0001.bmp', r'visible/0001\.png has no infrared partner'),
    ('visible/0001.png', r'infrared/0001\.bmp has no visible partner'),
    ('labels/0001.png', r'no label map in .*labels.*\n  0001\.png'),
])
def test_a_missing_file_is_named(tree, gone, words):
    (tree / gone).unlink()
    with pytest.raises(MissingPartnerError, match=f'(?s){words}'):
        build(tree)


@pytest.mark.parametrize('folder', ['visible', 'infrared', 'labels'])
def test_a_missing_or_empty_folder_is_named(tree, folder):
    for file in (tree / folder).iterdir():
        file.unlink()
    with pytest.raises(PairError, match=f'no images in .*{folder}'):
        build(tree)
    (tree / folder).rmdir()
    with pytest.raises(FileNotFoundError, match=folder):
        build(tree)


def test_a_duplicated_stem_is_named(tree):
    shutil.copy(tree / 'visible/0001.png', tree / 'visible/0001.jpg')
    with pytest.raises(PairError, match=r'(?s)visible.*0001\.jpg and 0001\.p'):
        build(tree)


def test_suffixes_are_honoured(tree):
    for index in range(4):
        (tree / f'visible/{index:04}.png').rename(
            tree / f'visible/{index:04}_RGB.png')
        (tree / f'infrared/{index:04}.bmp').rename(
            tree / f'visible/{index:04}_T.bmp')
    dataset = build(
        tree,
        img_suffix='_RGB.png',
        infrared_suffix='_T.bmp',
        data_prefix=dict(
            img_path='visible',
            infrared_path='visible',
            seg_map_path='labels'))
    assert dataset.get_data_info(3)['infrared_path'].endswith('0003_T.bmp')


def test_subfolders_are_part_of_the_stem(tree):
    for folder, suffix in (('visible', 'png'), ('infrared', 'bmp'), ('labels',
                                                                     'png')):
        (tree / folder / 'day').mkdir()
        (tree / folder / f'0000.{suffix}').rename(
            tree / folder / f'day/0001.{suffix}')
    dataset = build(tree)
    assert len(dataset) == 4
    assert dataset[3]['infrared_path'].endswith('infrared/day/0001.bmp')


def test_without_labels(tree):
    prefix = dict(img_path='visible', infrared_path='infrared')
    dataset = build(
        tree, data_prefix=prefix, pipeline=PIPELINE[:1], test_mode=True)
    assert 'seg_map_path' not in dataset[0]


@pytest.mark.parametrize('infrared', [{}, {'infrared_path': None}])
def test_files_of_four_channels(tree, infrared):
    (tree / 'images').mkdir()
    for index in range(4):
        visible = cv2.imread(str(tree / f'visible/{index:04}.png'))
        thermal = cv2.imread(str(tree / f'infrared/{index:04}.bmp'), 0)
        cv2.imwrite(
            str(tree / f'images/{index:04}.png'),
            np.dstack((visible, thermal)))
    one = build(
        tree,
        data_prefix=dict(
            img_path='images', seg_map_path='labels', **infrared))
    two = build(tree)
    for left, right in zip(one, two):
        assert np.array_equal(left['img'], right['img'])
        assert left['infrared_path'] == left['img_path']


def test_a_forgotten_infrared_folder_is_told(tree):
    dataset = build(
        tree, data_prefix=dict(img_path='visible', seg_map_path='labels'))
    with pytest.raises(PairError, match=r'0000\.png.*give a second file'):
        dataset[0]
    with pytest.raises(ValueError, match="'img_path'"):
        build(tree, data_prefix=dict(infrared_path='infrared'))


@pytest.mark.parametrize('serialize', [True, False])
def test_indices_modes_and_pickling(tree, serialize):
    dataset = build(tree, indices=[3, 1], serialize_data=serialize)
    assert len(dataset) == 2
    assert dataset[0]['img_path'].endswith('0003.png')
    assert len(build(tree, indices=2, test_mode=True)) == 2
    again = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(again[1]['img'], dataset[1]['img'])
    lazy = build(tree, lazy_init=True)
    assert not lazy._fully_initialized
    assert len(lazy) == 4


def test_entries_are_not_shared(tree):
    dataset = build(tree, serialize_data=False)
    dataset[0]
    assert dataset.get_data_info(0)['seg_fields'] == []


def test_concatenated(tree):
    joined = ConcatDataset([build(tree), build(tree, indices=1)])
    assert len(joined) == 5
    assert joined[4]['img'].shape == (20, 30, 4)
    assert joined.metainfo['classes'] == METAINFO['classes']


def test_benchmarks():
    for kind in (MFNetDataset, MSRSDataset):
        metainfo = kind(lazy_init=True).metainfo
        assert metainfo['classes'] == ('unlabeled', 'car', 'person', 'bike',
                                       'curve', 'car_stop', 'guardrail',
                                       'color_cone', 'bump')
        assert metainfo['palette'] == [[0, 0, 0], [64, 0, 128], [64, 64, 0],
                                       [0, 128, 192], [0, 0, 192],
                                       [128, 128, 0], [64, 64, 128],
                                       [192, 128, 128], [192, 64, 0]]


def test_mfnet_as_distributed(tree):
    (tree / 'images').mkdir()
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 4), np.uint8)
    cv2.imwrite(str(tree / 'images/0001.png'), image)
    (tree / 'train.txt').write_text('0001\n')
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = MFNetDataset(
            data_root=str(tree),
            ann_file='train.txt',
            data_prefix=dict(img_path='images', seg_map_path='labels'),
            pipeline=PIPELINE)
    assert np.array_equal(dataset[0]['img'], image)


def test_a_subset_of_the_classes(tree):
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = MFNetDataset(
            data_root=str(tree),
            data_prefix=dict(
                img_path='visible',
                infrared_path='infrared',
                seg_map_path='labels'),
            metainfo=dict(classes=('person', 'unlabeled')),
            pipeline=PIPELINE)
    results = dataset[0]
    stored = cv2.imread(results['seg_map_path'], 0)
    expected = np.full_like(stored, 255)
    expected[stored == 2] = 0
    expected[stored == 0] = 1
    assert np.array_equal(results['gt_seg_map'], expected)
