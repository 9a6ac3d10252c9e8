"""From the bytes of one image file to its planes as they are stored.

OpenCV returns ``None`` without a reason for a bad file and, depending on its
version and on the way in, a half-grey picture for a truncated one. Whether a
PNG or a JPEG is complete is therefore checked on its markers first.

Pixels are taken as they are stored: an EXIF orientation is not applied, to
neither modality, as labels are drawn on, and boxes refer to, stored pixels.
:func:`exif_orientation` reads it, so that a pair of which only one file is
marked as rotated can be refused.
"""

import struct
from typing import Iterator, Optional, Tuple

import cv2
import numpy as np

from .errors import PairError

_PNG_START = b'\x89PNG\r\n\x1a\n'
_JPEG_START = b'\xff\xd8'
_JPEG_END = b'\xff\xd9'
_JPEG_SCAN = 0xDA
_JPEG_EXIF = 0xE1
# Markers without a length: TEM, and RST0 to RST7.
_JPEG_BARE = (0x01, *range(0xD0, 0xD8))


def _png_chunks(data: bytes) -> Iterator[Tuple[bytes, int, int]]:
    """Yield type, start and end of every whole chunk's content."""
    position = len(_PNG_START)
    while position + 12 <= len(data):
        length, kind = struct.unpack_from('>I4s', data, position)
        start, end = position + 8, position + 8 + length
        if end + 4 > len(data):
            return
        yield kind, start, end
        position = end + 4


def _jpeg_segments(data: bytes) -> Iterator[Tuple[int, int, int]]:
    """Yield marker, start and end of the content, up to the first scan."""
    position = len(_JPEG_START)
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in _JPEG_BARE:
            position += 2
            continue
        length = struct.unpack_from('>H', data, position + 2)[0]
        start, end = position + 4, position + 2 + length
        if end > len(data):
            return
        yield marker, start, end
        if marker == _JPEG_SCAN:
            return
        position = end


def check_complete(data: bytes, name: str) -> None:
    """Check that a file is neither empty nor cut off.

    A PNG must reach its IEND chunk, a JPEG an end-of-image marker after its
    first scan (the one of an embedded thumbnail does not count). What follows
    them is ignored, as decoders do. Other formats are left to the decoder.

    Args:
        data (bytes): The file.
        name (str): Its name, for the message.

    Raises:
        PairError: If it is empty or truncated.
    """
    if not data:
        raise PairError(f"'{name}' is empty (0 bytes)")
    if data.startswith(_PNG_START):
        if not any(kind == b'IEND' for kind, _, _ in _png_chunks(data)):
            raise PairError(f"'{name}' is a truncated PNG: it ends after "
                            f'{len(data)} bytes without an IEND chunk')
    elif data.startswith(_JPEG_START):
        scans = [
            end for marker, _, end in _jpeg_segments(data)
            if marker == _JPEG_SCAN
        ]
        if not scans or data.rfind(_JPEG_END, scans[0]) < 0:
            raise PairError(f"'{name}' is a truncated JPEG: it ends after "
                            f'{len(data)} bytes without an end-of-image '
                            'marker')


def decode_image(data: bytes, name: str, grey: bool = False) -> np.ndarray:
    """Decode a file to its planes as they are stored.

    Args:
        data (bytes): The file, in any format that OpenCV reads.
        name (str): Its name, for messages.
        grey (bool): Whether of a JPEG the luma alone is decoded, one plane,
            in half of the time. Default: False.

    Returns:
        np.ndarray: (H, W, C) of the depth of the file; C is 1 (grey),
        3 (B, G, R) or 4 (B, G, R and what the file has as alpha). A palette
        is looked up. An EXIF orientation is not applied.

    Raises:
        PairError: If the file is empty, truncated or not an image.
    """
    check_complete(data, name)
    flags = cv2.IMREAD_UNCHANGED
    if grey and data.startswith(_JPEG_START):
        flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error as error:
        raise PairError(f"'{name}' cannot be decoded: {error}") from error
    if image is None:
        raise PairError(f"'{name}' cannot be decoded: {len(data)} bytes that "
                        'are no image, or a damaged one')
    return image if image.ndim == 3 else image[..., None]


def read_bytes(path: str) -> bytes:
    """Read a file from disk.

    Raises:
        FileNotFoundError: If there is none; the message names it.
    """
    try:
        with open(path, 'rb') as file:
            return file.read()
    except FileNotFoundError:
        raise FileNotFoundError(f"no such file: '{path}'") from None
    except IsADirectoryError:
        raise FileNotFoundError(
            f"expected a file, found a folder: '{path}'") from None


def exif_orientation(data: bytes) -> int:
    """Return the EXIF orientation of a JPEG or PNG, 1 (upright) to 8.

    1 if the file has none, or one that cannot be read.
    """
    exif: Optional[bytes] = None
    if data.startswith(_JPEG_START):
        for marker, start, end in _jpeg_segments(data):
            if (marker == _JPEG_EXIF
                    and data[start:start + 6] == b'Exif\x00\x00'):
                exif = data[start + 6:end]
                break
    elif data.startswith(_PNG_START):
        for kind, start, end in _png_chunks(data):
            if kind == b'eXIf':
                exif = data[start:end]
                break
    return 1 if exif is None else _tiff_orientation(exif)


def _tiff_orientation(exif: bytes) -> int:
    """Return tag 0x0112 of the first directory of a TIFF header."""
    order = {b'II': '<', b'MM': '>'}.get(exif[:2])
    if order is None:
        return 1
    try:
        directory = struct.unpack_from(f'{order}I', exif, 4)[0]
        count = struct.unpack_from(f'{order}H', exif, directory)[0]
        for index in range(count):
            tag, _, _, value = struct.unpack_from(
                f'{order}HHIH', exif, directory + 2 + 12 * index)
            if tag == 0x0112:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
