"""Infrared files as cameras write them: deep, in degrees, of another size.

What ``reading`` does without being told stays as it is; everything here
is asked for.
"""

from typing import NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from .errors import PairError
from .reading import Range, drop_alpha, stretch, to_grey

ALIGNMENTS = ('error', 'resize', 'homography')


class Radiometry(NamedTuple):
    """How an infrared plane becomes 8 bits.

    Attributes:
        infrared_range (Tuple[float, float], optional): What becomes 0 and
            255: in degrees if ``scale`` is given, else in the values of the
            file. Comparable between images.
        percentiles (Tuple[float, float], optional): The same by each image,
            for example (1, 99). Not with a range.
        scale (Tuple[float, float], optional): Only with a range. Degrees are
            ``value * scale[0] + scale[1]``: (0.01, -273.15) for hundredths of
            a kelvin, (0.04, -273.15) for the usual FLIR counts.
        clahe (float, optional): Clip limit of contrast-limited adaptive
            histogram equalisation, for example 2. It undoes the comparability
            of a range.
        clahe_tiles (int): Tiles along each axis. Default: 8.
    """

    infrared_range: Optional[Range] = None
    percentiles: Optional[Range] = None
    scale: Optional[Tuple[float, float]] = None
    clahe: Optional[float] = None
    clahe_tiles: int = 8

    def checked(self) -> 'Radiometry':
        """Return itself.

        Raises:
            ValueError: If a setting makes no sense.
        """
        for name in ('infrared_range', 'percentiles'):
            value = getattr(self, name)
            if value is not None and (len(value) != 2
                                      or not value[0] < value[1]):
                raise ValueError(f'{name} must be (low, high) with low < '
                                 f'high, got {value}')
        if self.percentiles is not None:
            if self.infrared_range is not None:
                raise ValueError('give infrared_range or percentiles, not '
                                 'both')
            if self.percentiles[0] < 0 or self.percentiles[1] > 100:
                raise ValueError('percentiles must be within 0 and 100, got '
                                 f'{self.percentiles}')
        if self.scale is not None and (len(self.scale) != 2
                                       or not self.scale[0] > 0):
            raise ValueError('scale must be (degrees per value > 0, degrees '
                             f'at 0), got {self.scale}')
        if self.scale is not None and self.infrared_range is None:
            raise ValueError('infrared_scale needs an infrared_range in '
                             'degrees: without a range each image is '
                             'stretched by itself, whatever the scale')
        if self.clahe is not None and not self.clahe > 0:
            raise ValueError(f'clahe must be positive, got {self.clahe}')
        if self.clahe_tiles < 1:
            raise ValueError('clahe_tiles must be at least 1, got '
                             f'{self.clahe_tiles}')
        return self

    def convert(self, planes: np.ndarray, name: str) -> np.ndarray:
        """Bring the planes of an infrared file to 8 bits.

        Args:
            planes (np.ndarray): As decoded, any real dtype, (H, W, C).
            name (str): The file, for messages.

        Returns:
            np.ndarray: uint8 (H, W).

        Raises:
            PairError: If the channels are not 1 or 3 (or 4 with opaque
                alpha), or a value is not finite.
        """
        plane = to_grey(drop_alpha(planes, name, 'infrared'))
        if plane.dtype.kind == 'f' and not np.isfinite(plane).all():
            count = int((~np.isfinite(plane)).sum())
            raise PairError(f"'{name}' (infrared) holds {count} NaN or "
                            'infinite values')
        if self.scale is not None:
            plane = plane.astype(np.float64) * self.scale[0] + self.scale[1]
        bounds = self.infrared_range
        if self.percentiles is not None:
            low, high = np.percentile(plane, self.percentiles)
            bounds = (float(low), float(high)) if low < high else None
        if plane.dtype != np.uint8 or bounds is not None:
            plane = stretch(plane, name, bounds)
        if self.clahe is not None:
            tiles = (self.clahe_tiles, self.clahe_tiles)
            plane = cv2.createCLAHE(self.clahe, tiles).apply(plane)
        return plane


class Alignment(NamedTuple):
    """What becomes of an infrared plane of another size.

    Attributes:
        how (str): ``'error'``; ``'resize'``, if both cameras see the same
            part of the scene; ``'homography'``, which moves planes of the
            same size too.
        homography (Sequence, optional): 3 x 3: from pixels (x, y) of the
            infrared file to those of the visible one.
    """

    how: str = 'error'
    homography: Optional[Sequence] = None

    def checked(self) -> 'Alignment':
        """Return itself.

        Raises:
            ValueError: If a setting makes no sense.
        """
        if self.how not in ALIGNMENTS:
            raise ValueError(f"align must be one of {', '.join(ALIGNMENTS)}, "
                             f'got {self.how!r}')
        if (self.how == 'homography') != (self.homography is not None):
            raise ValueError("align='homography' needs a homography, and no "
                             'other align takes one')
        if self.homography is not None:
            matrix = np.asarray(self.homography, dtype=np.float64)
            if matrix.shape != (3, 3) or not np.isfinite(
                    matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
                raise ValueError('homography must be an invertible 3 x 3 '
                                 f'matrix, got {self.homography}')
        return self

    def apply(self, infrared: np.ndarray, size: Tuple[int, int]
              ) -> np.ndarray:
        """Bring an infrared plane to the size of the visible image.

        Args:
            infrared (np.ndarray): uint8 (H, W).
            size (Tuple[int, int]): Height and width of the visible image.

        Returns:
            np.ndarray: uint8, of that size unless ``how`` is ``'error'``.
            What a homography leaves open is 0.
        """
        if self.how == 'homography':
            matrix = np.asarray(self.homography, dtype=np.float64)
            return cv2.warpPerspective(infrared, matrix, size[::-1],
                                       flags=cv2.INTER_LINEAR)
        if self.how == 'resize' and infrared.shape != tuple(size):
            smaller = infrared.shape[0] > size[0]
            return cv2.resize(
                infrared, size[::-1],
                interpolation=cv2.INTER_AREA if smaller else
                cv2.INTER_LINEAR)
        return infrared
