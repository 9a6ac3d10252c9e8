"""Data sets in a zip file or LMDB equal those on disk, with workers too."""

import zipfile

import numpy as np
import pytest
from mmengine.fileio import get, get_file_backend
from mmengine.registry import DATASETS, DefaultScope
from torch.utils.data import DataLoader

from mmivtuning.pairs.packing import list_entries, pack
from mmivtuning.transforms import LmdbBackend, ZipBackend


@pytest.fixture(scope='module', params=['zip', 'lmdb', 'zip with folders'])
def archive(request, scenes, tmp_path_factory):
    """An archive, and the arguments to read it."""
    kind = request.param.split()[0]
    path = tmp_path_factory.mktemp(kind) / f'scenes.{kind}'
    if request.param == kind:
        assert pack(scenes, path) == sum(
            p.is_file() for p in scenes.rglob('*'))
    else:  # as `zip -r` makes it
        with zipfile.ZipFile(path, 'w') as file:
            for source in sorted(scenes.rglob('*')):
                file.write(source, source.relative_to(scenes).as_posix())
    return path, dict(backend=f'mmivtuning.{kind}')


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
    path, args = archive
    folder, packed = build(scenes), build(path, backend_args=args)
    assert len(folder) == len(packed) == 8
    for a, b in zip(folder, packed):
        assert np.array_equal(a['img'], b['img'])
        if 'gt_seg_map' in a:
            assert np.array_equal(a['gt_seg_map'], b['gt_seg_map'])
        else:
            assert a['instances'] == b['instances']


def test_workers_read_at_once(scenes, archive):
    path, args = archive
    folder = segmentation(scenes)
    packed = segmentation(path, backend_args=args)
    packed[0]  # opened before the workers are forked
    loader = DataLoader(packed, batch_size=None, num_workers=2,
                        collate_fn=lambda sample: sample['img'])
    for _ in range(2):
        for sample, image in zip(folder, loader):
            assert np.array_equal(sample['img'], np.asarray(image))


def test_listing_equals_the_local_backend(scenes, archive):
    path, args = archive
    local = get_file_backend(backend_args=dict(backend='local'))
    packed = get_file_backend(backend_args=args)
    for folder in ('', '/visible', '/splits'):
        for settings in (dict(recursive=True), dict(list_dir=False),
                         dict(list_file=False),
                         dict(suffix='.txt', list_dir=False)):
            assert sorted(packed.list_dir_or_file(
                f'{path}{folder}', **settings)) == sorted(
                    local.list_dir_or_file(f'{scenes}{folder}', **settings))
    assert packed.isdir(f'{path}/visible')
    assert not packed.isfile(f'{path}/visible')
    assert not packed.exists(f'{path}/other')
    with pytest.raises(FileNotFoundError, match="no folder 'other'"):
        list(packed.list_dir_or_file(f'{path}/other'))
    text = (scenes / 'splits/val.txt').read_text()
    assert packed.get_text(f'{path}/./splits//val.txt') == text
    with packed.get_local_path(f'{path}/splits/val.txt') as copy:
        assert open(copy).read() == text


@pytest.mark.parametrize('backend', [ZipBackend, LmdbBackend])
def test_errors_name_the_file(backend, scenes, tmp_path):
    suffix, reader = backend.suffix, backend()
    pack(scenes, tmp_path / f'set{suffix}')
    with pytest.raises(FileNotFoundError, match=r"no file 'x\.png' in"):
        reader.get(f'{tmp_path}/set{suffix}/x.png')
    with pytest.raises(FileNotFoundError, match='no such file'):
        reader.get(f'{tmp_path}/none{suffix}/x.png')
    for name in ('text', 'folder'):
        bad = tmp_path / f'{name}{suffix}'
        bad.write_text('text') if name == 'text' else bad.mkdir()
        with pytest.raises(ValueError, match=f'{name}.* is no '):
            reader.get(f'{bad}/x.png')
    with pytest.raises(ValueError, match='expected a path like'):
        reader.split_path('data/visible/a.png')
    assert reader.split_path(f'a{suffix}') == (f'a{suffix}', '')


@pytest.mark.parametrize('backend', [ZipBackend, LmdbBackend])
def test_folders_that_are_called_like_an_archive(backend, scenes, tmp_path):
    suffix, reader = backend.suffix, backend()
    folder = tmp_path / f'İ{suffix}' / f'b{suffix.upper()}'
    folder.mkdir(parents=True)
    path = folder / f'set{suffix}'
    pack(scenes, path)
    assert reader.isfile(f'{path}//splits/./val.txt')
    inner = f'{path}/x{suffix}/y.png'
    assert reader.split_path(inner) == (str(path), f'x{suffix}/y.png')


@pytest.mark.parametrize('share', [0.9, 0.5, 0.02, 0.001, 0])
@pytest.mark.parametrize('in_folder', [False, True])
def test_an_lmdb_that_is_cut_off(scenes, tmp_path, share, in_folder):
    path = tmp_path / 'set.lmdb'
    pack(scenes, path)
    data = path.read_bytes()
    if in_folder:
        path.unlink()
        path.mkdir()
    file = path / 'data.mdb' if in_folder else path
    file.write_bytes(data[:int(share * len(data))])
    with pytest.raises(ValueError, match=r"set\.lmdb' is .*cut off"):
        LmdbBackend().get(f'{path}/splits/val.txt')


def test_a_damaged_lmdb_names_it(scenes, tmp_path):
    path = tmp_path / 'set.lmdb'
    pack(scenes, path)
    data = bytearray(path.read_bytes())
    data[2 * 4096:] = bytes(len(data) - 2 * 4096)
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"set\.lmdb' is damaged"):
        LmdbBackend().get(f'{path}/splits/val.txt')


def test_an_lmdb_that_is_a_folder(scenes, tmp_path):
    path = tmp_path / 'set.lmdb'
    pack(scenes, tmp_path / 'file.lmdb')
    path.mkdir()
    (tmp_path / 'file.lmdb').rename(path / 'data.mdb')
    assert LmdbBackend().get_text(f'{path}/splits/val.txt') == (
        scenes / 'splits/val.txt').read_text()


def test_a_damaged_zip_names_the_file(scenes, tmp_path):
    path = tmp_path / 'set.zip'
    pack(scenes, path)
    data = bytearray(path.read_bytes())
    name, source = list_entries(scenes)[-1]
    place = data.index(source.read_bytes())
    data[place] ^= 255
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"'{name}' in .* is damaged"):
        get(f'{path}/{name}', backend_args=dict(backend='mmivtuning.zip'))
