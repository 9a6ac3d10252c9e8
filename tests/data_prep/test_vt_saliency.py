"""The converter of VT5000, VT1000 and VT821."""

import importlib
import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'data_prep'))
vt_saliency = importlib.import_module('vt_saliency')

SIZE = (24, 32)


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def soft_mask(seed: int) -> np.ndarray:
    """A disk with a soft edge that crosses the threshold."""
    rows, columns = np.mgrid[:SIZE[0], :SIZE[1]]
    distance = np.hypot(rows - 10 - seed % 3, columns - 14)
    return np.clip(255 - (distance - 5) * 60, 0, 255).astype(np.uint8)


def make(root: Path, folders: dict, suffix: str = '.png') -> None:
    for folder, count in folders.items():
        for number in range(count):
            rng = np.random.default_rng(number)
            stem = f'{number:04d}'
            part = root / folder
            save(part / 'RGB' / f'{stem}.jpg',
                 rng.integers(0, 255, (*SIZE, 3), np.uint8))
            save(part / 'T' / f'{stem}.jpg',
                 rng.integers(0, 255, SIZE, np.uint8))
            save(part / 'GT' / f'{stem}{suffix}', soft_mask(number))


@pytest.fixture
def vt5000(tmp_path) -> Path:
    make(tmp_path / 'VT5000', dict(Train=10, Test=3))
    return tmp_path / 'VT5000'


def test_vt5000(vt5000, tmp_path):
    out = tmp_path / 'out'
    assert vt_saliency.run(
        ['vt5000', str(vt5000), str(out), '--allow-subset']) == 0
    meta = json.loads((out / 'meta.json').read_text())
    assert meta['counts'] == dict(train=10, test=3, fit=9, holdout=1)
    assert meta['published'] == dict(
        train=2500, test=2500, fit=2250, holdout=250)
    fit, holdout = (set((out / f'splits/{name}.txt').read_text().split())
                    for name in ('fit', 'holdout'))
    assert not fit & holdout
    assert fit | holdout == set((out / 'splits/train.txt').read_text().split())
    for split, count in (('train', 10), ('test', 3)):
        assert len(list((out / 'masks' / split).iterdir())) == count
    written = cv2.imread(str(out / 'masks/test/0001.png'), -1)
    assert np.array_equal(written, np.where(soft_mask(1) > 128, 255, 0))


@pytest.mark.parametrize('name', ['vt1000', 'vt821'])
@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_the_test_sets(name, suffix, tmp_path):
    make(tmp_path / 'archive' / name.upper(), {'.': 4}, suffix)
    out = tmp_path / 'out'
    assert vt_saliency.run(
        [name, str(tmp_path / 'archive'), str(out), '--allow-subset']) == 0
    meta = json.loads((out / 'meta.json').read_text())
    assert meta['counts'] == dict(test=4)
    mask = cv2.imread(str(out / 'masks/test/0002.png'), -1)
    assert mask.shape == SIZE
    assert set(np.unique(mask)) == {0, 255}


def test_binary_masks_are_copied(tmp_path):
    make(tmp_path / 'VT821', {'.': 1})
    source = tmp_path / 'VT821/GT/0000.png'
    save(source, np.where(soft_mask(0) > 128, 255, 0).astype(np.uint8))
    out = tmp_path / 'out'
    assert vt_saliency.run(
        ['vt821', str(tmp_path / 'VT821'), str(out), '--allow-subset']) == 0
    assert (out / 'masks/test/0000.png').read_bytes() == source.read_bytes()


def test_published_numbers_are_expected(vt5000, tmp_path, capsys):
    out = tmp_path / 'none' / 'out'
    assert vt_saliency.run(['vt5000', str(vt5000), str(out)]) == 1
    assert 'train: found 10 pairs, published are 2500' in (
        capsys.readouterr().err)
    assert not out.exists()


@pytest.mark.parametrize(('mask', 'message'), [
    (None, 'no mask file for 0001'),
    (np.zeros((12, 32), np.uint8), '0001.png.*12 x 32.*24 x 32'),
    (np.ones(SIZE, np.uint8), '0001.png.*0 and 1'),
])
def test_bad_masks(vt5000, tmp_path, capsys, mask, message):
    path = vt5000 / 'Test/GT/0001.png'
    path.unlink()
    if mask is not None:
        save(path, mask)
    out = tmp_path / 'none' / 'out'
    assert vt_saliency.run(
        ['vt5000', str(vt5000), str(out), '--allow-subset']) == 1
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert not out.exists()


def test_empty_masks_are_told(vt5000, tmp_path, capsys):
    save(vt5000 / 'Train/GT/0003.png', np.zeros(SIZE, np.uint8))
    assert vt_saliency.run(
        ['vt5000', str(vt5000), str(tmp_path / 'out'), '--allow-subset']) == 0
    assert '0003.png: nothing is salient' in capsys.readouterr().err


def test_unknown_name(capsys):
    with pytest.raises(SystemExit):
        vt_saliency.run(['vt900', 'a', 'b'])
    assert 'vt900' in capsys.readouterr().err
