"""Saliency data sets and the loading of masks."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope

from mmivtuning.pairs import MissingPartnerError, PairError
from mmivtuning.registry import DATASETS, TRANSFORMS

SIZE = (24, 32)
META_KEYS = ('img_path', 'infrared_path', 'dataset_name', 'ori_shape')
PIPELINE = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(type='Resize', scale=(16, 16), keep_ratio=False),
    dict(type='mmivtuning.LoadSaliencyMask'),
    dict(type='PackSegInputs', meta_keys=META_KEYS)
]


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def levels() -> np.ndarray:
    """Grey values around the threshold."""
    return np.tile(
        np.array([0, 1, 127, 128, 129, 200, 254, 255], np.uint8),
        (SIZE[0], SIZE[1] // 8))


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmseg')


@pytest.fixture
def folder(tmp_path) -> Path:
    for stem in ('a', 'b', 'c'):
        rng = np.random.default_rng(ord(stem))
        save(tmp_path / f'visible/{stem}.jpg',
             rng.integers(0, 255, (*SIZE, 3), np.uint8))
        save(tmp_path / f'infrared/{stem}.png',
             rng.integers(0, 255, SIZE, np.uint8))
        save(tmp_path / f'masks/{stem}.png', levels())
    return tmp_path


def build(folder: Path, **kwargs):
    return DATASETS.build(
        dict(
            type='mmivtuning.VTSaliencyDataset',
            data_root=str(folder),
            pipeline=PIPELINE,
            **kwargs))


def load(folder: Path, stem: str) -> np.ndarray:
    results = dict(
        seg_map_path=str(folder / f'masks/{stem}.png'),
        img_path=str(folder / f'visible/{stem}.jpg'),
        ori_shape=SIZE,
        seg_fields=[])
    loader = TRANSFORMS.build(dict(type='mmivtuning.LoadSaliencyMask'))
    results = loader(results)
    assert results['seg_fields'] == ['gt_seg_map']
    return results['gt_seg_map']


def test_samples(folder):
    dataset = build(folder, name='mine')
    assert len(dataset) == 3
    assert dataset.metainfo['classes'] == ('background', 'salient')
    sample = dataset[1]
    assert sample['inputs'].shape == (4, 16, 16)
    truth = sample['data_samples'].gt_sem_seg.data
    # the mask keeps the original size
    assert truth.shape == (1, *SIZE)
    assert np.array_equal(truth[0], levels() > 128)
    assert sample['data_samples'].dataset_name == 'mine'


def test_selection(folder):
    (folder / 'fit.txt').write_text('c\na\n')
    dataset = build(folder, ann_file='fit.txt')
    assert [Path(dataset.get_data_info(i)['img_path']).stem
            for i in range(2)] == ['c', 'a']
    assert dataset.get_data_info(0)['dataset_name'] == ''
    assert len(build(folder, indices=[0, 2])) == 2


@pytest.mark.parametrize('kind', ['grey', 'colour', 'deep', 'jpeg'])
def test_kinds_of_masks(folder, kind):
    path = folder / 'masks/a.png'
    expected = levels() > 128
    if kind == 'colour':
        save(path, np.repeat(levels()[..., None], 3, 2))
    elif kind == 'deep':
        save(path, levels().astype(np.uint16) * 257)
    elif kind == 'jpeg':
        expected = np.zeros(SIZE, bool)
        expected[8:16, 8:24] = True
        path.write_bytes(
            cv2.imencode('.jpg',
                         expected.astype(np.uint8) * 255)[1].tobytes())
    assert np.array_equal(load(folder, 'a'), expected)


@pytest.mark.parametrize(('change', 'error', 'match'), [
    (lambda p: p.unlink(), FileNotFoundError, 'a.png'),
    (lambda p: save(p, levels()[:12]), PairError, 'a.png.*12 x 32.*24 x 32'),
    (lambda p: save(p, np.eye(*SIZE, dtype=np.uint8)), PairError,
     'a.png.*0 and 1'),
    (lambda p: p.write_bytes(p.read_bytes()[:-9]), PairError, 'a.png'),
])
def test_bad_masks(folder, change, error, match):
    change(folder / 'masks/a.png')
    with pytest.raises(error, match=match):
        load(folder, 'a')


def test_missing_files(folder):
    (folder / 'masks/b.png').unlink()
    with pytest.raises(MissingPartnerError, match='b.jpg'):
        build(folder)
    (folder / 'infrared/c.png').unlink()
    with pytest.raises(MissingPartnerError, match='c.jpg'):
        build(folder)


def test_threshold_is_checked():
    with pytest.raises(ValueError, match='300'):
        TRANSFORMS.build(
            dict(type='mmivtuning.LoadSaliencyMask', threshold=300))


def test_several_sets_with_one_pipeline(folder):
    member = dict(type='mmivtuning.VTSaliencyDataset')
    sets = DATASETS.build(
        dict(
            type='mmivtuning.SaliencyBenchmarks',
            datasets=[dict(member, name='one'),
                      dict(member, name='two')],
            data_root=str(folder),
            pipeline=PIPELINE))
    assert len(sets) == 6
    names = [sets[i]['data_samples'].dataset_name for i in range(6)]
    assert names == ['one'] * 3 + ['two'] * 3
    assert sets.metainfo['classes'] == ('background', 'salient')
    for names in (('one', 'one'), ('one', None)):
        with pytest.raises(ValueError, match='one'):
            DATASETS.build(
                dict(
                    type='mmivtuning.SaliencyBenchmarks',
                    datasets=[dict(member, name=name) for name in names]))
