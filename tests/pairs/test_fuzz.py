"""Foreign, damaged and odd files: a clear error or the right pair."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmivtuning.pairs import PairError, decode_pair, read_pair

RNG = np.random.default_rng(11)
COLOUR = cv2.resize(RNG.integers(0, 256, (5, 7, 3), np.uint8), (41, 33))
GREY = cv2.resize(RNG.integers(0, 256, (5, 7), np.uint8), (41, 33))
LOSSLESS = ('.png', '.bmp', '.tiff', '.webp')


def encode(image, suffix):
    flags = [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == '.webp' else []
    return cv2.imencode(suffix, image, flags)[1].tobytes()


def pillow(image, mode, kind, **settings):
    stream = io.BytesIO()
    Image.fromarray(image).convert(mode).save(stream, kind, **settings)
    return stream.getvalue()


def outcome(visible, infrared):
    """The pair, or None if it was refused with a message."""
    try:
        pair = decode_pair(visible, 'v.png', infrared, 'i.png')
    except PairError as error:
        assert 'v.png' in str(error) or 'i.png' in str(error)  # noqa: PT017
        return None
    assert pair.dtype == np.uint8
    assert pair.ndim == 3
    assert pair.shape[2] == 4
    return pair


@pytest.mark.parametrize('suffix', LOSSLESS)
def test_lossless_formats_are_exact_whatever_their_names(suffix):
    visible, infrared = encode(COLOUR, suffix), encode(GREY, suffix)
    pair = outcome(visible, infrared)
    assert np.array_equal(pair, np.dstack([COLOUR, GREY]))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from([*LOSSLESS, '.jpg']), st.floats(0, 0.999),
       st.booleans())
def test_a_file_that_is_cut_off_is_refused(suffix, share, of_infrared):
    files = [encode(COLOUR, suffix), encode(GREY, suffix)]
    cut = files[of_infrared]
    files[of_infrared] = cut[:int(share * (len(cut) - 1))]
    pair = outcome(*files)
    if pair is not None:
        # Only what follows the pixels may be missing.
        whole = decode_pair(encode(COLOUR, suffix), 'v', encode(GREY, suffix))
        assert np.array_equal(pair, whole)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from([*LOSSLESS, '.jpg']), st.data())
def test_damage_never_crashes(suffix, data):
    infrared = bytearray(encode(GREY, suffix))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(infrared) - 1))
        infrared[place] = data.draw(st.integers(0, 255))
    pair = outcome(encode(COLOUR, suffix), bytes(infrared))
    # Bytes of JPEG, BMP or TIFF pixels may say anything; where both images
    # are read, the visible one is untouched.
    if pair is not None and suffix != '.jpg':
        assert np.array_equal(pair[..., :3], COLOUR)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_noise_is_refused(noise):
    assert outcome(noise, encode(GREY, '.png')) is None
    assert outcome(encode(COLOUR, '.png'), noise) is None


def test_huge_sizes_in_a_header_are_refused():
    header = b'IHDR' + struct.pack('>IIBBBBB', 2**31 - 1, 2**31 - 1, 8, 0, 0,
                                   0, 0)
    data = (b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + header +
            struct.pack('>I', zlib.crc32(header)))
    body = zlib.compress(b'\0' * 10)
    for kind, content in ((b'IDAT', body), (b'IEND', b'')):
        data += struct.pack('>I', len(content)) + kind + content
        data += struct.pack('>I', zlib.crc32(kind + content))
    assert outcome(data, encode(GREY, '.png')) is None


def test_one_pixel():
    pair = outcome(encode(COLOUR[:1, :1], '.png'), encode(GREY[:1, :1],
                                                          '.png'))
    assert pair.shape == (1, 1, 4)
    assert pair[0, 0].tolist() == [*COLOUR[0, 0].tolist(), GREY[0, 0]]


def test_palette_is_looked_up():
    rgb = np.repeat((GREY // 64 * 60)[..., None], 3, axis=2)
    data = pillow(rgb, 'P', 'PNG')
    assert np.array_equal(outcome(data, encode(GREY, '.png'))[..., 2],
                          np.array(Image.open(io.BytesIO(data)).convert('RGB')
                                   )[..., 0])


def test_cmyk_is_a_colour_picture():
    data = pillow(COLOUR[..., ::-1], 'CMYK', 'JPEG', quality=98)
    pair = outcome(data, encode(GREY, '.png'))
    assert pair is None or np.abs(
        pair[..., :3].astype(int) - COLOUR).mean() < 6


def test_alpha():
    alpha = np.full_like(GREY, 255)
    opaque = encode(np.dstack([COLOUR, alpha]), '.png')
    assert np.array_equal(outcome(opaque, encode(GREY, '.png')),
                          np.dstack([COLOUR, GREY]))
    alpha[3, 3] = 0
    holed = encode(np.dstack([COLOUR, alpha]), '.png')
    assert outcome(holed, encode(GREY, '.png')) is None


def test_a_rotation_of_one_file_only_is_refused():
    exif = Image.Exif()
    exif[0x0112] = 6
    marked = pillow(COLOUR[..., ::-1], 'RGB', 'JPEG', exif=exif)
    assert outcome(marked, encode(GREY, '.png')) is None
    both = pillow(np.dstack([GREY] * 3), 'RGB', 'JPEG', exif=exif)
    assert outcome(marked, both).shape == (33, 41, 4)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_values_that_are_no_numbers(value):
    plane = GREY.astype(np.float32)
    plane[1, 2] = value
    assert outcome(encode(COLOUR, '.png'), encode(plane, '.tiff')) is None


def test_animations_give_no_wrong_pair():
    stream = io.BytesIO()
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    frames[0].save(stream, 'TIFF', save_all=True, append_images=frames[1:])
    pair = outcome(encode(COLOUR, '.png'), stream.getvalue())
    assert pair is None or np.array_equal(pair[..., 3], GREY)


def test_folders_and_absent_files(tmp_path):
    with pytest.raises(FileNotFoundError, match='folder'):
        read_pair(str(tmp_path))
    with pytest.raises(FileNotFoundError, match='no such file'):
        read_pair(str(tmp_path / 'none.png'))
