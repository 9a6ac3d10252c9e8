"""Decoding one file: what is refused, and what comes out."""

import struct

import cv2
import numpy as np
import pytest

from mmivtuning.pairs import (
    PairError,
    check_complete,
    decode_image,
    exif_orientation,
    read_bytes,
)


def encode(image, suffix='.png', *flags):
    return cv2.imencode(suffix, image, list(flags))[1].tobytes()


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (24, 35, 3), dtype=np.uint8)


def with_exif(jpeg, orientation, order='<'):
    """Insert an APP1 segment with that orientation after SOI."""
    header = b'II*\0' if order == '<' else b'MM\0*'
    tiff = header + struct.pack(f'{order}IH', 8, 1) + struct.pack(
        f'{order}HHIHH', 0x0112, 3, 1, orientation, 0) + b'\0\0\0\0'
    body = b'Exif\0\0' + tiff
    segment = b'\xff\xe1' + struct.pack('>H', len(body) + 2) + body
    return jpeg[:2] + segment + jpeg[2:]


@pytest.mark.parametrize('orientation', [1, 6])
def test_a_jpeg_as_grey_is_its_luma(image, orientation):
    smooth = cv2.GaussianBlur(image, (0, 0), 5)  # within the colours of a JPEG
    jpeg = with_exif(encode(smooth, '.jpg'), orientation)
    grey = decode_image(jpeg, 'a', grey=True)
    assert grey.shape == (24, 35, 1)
    luma = cv2.cvtColor(decode_image(jpeg, 'a'), cv2.COLOR_BGR2GRAY)
    assert np.abs(grey[..., 0].astype(int) - luma).max() <= 1
    equal = np.repeat(smooth[..., :1], 3, axis=2)
    jpeg = encode(equal, '.jpg')
    assert np.array_equal(
        decode_image(jpeg, 'a', grey=True),
        decode_image(jpeg, 'a')[..., :1])
    # Of other formats nothing is lost on the way.
    png = encode(image)
    assert np.array_equal(decode_image(png, 'a', grey=True), image)


@pytest.mark.parametrize('suffix', ['.png', '.bmp', '.tiff'])
def test_lossless_formats_come_back(image, suffix):
    assert np.array_equal(decode_image(encode(image, suffix), 'a'), image)


def test_grey_has_one_channel(image):
    assert decode_image(encode(image[..., 0]), 'a').shape == (24, 35, 1)


def test_four_channels_and_16_bits_are_kept(image):
    four = np.dstack((image, image[..., :1])).astype(np.uint16) * 257
    assert np.array_equal(decode_image(encode(four), 'a'), four)


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.bmp', '.tiff'])
def test_every_cut_of_a_file_is_refused_by_name(image, suffix):
    data = encode(image, suffix)
    # The last bytes of a TIFF may be padding that carries nothing.
    last = len(data) // 2 if suffix == '.tiff' else len(data)
    for end in range(0, last, 7):
        with pytest.raises(PairError, match='night/0007'):
            decode_image(data[:end], 'night/0007')


@pytest.mark.parametrize('cut', [1, 2, 4, 5, 12])
def test_a_png_without_its_last_bytes_is_truncated(image, cut):
    with pytest.raises(PairError, match=r"'a.png' is a truncated PNG"):
        check_complete(encode(image)[:-cut], 'a.png')


@pytest.mark.parametrize('cut', [1, 2, 100])
def test_a_jpeg_without_its_last_bytes_is_truncated(image, cut):
    with pytest.raises(PairError, match=r"'a.jpg' is a truncated JPEG"):
        check_complete(encode(image, '.jpg')[:-cut], 'a.jpg')


def test_the_end_of_a_thumbnail_does_not_count(image):
    jpeg = encode(image, '.jpg')
    thumbnail = encode(image[:8, :8], '.jpg')
    body = b'Exif\0\0' + thumbnail
    segment = b'\xff\xe1' + struct.pack('>H', len(body) + 2) + body
    data = jpeg[:2] + segment + jpeg[2:]
    check_complete(data, 'a.jpg')
    with pytest.raises(PairError, match='truncated JPEG'):
        check_complete(data[:-20], 'a.jpg')


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_bytes_after_the_end_are_ignored(image, suffix):
    data = encode(image, suffix)
    assert np.array_equal(
        decode_image(data + b'\0' * 33, 'a'), decode_image(data, 'a'))


def test_progressive_jpeg(image):
    data = encode(image, '.jpg', cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert decode_image(data, 'a').shape == image.shape
    with pytest.raises(PairError, match='truncated JPEG'):
        decode_image(data[:-2], 'a')


def test_a_damaged_png_is_refused(image):
    data = bytearray(encode(image))
    data[len(data) // 2] ^= 0x55
    with pytest.raises(PairError, match='a.png'):
        decode_image(bytes(data), 'a.png')


def test_empty_file():
    with pytest.raises(PairError, match=r"'a.png' is empty \(0 bytes\)"):
        decode_image(b'', 'a.png')


def test_not_an_image():
    with pytest.raises(PairError, match="'a.png' cannot be decoded"):
        decode_image(b'these are labels, really', 'a.png')


def test_palette_is_looked_up(tmp_path):
    from PIL import Image
    picture = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), 'P')
    picture.putpalette([10, 20, 30, 40, 50, 60] + [0] * 762)
    picture.save(tmp_path / 'p.png')
    planes = decode_image(read_bytes(tmp_path / 'p.png'), 'p')
    assert planes[0].tolist() == [[30, 20, 10], [60, 50, 40]]


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('orientation', [1, 3, 6, 8])
def test_exif_orientation_is_read_and_not_applied(image, orientation, order):
    jpeg = encode(image, '.jpg')
    marked = with_exif(jpeg, orientation, order)
    assert exif_orientation(marked) == orientation
    assert np.array_equal(decode_image(marked, 'a'), decode_image(jpeg, 'a'))


@pytest.mark.parametrize('data', [
    b'', b'\xff\xd8', b'\xff\xd8\xff', b'\xff\xd8\xff\xe1\x00\x08Exif\0\0',
    b'\x89PNG\r\n\x1a\n', b'BM'
])
def test_orientation_of_anything_else_is_upright(data):
    assert exif_orientation(data) == 1


def test_exif_of_a_png(image):
    data = encode(image)
    tiff = b'II*\0' + struct.pack('<IH', 8, 1) + struct.pack(
        '<HHIHH', 0x0112, 3, 1, 6, 0) + b'\0\0\0\0'
    chunk = struct.pack('>I', len(tiff)) + b'eXIf' + tiff + b'\0\0\0\0'
    assert exif_orientation(data[:33] + chunk + data[33:]) == 6


def test_read_bytes_names_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'absent\.png'):
        read_bytes(tmp_path / 'absent.png')
    with pytest.raises(FileNotFoundError, match='a folder'):
        read_bytes(tmp_path)
