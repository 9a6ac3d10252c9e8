"""From the files of a pair to one image, ``uint8 (H, W, 4)``.

The planes are B, G, R, infrared. A pair comes as two files, or as one
4-channel file as MFNet is distributed, whose alpha plane is the infrared
image. Every function takes names or paths only to name them in errors, except
:func:`read_pair`, which reads from disk.

What becomes of unusual files:

- grey visible image: three equal planes;
- 16-bit visible image: divided by 257, so that 65535 becomes 255;
- colour infrared image: its grey value, of a JPEG its luma. Where the channels
  are equal, up to what JPEG does to them, that loses nothing. Of a
  *pseudo-colour* image it is the lightness of the colour map, which need not
  grow with temperature;
  :func:`~mmivtuning.pairs.describing.describe_pair` reports these;
- infrared image of more than 8 bits, or of floats: stretched linearly, see
  :func:`to_infrared`;
- alpha plane of one of two files: dropped if it is opaque everywhere, else an
  error, because the file may be a pair by itself;
- EXIF orientation: not applied, an error where the two files differ.
"""

from typing import Callable, Optional, Tuple

import cv2
import numpy as np

from .decoding import decode_image, exif_orientation, read_bytes
from .errors import PairError

# Largest difference, in 8-bit grey values, between the channels of a grey
# image that went through a colour JPEG.
GREY_TOLERANCE = 16

Range = Tuple[float, float]


def _opaque(alpha: np.ndarray) -> bool:
    """Whether an alpha plane says nothing."""
    return bool((alpha == np.iinfo(alpha.dtype).max).all()) if (
        alpha.dtype.kind == 'u') else False


def drop_alpha(planes: np.ndarray, name: str, role: str) -> np.ndarray:
    """Drop an opaque alpha plane.

    Raises:
        PairError: If the fourth plane is not opaque, or the number of
            channels is not one of 1, 3, 4.
    """
    channels = planes.shape[2]
    if channels not in (1, 3, 4):
        raise PairError(f"'{name}' ({role}) has {channels} channels, expected "
                        '1 or 3')
    if channels < 4:
        return planes
    if not _opaque(planes[..., 3]):
        raise PairError(
            f"'{name}' ({role}) has 4 channels and the fourth is not an "
            'opaque alpha plane. If the file is a whole pair, as those of '
            'MFNet are, give no second file; else store it without alpha')
    return planes[..., :3]


def _photograph(planes: np.ndarray, name: str) -> np.ndarray:
    """Bring the planes of a visible file to uint8, 1 or 3 of them.

    Raises:
        PairError: See :func:`to_visible`.
    """
    planes = drop_alpha(planes, name, 'visible')
    if planes.dtype == np.uint16:
        return ((planes.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if planes.dtype != np.uint8:
        raise PairError(f"'{name}' (visible) holds {planes.dtype}, expected "
                        'uint8 or uint16')
    return planes


def to_visible(planes: np.ndarray, name: str) -> np.ndarray:
    """Bring the planes of a visible file to the three of a pair.

    Args:
        planes (np.ndarray): As decoded, uint8 or uint16 (H, W, C).
        name (str): The file, for messages.

    Returns:
        np.ndarray: uint8 (H, W, 3), B, G, R.

    Raises:
        PairError: If the channels or the depth are none of a photograph.
    """
    planes = _photograph(planes, name)
    return planes if planes.shape[2] == 3 else np.repeat(planes, 3, axis=2)


def stretch(plane: np.ndarray,
            name: str,
            infrared_range: Optional[Range] = None) -> np.ndarray:
    r"""Map a plane linearly to 8 bits.

    .. math::
        y = 255 \cdot \mathrm{clip}\left(
            \frac{x - low}{high - low}, 0, 1\right), \text{ rounded}

    Args:
        plane (np.ndarray): Any real dtype, (H, W).
        name (str): The file, for messages.
        infrared_range (tuple[float, float], optional): ``(low, high)`` in the
            values of the file. None: the smallest and the largest value of
            this image; an image of one value becomes 0.

    Returns:
        np.ndarray: uint8 (H, W).

    Raises:
        PairError: If the plane holds NaN or infinity.
        ValueError: If the range is not increasing.
    """
    if plane.dtype.kind == 'f' and not np.isfinite(plane).all():
        raise PairError(f"'{name}' (infrared) holds NaN or infinite values")
    if infrared_range is None:
        low, high = float(plane.min()), float(plane.max())
        if low == high:
            return np.zeros(plane.shape, dtype=np.uint8)
    else:
        low, high = (float(bound) for bound in infrared_range)
        if not low < high:
            raise ValueError('infrared_range must be (low, high) with low < '
                             f'high, got {tuple(infrared_range)}')
    # float64: radiometric floats may use up the precision of float32.
    share = (plane.astype(np.float64) - low) / (high - low)
    return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


def to_grey(planes: np.ndarray) -> np.ndarray:
    """Return the grey plane (H, W) of 1 or 3 planes (H, W, C).

    Equal channels come back unchanged, whatever the depth.
    """
    if planes.shape[2] == 1:
        return planes[..., 0]
    if planes.dtype.type in (np.uint8, np.uint16, np.float32):
        planes = np.ascontiguousarray(planes)
        first, *others = cv2.split(planes[..., :3])
        # Several times as fast as comparing slices.
        if all(cv2.norm(first, plane, cv2.NORM_INF) == 0
               for plane in others):
            return first
        return cv2.cvtColor(planes, cv2.COLOR_BGR2GRAY)
    if (np.array_equal(planes[..., 0], planes[..., 1])
            and np.array_equal(planes[..., 1], planes[..., 2])):
        return planes[..., 0]
    return planes @ np.array([0.114, 0.587, 0.299])


def is_coloured(planes: np.ndarray) -> bool:
    """Whether the channels of 3 planes differ by more than JPEG explains.

    That is for more than one pixel in a hundred, as compression may do
    anything to a few.
    """
    if planes.shape[2] < 3:
        return False
    wide = planes[..., :3].astype(np.float32)
    spread = wide.max(axis=2) - wide.min(axis=2)
    scale = 257.0 if planes.dtype == np.uint16 else 1.0
    return float((spread > GREY_TOLERANCE * scale).mean()) > 0.01


def to_infrared(planes: np.ndarray,
                name: str,
                infrared_range: Optional[Range] = None) -> np.ndarray:
    """Bring the planes of an infrared file to the one of a pair.

    Args:
        planes (np.ndarray): As decoded, any real dtype, (H, W, C).
        name (str): The file, for messages.
        infrared_range (tuple[float, float], optional): ``(low, high)`` in the
            values of the file, mapped to 0 and 255, whatever the depth. None:
            8-bit files stay as they are, deeper ones are stretched from the
            smallest to the largest value *of each image*. Absolute
            temperatures are comparable between images only with a range.

    Returns:
        np.ndarray: uint8 (H, W).

    Raises:
        PairError: If the channels are not 1 or 3 (or 4 with opaque alpha), or
            a value is not finite.
    """
    plane = to_grey(drop_alpha(planes, name, 'infrared'))
    if plane.dtype == np.uint8 and infrared_range is None:
        return plane
    return stretch(plane, name, infrared_range)


def stack_pair(visible: np.ndarray, infrared: np.ndarray, visible_name: str,
               infrared_name: str) -> np.ndarray:
    """Stack the modalities to one image.

    Args:
        visible (np.ndarray): uint8 (H, W, 3), B, G, R, or grey (H, W, 1).
        infrared (np.ndarray): uint8 (H, W).
        visible_name (str): For messages.
        infrared_name (str): For messages.

    Returns:
        np.ndarray: uint8 (H, W, 4), B, G, R, infrared, contiguous.

    Raises:
        PairError: If the sizes differ.
    """
    if visible.shape[:2] != infrared.shape[:2]:
        sizes = [
            '{} x {}'.format(*image.shape[:2]) for image in (visible, infrared)
        ]
        raise PairError(
            'the images of a pair must have one size, (height x width): '
            f"'{visible_name}' (visible) is {sizes[0]}, '{infrared_name}' "
            f'(infrared) is {sizes[1]}')
    # Twenty times as fast as np.dstack.
    planes = cv2.split(visible)
    return cv2.merge([*(planes * (3 // len(planes))), infrared])


def split_pair_file(planes: np.ndarray,
                    name: str) -> Tuple[np.ndarray, np.ndarray]:
    """Split a decoded 4-channel file into visible and infrared planes.

    Args:
        planes (np.ndarray): (H, W, 4) as OpenCV decodes R, G, B + infrared in
            the alpha plane: B, G, R, infrared.
        name (str): The file, for messages.

    Returns:
        tuple[np.ndarray, np.ndarray]: (H, W, 3) and (H, W, 1).

    Raises:
        PairError: If there are not four channels, or if the fourth is an
            opaque alpha plane.
    """
    if planes.shape[2] != 4:
        raise PairError(
            f"'{name}' has {planes.shape[2]} channel(s). A pair in one file "
            'needs 4: R, G, B and the infrared image in the alpha plane; '
            'give a second file otherwise')
    if _opaque(planes[..., 3]):
        raise PairError(f"'{name}' has an opaque alpha plane (the largest "
                        'value everywhere), not an infrared image, as its '
                        'fourth channel')
    return planes[..., :3], planes[..., 3:]


def decode_pair(visible_data: bytes,
                visible_name: str,
                infrared_data: Optional[bytes] = None,
                infrared_name: Optional[str] = None,
                infrared_range: Optional[Range] = None,
                convert: Optional[Callable] = None,
                align: Optional[Callable] = None) -> np.ndarray:
    """Decode a pair of two files, or of one 4-channel file.

    Args:
        visible_data (bytes): The visible file, or the 4-channel one.
        visible_name (str): Its name, for messages.
        infrared_data (bytes, optional): The infrared file; None if the first
            file holds both. Default: None.
        infrared_name (str, optional): Its name, for messages.
        infrared_range (tuple[float, float], optional): See
            :func:`to_infrared`. Default: None.
        convert (callable, optional): Takes the infrared planes and a name,
            in place of :func:`to_infrared`:
            :meth:`~mmivtuning.pairs.radiometry.Radiometry.convert`.
        align (callable, optional): Takes the infrared plane and the size of
            the visible image:
            :meth:`~mmivtuning.pairs.radiometry.Alignment.apply`.

    Returns:
        np.ndarray: uint8 (H, W, 4), B, G, R, infrared.

    Raises:
        PairError: If a file is unusable or the two do not fit each other.
    """
    planes = decode_image(visible_data, visible_name)
    if infrared_data is None:
        infrared_name = visible_name
        visible, infrared = split_pair_file(planes, visible_name)
    else:
        infrared_name = infrared_name or 'infrared'
        visible = planes
        infrared = decode_image(infrared_data, infrared_name, grey=True)
        orientations = (exif_orientation(visible_data),
                        exif_orientation(infrared_data))
        if orientations[0] != orientations[1]:
            raise PairError(
                f"'{visible_name}' has the EXIF orientation "
                f"{orientations[0]}, '{infrared_name}' {orientations[1]} (1 "
                'is upright): store both upright')
    return combine_planes(visible, infrared, visible_name, infrared_name,
                          infrared_range, convert, align)


def combine_planes(visible: np.ndarray,
                   infrared: np.ndarray,
                   visible_name: str,
                   infrared_name: str,
                   infrared_range: Optional[Range] = None,
                   convert: Optional[Callable] = None,
                   align: Optional[Callable] = None) -> np.ndarray:
    """Make a pair of planes that were decoded, or never were in a file.

    Args:
        visible (np.ndarray): uint8 or uint16 (H, W, C), B, G, R or grey.
        infrared (np.ndarray): Any real dtype, (H, W, C).
        visible_name (str): For messages.
        infrared_name (str): For messages.
        infrared_range (tuple[float, float], optional): See
            :func:`to_infrared`. Default: None.
        convert (callable, optional): See :func:`decode_pair`.
        align (callable, optional): Likewise.

    Returns:
        np.ndarray: uint8 (H, W, 4), B, G, R, infrared.

    Raises:
        PairError: If an image is unusable or the two do not fit each other.
    """
    visible = _photograph(visible, visible_name)
    if convert is None:
        infrared = to_infrared(infrared, infrared_name, infrared_range)
    else:
        infrared = convert(infrared, infrared_name)
    if align is not None:
        infrared = align(infrared, visible.shape[:2])
    return stack_pair(visible, infrared, visible_name, infrared_name)


def read_pair(visible_path: str,
              infrared_path: Optional[str] = None,
              infrared_range: Optional[Range] = None) -> np.ndarray:
    """Read a pair from disk.

    Args:
        visible_path (str): The visible file, or one 4-channel file.
        infrared_path (str, optional): The infrared file; None, or the same
            path, if the first holds both. Default: None.
        infrared_range (tuple[float, float], optional): See
            :func:`to_infrared`. Default: None.

    Returns:
        np.ndarray: uint8 (H, W, 4), B, G, R, infrared.

    Raises:
        FileNotFoundError: If a file does not exist.
        PairError: If a file is unusable or the two do not fit each other.
    """
    visible_path = str(visible_path)
    visible_data = read_bytes(visible_path)
    if infrared_path is None or str(infrared_path) == visible_path:
        return decode_pair(
            visible_data, visible_path, infrared_range=infrared_range)
    infrared_path = str(infrared_path)
    return decode_pair(visible_data, visible_path, read_bytes(infrared_path),
                       infrared_path, infrared_range)
