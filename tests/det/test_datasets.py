"""Data sets of pairs with boxes."""

import json
import pickle

import cv2
import numpy as np
import pytest
from mmdet.datasets import ConcatDataset
from mmengine.registry import DATASETS, DefaultScope

from mmivtuning.det import (
    FLIRAlignedDataset,
    LLVIPDataset,
    M3FDDataset,
    PairedDetDataset,
)
from mmivtuning.pairs import MissingPartnerError, PairError

CLASSES = ('person', 'car', 'truck')
PIPELINE = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(type='LoadAnnotations', with_bbox=True)
]


def build(root, **kwargs):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return DATASETS.build(
            dict(
                type='mmivtuning.PairedDetDataset',
                **{
                    'data_root': str(root),
                    'ann_file': 'train.json',
                    'metainfo': dict(classes=CLASSES),
                    'pipeline': PIPELINE,
                    **kwargs
                }))


def rewrite(tree, content):
    (tree / 'train.json').write_text(json.dumps(content))


def test_two_folders(tree):
    dataset = build(tree)
    assert isinstance(dataset, PairedDetDataset)
    assert len(dataset) == 3
    results = dataset[1]
    assert results['img_path'] == str(tree / 'visible/0001.png')
    assert results['infrared_path'] == str(tree / 'infrared/0001.bmp')
    assert np.array_equal(results['img'][..., 3],
                          cv2.imread(results['infrared_path'], 0))
    assert results['gt_bboxes'].tensor.tolist() == [[3, 3, 12, 11],
                                                    [13, 5, 23, 15],
                                                    [5, 14, 25, 23]]


@pytest.mark.parametrize('order', [(0, 1, 2), (2, 1, 0), (1, 0, 2),
                                   (1, 2, 0)])
@pytest.mark.parametrize('classes', [
    CLASSES, ('car', 'truck', 'person'), ('truck', ), ('car', 'person')
])
def test_labels_follow_names_in_any_order(tree, content, order, classes):
    content['categories'] = [content['categories'][i] for i in order]
    rewrite(tree, content)
    dataset = build(tree, metainfo=dict(classes=classes))
    ids = {c['name']: c['id'] for c in content['categories']}
    assert dataset.cat_ids == [ids[name] for name in classes]
    # Boxes of each class start at their own column.
    names = {2: 'person', 12: 'car', 4: 'truck'}
    found = [(names[box['bbox'][0]], classes[box['bbox_label']])
             for box in dataset.get_data_info(0)['instances']]
    assert len(found) == len(classes)
    assert all(left == right for left, right in found)


def test_a_missing_class_is_named(tree):
    with pytest.raises(
            ValueError, match=r"train\.json' has no category 'bus'.*'truck'"):
        build(tree, metainfo=dict(classes=('person', 'bus')))


def test_classes_must_be_given(tree):
    with pytest.raises(ValueError, match=r'no classes.*train\.json'):
        build(tree, metainfo=None)


@pytest.mark.parametrize(('change', 'words'), [
    (lambda c: c['categories'].append(dict(id=9, name='car')),
     r"train\.json' lists the categories \['car'\] twice"),
    (lambda c: c['categories'].append(dict(id=7, name='bus')),
     r"train\.json' uses a category id twice"),
    (lambda c: c['annotations'][0].update(category_id=99),
     r"train\.json' has annotations of the category ids \[99\]"),
])
def test_a_contradictory_json_is_refused(tree, content, change, words):
    content['categories'] = list(content['categories'])
    change(content)
    rewrite(tree, content)
    with pytest.raises(ValueError, match=words):
        build(tree)


@pytest.mark.parametrize(('gone', 'words'), [
    ('infrared/0001.bmp', r"0001\.png: no infrared partner .*infrared'"),
    ('visible/0001.png', r"0001\.png: not in '.*visible'"),
])
def test_a_missing_file_is_named(tree, gone, words):
    (tree / gone).unlink()
    with pytest.raises(MissingPartnerError, match=f'(?s)train.json.*{words}'):
        build(tree)


def test_a_missing_json_or_folder_is_named(tree):
    with pytest.raises(FileNotFoundError, match=r'val\.json'):
        build(tree, ann_file='val.json')
    with pytest.raises(FileNotFoundError, match='thermal'):
        build(tree, data_prefix=dict(img='visible', infrared='thermal'))
    with pytest.raises(ValueError, match="'img'"):
        build(tree, data_prefix=dict(infrared='infrared'))


def test_a_size_that_the_json_denies(tree, content):
    content['images'][1].update(height=36, width=24)
    rewrite(tree, content)
    with pytest.raises(PairError, match=r'0001\.png.*24 x 36.*36 x 24'):
        build(tree)[1]


@pytest.mark.parametrize('infrared', [{}, {'infrared': None}])
def test_files_of_four_channels(tree, infrared):
    two = build(tree)
    (tree / 'four').mkdir()
    for index, results in enumerate(two):
        cv2.imwrite(str(tree / f'four/{index:04}.png'), results['img'])
    one = build(tree, data_prefix=dict(img='four', **infrared))
    for left, right in zip(one, two):
        assert np.array_equal(left['img'], right['img'])
        assert left['infrared_path'] == left['img_path']


def test_suffixes_are_honoured(tree, content):
    for index, info in enumerate(content['images']):
        info['file_name'] = f'{index:04}_RGB.png'
        (tree / f'visible/{index:04}.png').rename(
            tree / f"visible/{info['file_name']}")
        (tree / f'infrared/{index:04}.bmp').rename(
            tree / f'visible/{index:04}_PreviewData.bmp')
    rewrite(tree, content)
    dataset = build(
        tree,
        data_prefix=dict(img='visible', infrared='visible'),
        img_suffix='_RGB.png',
        infrared_suffix='_PreviewData.bmp')
    assert dataset[2]['infrared_path'].endswith('0002_PreviewData.bmp')


def test_boxes_at_and_outside_the_edge_are_as_in_the_stock_class(
        tree, content):
    content['annotations'][0]['bbox'] = [-1, -1, 10, 10]
    content['annotations'][1]['bbox'] = [40, 3, 10, 10]
    content['annotations'][2]['bbox'] = [3, 3, 0.5, 10]
    rewrite(tree, content)
    instances = build(tree).get_data_info(0)['instances']
    assert [box['bbox'] for box in instances] == [[-1, -1, 9, 9]]


def test_filters_and_modes(tree, content):
    content['annotations'] = [
        annotation for annotation in content['annotations']
        if annotation['image_id'] != 11
    ]
    rewrite(tree, content)
    empty = dict(filter_empty_gt=True)
    assert len(build(tree, filter_cfg=empty)) == 2
    assert len(build(tree, filter_cfg=empty, test_mode=True)) == 3
    with pytest.raises(PairError, match=r"none of the 3 images of .*train"):
        build(tree, filter_cfg=dict(min_size=30))
    kept = build(
        tree, filter_cfg=empty, metainfo=dict(classes=('truck', 'car')))
    assert len(kept) == 2


def test_a_json_without_images_is_named(tree, content):
    rewrite(tree, dict(content, images=[], annotations=[]))
    with pytest.raises(PairError, match=r"train\.json' lists no images"):
        build(tree)


def test_an_image_listed_twice_is_named(tree, content):
    content['images'][2]['file_name'] = '0001.png'
    rewrite(tree, content)
    with pytest.raises(PairError, match=r"(?s)train\.json' .*\n  0001\.png"):
        build(tree)


def test_annotations_without_an_area_are_named(tree, content):
    del content['annotations'][4]['area']
    rewrite(tree, content)
    with pytest.raises(ValueError, match=r"train\.json'.* 5 .*'area'"):
        build(tree)


@pytest.mark.parametrize('serialize', [True, False])
def test_indices_and_pickling(tree, serialize):
    dataset = build(tree, indices=[2, 0], serialize_data=serialize)
    assert dataset[0]['img_path'].endswith('0002.png')
    again = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(again[1]['img'], dataset[1]['img'])


def test_concatenated(tree):
    joined = ConcatDataset([build(tree), build(tree, indices=1)])
    assert len(joined) == 4
    assert joined[3]['img'].shape == (24, 36, 4)


def test_benchmarks():
    expected = {
        M3FDDataset:
        ('People', 'Car', 'Bus', 'Motorcycle', 'Lamp', 'Truck'),
        LLVIPDataset: ('person', ),
        FLIRAlignedDataset: ('person', 'car', 'bicycle')
    }
    for kind, classes in expected.items():
        metainfo = kind(lazy_init=True).metainfo
        assert metainfo['classes'] == classes
        assert len(metainfo['palette']) == len(classes)
        # mmengine's painter takes a list for several colours.
        assert all(isinstance(c, tuple) for c in metainfo['palette'])
