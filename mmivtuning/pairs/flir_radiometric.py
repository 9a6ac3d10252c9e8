"""Radiometric JPEGs of FLIR cameras: a photograph and temperatures in one.

Read by flyr, an optional package: ``pip install flyr``.
"""

import io
from typing import NamedTuple, Optional

import numpy as np

from .errors import PairError


class Thermogram(NamedTuple):
    """What a radiometric JPEG holds.

    Attributes:
        celsius (np.ndarray): float32 (H, W).
        visible (np.ndarray, optional): B, G, R, uint8 (H', W', 3), mostly of
            another size and field of view; None if there is no photograph.
    """

    celsius: np.ndarray
    visible: Optional[np.ndarray]


def read_radiometric(data: bytes, name: str) -> Thermogram:
    """Read a radiometric JPEG.

    Args:
        data (bytes): The file.
        name (str): Its name, for messages.

    Raises:
        ImportError: If flyr is not installed.
        PairError: If the file holds no temperatures.
    """
    try:
        import flyr
    except ImportError as error:
        raise ImportError('radiometric JPEGs are read by flyr, which is not '
                          "installed: pip install flyr") from error
    try:
        thermogram = flyr.unpack(io.BytesIO(data))
        celsius = np.asarray(thermogram.celsius, dtype=np.float32)
        photograph = thermogram.optical
    # flyr raises whatever its parsing of a foreign file meets.
    except Exception as error:
        raise PairError(
            f"'{name}' is no radiometric JPEG that flyr can read: "
            f'{type(error).__name__} {error}') from error
    if celsius.ndim != 2 or not celsius.size or not np.isfinite(
            celsius).all():
        raise PairError(f"'{name}' holds no finite temperatures")
    if photograph is None:
        return Thermogram(celsius, None)
    photograph = np.asarray(photograph, dtype=np.uint8)
    if photograph.ndim == 2:
        photograph = np.repeat(photograph[..., None], 3, axis=2)
    return Thermogram(celsius, np.ascontiguousarray(photograph[..., 2::-1]))


def to_centikelvin(celsius: np.ndarray, name: str) -> np.ndarray:
    """Temperatures as hundredths of a kelvin, uint16 (H, W).

    They are read back with ``infrared_scale=(0.01, -273.15)``.

    Raises:
        PairError: If a temperature is outside -273.15 to 382.2 degrees.
    """
    values = np.rint((celsius.astype(np.float64) + 273.15) * 100)
    if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
        raise PairError(
            f"'{name}' has temperatures of {celsius.min():.1f} to "
            f'{celsius.max():.1f} degrees, expected -273.15 to 382.2')
    return values.astype(np.uint16)
