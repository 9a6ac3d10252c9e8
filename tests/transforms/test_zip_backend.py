"""Data sets in a zip file equal those on disk, with workers too."""

import zipfile

import numpy as np
import pytest
from mmengine.fileio import get, get_file_backend
from mmengine.registry import DATASETS, DefaultScope
from torch.utils.data import DataLoader

from mmivtuning.transforms.zip_backend import NAME, split_path

ARGS = dict(backend=NAME)


@pytest.fixture(scope='module')
def archive(scenes, tmp_path_factory):
    path = tmp_path_factory.mktemp('zip') / 'scenes.zip'
    with zipfile.ZipFile(path, 'w') as file:
        for source in sorted(scenes.rglob('*')):
            file.write(source, source.relative_to(scenes).as_posix())
    return path


def segmentation(root, **args):
    loaders = [dict(type='mmivtuning.LoadPairedImage', **args),
               dict(type='mmivtuning.LoadSegLabels', **args)]
    classes = tuple('abcde')
    with DefaultScope.overwrite_default_scope('mmseg'):
        return DATASETS.build(
            dict(type='mmivtuning.PairedSegDataset', data_root=str(root),
                 metainfo=dict(classes=classes, palette=[[0] * 3] * 5),
                 ann_file='splits/train.txt',
                 data_prefix=dict(img_path='visible/train',
                                  infrared_path='infrared/train',
                                  seg_map_path='labels/train'),
                 pipeline=loaders, **args))


def detection(root, **args):
    pytest.importorskip('mmdet')
    with DefaultScope.overwrite_default_scope('mmdet'):
        return DATASETS.build(
            dict(type='mmivtuning.PairedDetDataset', data_root=str(root),
                 metainfo=dict(classes=('car', 'person', 'sign', 'cone')),
                 ann_file='annotations/train.json',
                 data_prefix=dict(img='visible/train',
                                  infrared='infrared/train'),
                 pipeline=[dict(type='mmivtuning.LoadPairedImage', **args)],
                 **args))


@pytest.mark.parametrize('build', [segmentation, detection])
def test_equals_the_folder(build, scenes, archive):
    folder, zipped = build(scenes), build(archive, backend_args=ARGS)
    assert len(folder) == len(zipped) == 8
    for a, b in zip(folder, zipped):
        assert np.array_equal(a['img'], b['img'])
        if 'gt_seg_map' in a:
            assert np.array_equal(a['gt_seg_map'], b['gt_seg_map'])
        else:
            assert a['instances'] == b['instances']


def test_workers_read_at_once(scenes, archive):
    folder = segmentation(scenes)
    zipped = segmentation(archive, backend_args=ARGS)
    zipped[0]  # opened before the workers are forked
    loader = DataLoader(zipped, batch_size=None, num_workers=2,
                        collate_fn=lambda sample: sample['img'])
    for _ in range(2):
        for sample, image in zip(folder, loader):
            assert np.array_equal(sample['img'], np.asarray(image))


def test_listing_equals_the_local_backend(scenes, archive):
    local = get_file_backend(backend_args=dict(backend='local'))
    zipped = get_file_backend(backend_args=ARGS)
    for folder in ('', '/visible', '/splits'):
        for settings in (dict(recursive=True), dict(list_dir=False),
                         dict(list_file=False),
                         dict(suffix='.txt', list_dir=False)):
            assert sorted(zipped.list_dir_or_file(
                f'{archive}{folder}', **settings)) == sorted(
                    local.list_dir_or_file(f'{scenes}{folder}', **settings))
    assert zipped.isdir(f'{archive}/visible')
    assert not zipped.isfile(f'{archive}/visible')
    assert not zipped.exists(f'{archive}/other')
    assert zipped.get_text(f'{archive}/./splits//val.txt') == (
        scenes / 'splits/val.txt').read_text()


def test_errors_name_the_file(archive, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file 'x\.png' in"):
        get(f'{archive}/x.png', backend_args=ARGS)
    with pytest.raises(FileNotFoundError, match='no such file'):
        get(f'{tmp_path}/none.zip/x.png', backend_args=ARGS)
    (tmp_path / 'bad.zip').write_text('text')
    with pytest.raises(ValueError, match='is no zip file'):
        get(f'{tmp_path}/bad.zip/x.png', backend_args=ARGS)
    with pytest.raises(ValueError, match='expected a path like'):
        split_path('data/visible/a.png')
    assert split_path('a.zip') == ('a.zip', '')
