"""Real pairs load: run where MMIVTUNING_REAL_DATA is."""

import numpy as np
import pytest

from mmivtuning.det import FLIRAlignedDataset, LLVIPDataset, M3FDDataset


@pytest.mark.parametrize(('kind', 'name', 'file', 'images', 'boxes', 'size'), [
    (LLVIPDataset, 'llvip', 'val.json', 11, 42, (1024, 1280)),
    (M3FDDataset, 'm3fd', 'train.json', 1, 11, (768, 1024)),
    (FLIRAlignedDataset, 'flir', 'val.json', 20, 150, (512, 640)),
    (FLIRAlignedDataset, 'roadscene', 'val.json', 18, 112, None),
])
def test_boxes(real_data, kind, name, file, images, boxes, size):
    dataset = kind(
        data_root=str(real_data / name),
        ann_file=file,
        data_prefix=dict(img='visible', infrared='infrared'),
        pipeline=[dict(type='mmivtuning.LoadPairedImage')])
    assert len(dataset) == images
    assert sum(len(entry['instances']) for entry in dataset) == boxes
    image = dataset[0]['img']
    assert image.dtype == np.uint8
    assert image.shape[2] == 4
    if size is not None:
        assert image.shape[:2] == size
    assert image[..., 3].std() > 5


def test_flir_labels_are_found_by_name(real_data):
    # The json has person, bicycle, car; the classes person, car, bicycle.
    dataset = FLIRAlignedDataset(
        data_root=str(real_data / 'flir'),
        ann_file='train.json',
        data_prefix=dict(img='visible', infrared='infrared'))
    assert dataset.cat_ids == [1, 3, 2]
