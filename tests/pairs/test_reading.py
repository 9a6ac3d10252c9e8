"""From two files, or one, to an image of four planes."""

import cv2
import numpy as np
import pytest

from mmivtuning.pairs import (
    PairError,
    decode_pair,
    describe_pair,
    is_coloured,
    read_bytes,
    read_pair,
    stretch,
    to_infrared,
    to_visible,
)

RNG = np.random.default_rng(3)
VISIBLE = RNG.integers(0, 256, (20, 31, 3), dtype=np.uint8)
INFRARED = RNG.integers(0, 256, (20, 31), dtype=np.uint8)


@pytest.fixture
def write(tmp_path):

    def _write(name, image):
        path = str(tmp_path / name)
        assert cv2.imwrite(path, image)
        return path

    return _write


def test_two_files(write):
    pair = read_pair(write('v.png', VISIBLE), write('i.png', INFRARED))
    assert pair.dtype == np.uint8
    assert pair.flags.c_contiguous
    assert np.array_equal(pair, np.dstack((VISIBLE, INFRARED)))


def test_one_file_of_four_channels(write):
    # cv2 writes B, G, R, A; on disk the order is R, G, B, infrared.
    path = write('00001D.png', np.dstack((VISIBLE, INFRARED)))
    from PIL import Image
    stored = np.asarray(Image.open(path))
    assert np.array_equal(stored[..., 0], VISIBLE[..., 2])
    assert np.array_equal(stored[..., 3], INFRARED)
    expected = np.dstack((VISIBLE, INFRARED))
    assert np.array_equal(read_pair(path), expected)
    assert np.array_equal(read_pair(path, path), expected)


def test_grey_visible_becomes_three_equal_planes(write):
    pair = read_pair(write('v.png', INFRARED), write('i.png', INFRARED))
    for plane in range(4):
        assert np.array_equal(pair[..., plane], INFRARED)


def test_infrared_of_three_equal_channels(write):
    pair = read_pair(
        write('v.png', VISIBLE), write('i.png', np.dstack([INFRARED] * 3)))
    assert np.array_equal(pair[..., 3], INFRARED)


def test_infrared_of_three_channels_through_jpeg(write):
    smooth = cv2.resize(INFRARED[:5, :8], (31, 20))
    path = write('i.jpg', np.dstack([smooth] * 3))
    pair = read_pair(write('v.png', VISIBLE), path)
    assert np.abs(pair[..., 3].astype(int) - smooth).max() <= 8
    data = read_bytes(path)
    assert not describe_pair(data, 'v', data, 'i').infrared.coloured


def test_pseudo_colour_becomes_its_lightness_and_is_reported(write):
    coloured = cv2.applyColorMap(INFRARED, cv2.COLORMAP_INFERNO)
    path = write('i.png', coloured)
    pair = read_pair(write('v.png', VISIBLE), path)
    assert np.array_equal(pair[..., 3],
                          cv2.cvtColor(coloured, cv2.COLOR_BGR2GRAY))
    assert is_coloured(coloured)
    data = read_bytes(path)
    assert describe_pair(data, 'v', data, 'i').infrared.coloured


def test_16_bits_are_stretched_per_image(write):
    deep = np.linspace(20000, 21000, 620).reshape(20, 31).astype(np.uint16)
    pair = read_pair(write('v.png', VISIBLE), write('i.png', deep))
    expected = np.rint((deep - 20000.0) / 1000 * 255)
    assert np.array_equal(pair[..., 3], expected)


def test_16_bits_with_a_fixed_range(write):
    deep = np.full((20, 31), 22000, np.uint16)
    deep[0, :3] = 0, 20000, 65535
    pair = read_pair(
        write('v.png', VISIBLE), write('i.png', deep), (20000, 24000))
    assert pair[0, :4, 3].tolist() == [0, 0, 255, 128]


def test_8_bits_stay_unless_a_range_is_given():
    planes = INFRARED[..., None] // 2
    assert np.array_equal(to_infrared(planes, 'i'), planes[..., 0])
    ranged = to_infrared(planes, 'i', (0, 127))
    assert np.array_equal(ranged, np.rint(planes[..., 0] / 127 * 255))


@pytest.mark.parametrize('dtype', [np.uint16, np.int16, np.float32,
                                   np.float64])
def test_a_constant_image_is_zero(dtype):
    plane = np.full((3, 4), 300, dtype)
    assert not stretch(plane, 'i').any()
    assert to_infrared(plane[..., None], 'i').dtype == np.uint8


def test_floats_from_tiff(write):
    celsius = np.linspace(-10, 40, 620).reshape(20, 31).astype(np.float32)
    pair = read_pair(
        write('v.png', VISIBLE), write('i.tiff', celsius), (-10, 40))
    assert pair[0, 0, 3] == 0
    assert pair[-1, -1, 3] == 255
    celsius[3, 3] = np.nan
    with pytest.raises(PairError, match=r'bad\.tiff.*NaN'):
        read_pair(write('v.png', VISIBLE), write('bad.tiff', celsius))


def test_a_range_must_increase():
    with pytest.raises(ValueError, match=r'low < high'):
        stretch(np.zeros((2, 2), np.uint16), 'i', (5, 5))


def test_16_bit_visible():
    deep = np.array([[[0], [128], [129], [257], [65535]]], np.uint16)
    assert to_visible(deep, 'v')[0, :, 0].tolist() == [0, 0, 1, 1, 255]


def test_float_visible_is_refused():
    with pytest.raises(PairError, match=r"'v\.tiff'.*float32"):
        to_visible(np.zeros((2, 2, 3), np.float32), 'v.tiff')


def test_different_sizes_name_both_files_and_sizes(write):
    visible = write('v.png', VISIBLE)
    infrared = write('i.png', INFRARED[:-1])
    with pytest.raises(PairError) as caught:
        read_pair(visible, infrared)
    for part in (visible, infrared, '20 x 31', '19 x 31'):
        assert part in str(caught.value)


@pytest.mark.parametrize('role', ['visible', 'infrared'])
def test_an_opaque_alpha_plane_is_dropped(write, role):
    opaque = np.full((20, 31, 1), 255, np.uint8)
    grey = np.dstack([INFRARED] * 3)
    visible, infrared = VISIBLE, grey
    if role == 'visible':
        visible = np.dstack((VISIBLE, opaque))
    else:
        infrared = np.dstack((grey, opaque))
    pair = read_pair(write('v.png', visible), write('i.png', infrared))
    assert np.array_equal(pair, np.dstack((VISIBLE, INFRARED)))


@pytest.mark.parametrize('role', ['visible', 'infrared'])
def test_another_alpha_plane_beside_a_second_file_is_refused(write, role):
    four = np.dstack((VISIBLE, INFRARED))
    files = [write('v.png', VISIBLE), write('i.png', INFRARED)]
    files[role == 'infrared'] = write('four.png', four)
    with pytest.raises(PairError, match=rf"four\.png' \({role}\)"):
        read_pair(*files)


def test_one_file_without_a_fourth_channel(write):
    with pytest.raises(PairError, match=r'only\.png.* has 3 channel'):
        read_pair(write('only.png', VISIBLE))


def test_one_file_with_an_opaque_alpha_plane(write):
    opaque = np.dstack((VISIBLE, np.full_like(INFRARED, 255)))
    with pytest.raises(PairError, match=r'opaque\.png.*alpha'):
        read_pair(write('opaque.png', opaque))


def test_orientations_must_agree():
    import struct
    jpeg = cv2.imencode('.jpg', VISIBLE)[1].tobytes()
    tiff = b'II*\0' + struct.pack('<IH', 8, 1) + struct.pack(
        '<HHIHH', 0x0112, 3, 1, 3, 0) + b'\0\0\0\0'
    segment = b'\xff\xe1' + struct.pack('>H', len(tiff) + 8) + b'Exif\0\0'
    turned = jpeg[:2] + segment + tiff + jpeg[2:]
    infrared = cv2.imencode('.png', INFRARED)[1].tobytes()
    with pytest.raises(PairError, match=r"'v\.jpg' has the EXIF orientat"):
        decode_pair(turned, 'v.jpg', infrared, 'i.png')
    assert decode_pair(turned, 'v.jpg', turned, 'i.jpg').shape[2] == 4


@pytest.mark.parametrize('broken', [0, 1])
def test_a_truncated_file_is_named(write, broken):
    files = [write('v.png', VISIBLE), write('i.png', INFRARED)]
    data = read_bytes(files[broken])
    with open(files[broken], 'wb') as file:
        file.write(data[:-9])
    with pytest.raises(PairError, match=rf'{files[broken]}.*truncated PNG'):
        read_pair(*files)


def test_describe_pair(write):
    deep = INFRARED.astype(np.uint16) + 1000
    deep[0, 0] = 999
    visible = read_bytes(write('v.png', VISIBLE))
    facts = describe_pair(visible, 'v', read_bytes(write('i.png', deep)), 'i')
    assert facts.visible.size == facts.infrared.size == (20, 31)
    assert facts.same_size
    assert (facts.visible.channels, facts.infrared.channels) == (3, 1)
    assert (facts.visible.dtype, facts.infrared.dtype) == ('uint8', 'uint16')
    assert facts.infrared.low == 999
    assert describe_pair(visible, 'v').infrared is None
    cropped = read_bytes(write('c.png', INFRARED[1:]))
    assert not describe_pair(visible, 'v', cropped, 'c').same_size
