"""Real pairs load: run where MMIVTUNING_REAL_DATA is."""

import numpy as np
import pytest

from mmivtuning.seg import MSRSDataset, PairedSegDataset


@pytest.mark.parametrize(('name', 'classes', 'pairs'), [
    ('llvip', ('background', 'person'), 11),
    ('cwfid', ('soil', 'crop', 'weed'), 14),
    ('msrs_pseudo', MSRSDataset.METAINFO['classes'], 30),
])
def test_label_maps(real_data, name, classes, pairs):
    dataset = PairedSegDataset(
        data_root=str(real_data / name),
        ann_file='val.txt',
        metainfo=dict(classes=classes),
        pipeline=[
            dict(type='mmivtuning.LoadPairedImage'),
            dict(type='mmivtuning.LoadSegLabels')
        ])
    assert len(dataset) == pairs
    results = dataset[0]
    assert results['img'].shape == (*results['gt_seg_map'].shape, 4)
    assert set(np.unique(results['gt_seg_map'])) <= set(range(len(classes)))


@pytest.mark.parametrize(('name', 'infrared', 'pairs'), [
    ('msrs', 'infrared', 15),
    ('msrs', 'infrared_misaligned', 15),
    ('saliency', 'infrared', 11),
    ('roadscene', 'infrared', 148),
])
def test_pairs_without_class_labels(real_data, name, infrared, pairs):
    dataset = PairedSegDataset(
        data_root=str(real_data / name),
        data_prefix=dict(img_path='visible', infrared_path=infrared),
        pipeline=[dict(type='mmivtuning.LoadPairedImage')])
    assert len(dataset) == pairs
    for index in range(0, pairs, 20):
        image = dataset[index]['img']
        assert image.dtype == np.uint8
        assert image[..., 3].std() > 5
