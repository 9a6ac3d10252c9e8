"""What the files of a pair are: for checkers and for reports."""

from typing import NamedTuple, Optional, Tuple

import numpy as np

from .decoding import decode_image, exif_orientation
from .reading import is_coloured


class ImageFacts(NamedTuple):
    """What one file holds.

    Attributes:
        size (tuple[int, int]): Height and width in pixels.
        channels (int): Number of stored channels: 1, 3 or 4.
        dtype (str): For example ``'uint8'``.
        low (float): Smallest value.
        high (float): Largest value.
        orientation (int): EXIF orientation, 1 is upright.
        coloured (bool): Whether the channels differ; of an infrared file that
            is a colour map.
    """

    size: Tuple[int, int]
    channels: int
    dtype: str
    low: float
    high: float
    orientation: int
    coloured: bool


class PairFacts(NamedTuple):
    """What the files of a pair hold.

    Attributes:
        visible (ImageFacts): Of the visible file, or of the 4-channel one.
        infrared (ImageFacts, optional): Of the infrared file; None if the
            first file holds both.
    """

    visible: ImageFacts
    infrared: Optional[ImageFacts]

    @property
    def same_size(self) -> bool:
        """Whether both images have one size."""
        return self.infrared is None or (
            self.visible.size == self.infrared.size)


def describe_image(data: bytes, name: str) -> ImageFacts:
    """Describe one file; raises what :func:`decode_image` raises."""
    planes = decode_image(data, name)
    return ImageFacts(
        size=(planes.shape[0], planes.shape[1]),
        channels=planes.shape[2],
        dtype=np.dtype(planes.dtype).name,
        low=float(planes.min()),
        high=float(planes.max()),
        orientation=exif_orientation(data),
        coloured=is_coloured(planes))


def describe_pair(visible_data: bytes,
                  visible_name: str,
                  infrared_data: Optional[bytes] = None,
                  infrared_name: Optional[str] = None) -> PairFacts:
    """Describe a pair; judges nothing beyond that its files decode.

    Args:
        visible_data (bytes): The visible file, or the 4-channel one.
        visible_name (str): Its name, for messages.
        infrared_data (bytes, optional): The infrared file. Default: None.
        infrared_name (str, optional): Its name, for messages.

    Raises:
        PairError: If a file cannot be decoded.
    """
    infrared = None
    if infrared_data is not None:
        infrared = describe_image(infrared_data, infrared_name or 'infrared')
    return PairFacts(describe_image(visible_data, visible_name), infrared)
