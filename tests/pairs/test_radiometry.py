"""Deep infrared files, degrees, other sizes, radiometric JPEGs."""

import json
import sys
import types

import cv2
import numpy as np
import pytest

from mmivtuning.pairs import PairError
from mmivtuning.pairs.flir_radiometric import (
    read_radiometric,
    to_centikelvin,
)
from mmivtuning.pairs.radiometry import Alignment, Radiometry
from mmivtuning.transforms import LoadPairedImage

RNG = np.random.default_rng(3)
CELSIUS = RNG.uniform(-10, 60, (40, 50))
VISIBLE = RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)


def load(tmp_path, infrared, suffix='.png', **settings):
    paths = dict(img_path=str(tmp_path / 'v.png'),
                 infrared_path=str(tmp_path / f'i{suffix}'))
    assert cv2.imwrite(paths['img_path'], VISIBLE)
    assert cv2.imwrite(paths['infrared_path'], infrared)
    return LoadPairedImage(**settings)(paths)['img']


@pytest.mark.parametrize(('stored', 'suffix', 'scale'), [
    (to_centikelvin(CELSIUS, ''), '.png', (0.01, -273.15)),
    (to_centikelvin(CELSIUS, ''), '.tiff', (0.01, -273.15)),
    (CELSIUS.astype(np.float32), '.tiff', None),
    (np.rint((CELSIUS + 273.15) / 0.04).astype(np.uint16), '.tiff',
     (0.04, -273.15)),
])
def test_degrees_are_comparable_whatever_the_file(tmp_path, stored, suffix,
                                                  scale):
    image = load(tmp_path, stored, suffix, infrared_range=(0, 50),
                 infrared_scale=scale)
    expected = np.clip(CELSIUS / 50, 0, 1) * 255
    assert np.abs(image[..., 3] - expected).max() <= 0.62


def test_percentiles_ignore_a_hot_pixel(tmp_path):
    deep = RNG.integers(7000, 8000, (40, 50)).astype(np.uint16)
    deep[0, 0] = 65535
    plain = load(tmp_path, deep)[..., 3]
    image = load(tmp_path, deep, infrared_percentiles=(1, 99))[..., 3]
    assert plain[1:].max() < 10
    assert (image[1:].min(), image[1:].max()) == (0, 255)
    low, high = np.percentile(deep, (1, 99))
    expected = np.rint(np.clip((deep - low) / (high - low), 0, 1) * 255)
    assert np.array_equal(image, expected)
    flat = load(tmp_path, np.full((40, 50), 9, np.uint16),
                infrared_percentiles=(1, 99))
    assert not flat[..., 3].any()


def test_clahe_raises_contrast_and_leaves_the_visible_planes(tmp_path):
    dull = (100 + 10 * np.sin(np.arange(2000) / 9)).reshape(40, 50)
    plain = load(tmp_path, dull.astype(np.uint8))
    image = load(tmp_path, dull.astype(np.uint8), infrared_clahe=2.)
    assert np.array_equal(image[..., :3], VISIBLE)
    assert image[..., 3].std() > 1.5 * plain[..., 3].std()


def test_nan_is_refused(tmp_path):
    broken = CELSIUS.astype(np.float32)
    broken[3, 4] = np.nan
    with pytest.raises(PairError, match=r'i\.tiff.*1 NaN'):
        load(tmp_path, broken, '.tiff', infrared_range=(0, 50))


def test_other_sizes_are_never_silent(tmp_path):
    small = RNG.integers(0, 256, (20, 25), dtype=np.uint8)
    with pytest.raises(PairError, match='must have one size'):
        load(tmp_path, small)
    image = load(tmp_path, small, align='resize')
    assert np.array_equal(
        image[..., 3], cv2.resize(small, (50, 40)))
    large = RNG.integers(0, 256, (80, 100), dtype=np.uint8)
    assert load(tmp_path, large, align='resize').shape == (40, 50, 4)


def test_homography_maps_infrared_to_visible_pixels(tmp_path):
    plane = np.zeros((40, 50), np.uint8)
    plane[10, 20] = 255
    image = load(tmp_path, plane, align='homography',
                 homography=[[1, 0, 5], [0, 1, -3], [0, 0, 1]])
    assert np.argwhere(image[..., 3] == 255).tolist() == [[7, 25]]


@pytest.mark.parametrize('settings', [
    dict(align='stretch'), dict(align='homography'),
    dict(homography=np.eye(3)),
    dict(align='homography', homography=np.zeros((3, 3))),
    dict(infrared_percentiles=(1, 101)), dict(infrared_percentiles=(5, 5)),
    dict(infrared_percentiles=(1, 99), infrared_range=(0, 1)),
    dict(infrared_scale=(0, 1)), dict(infrared_clahe=0),
    dict(infrared_scale=(0.01, -273.15)),
    dict(infrared_scale=(0.01, -273.15), infrared_percentiles=(1, 99)),
])
def test_bad_settings_are_refused(settings):
    with pytest.raises(
            ValueError, match='align|homography|must be|not both|needs an'):
        LoadPairedImage(**settings)


def test_settings_are_shown():
    text = repr(LoadPairedImage(infrared_clahe=2., align='resize'))
    assert 'clahe=2.0' in text
    assert "how='resize'" in text
    assert Radiometry().checked() == Radiometry()
    assert Alignment().checked() == Alignment()


@pytest.fixture
def flyr(monkeypatch):
    """Stand in for the optional package."""
    module = types.ModuleType('flyr')

    def unpack(stream):
        content = stream.read()
        if not content.startswith(b'radiometric'):
            raise ValueError('no APP1')
        return types.SimpleNamespace(
            celsius=CELSIUS,
            optical=None if b'blind' in content else np.dstack(
                [np.full((80, 100), v, np.uint8) for v in (9, 5, 1)]))

    module.unpack = unpack
    monkeypatch.setitem(sys.modules, 'flyr', module)


def test_radiometric_jpeg(flyr):
    found = read_radiometric(b'radiometric', 'a.jpg')
    assert np.allclose(found.celsius, CELSIUS, atol=1e-5)
    assert found.visible[0, 0].tolist() == [1, 5, 9]
    assert read_radiometric(b'radiometric blind', 'a.jpg').visible is None
    with pytest.raises(PairError, match=r"'a\.jpg'.*no APP1"):
        read_radiometric(b'other', 'a.jpg')


def test_without_flyr_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'flyr', None)
    with pytest.raises(ImportError, match='pip install flyr'):
        read_radiometric(b'radiometric', 'a.jpg')


def test_unpacking_a_folder(flyr, tmp_path, monkeypatch, capsys):
    from pathlib import Path
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / 'data_prep')
    monkeypatch.delitem(sys.modules, 'flir_radiometric', raising=False)
    script = __import__('flir_radiometric')
    source, out = tmp_path / 'in', tmp_path / 'out'
    source.mkdir()
    (source / 'a.jpg').write_bytes(b'radiometric')
    assert script.run([str(source), str(out)]) == 1
    assert 'give --align' in capsys.readouterr().err
    assert not out.exists()
    assert script.run([str(source), str(out), '--align', 'resize']) == 0
    visible = cv2.imread(str(out / 'visible/a.png'))
    infrared = cv2.imread(str(out / 'infrared/a.png'), -1)
    assert visible.shape == (80, 100, 3)
    assert (infrared.shape, infrared.dtype) == ((80, 100), np.uint16)
    matrix = tmp_path / 'h.json'
    matrix.write_text(json.dumps(np.diag([2, 2, 1]).tolist()))
    assert script.run([str(source), str(tmp_path / 'b'), '--align',
                       'homography', '--homography', str(matrix)]) == 0
    (source / 'b.jpg').write_bytes(b'plain')
    assert script.run([str(source), str(tmp_path / 'c'), '--align',
                       'resize']) == 1
    assert 'b.jpg' in capsys.readouterr().err
    assert not (tmp_path / 'c').exists()
