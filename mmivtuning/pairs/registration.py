"""How far the modalities of a pair are out of register: an estimate.

Gradients are compared, as what is bright in one modality may be dark in the
other. Tiles of the visible image are searched for in the infrared one by
normalised cross-correlation (OpenCV's ``matchTemplate``): unlike one phase
correlation of the whole frame, that sees a deformation that has no common
shift. The estimate is the mean length of the tiles' shifts, weighted by the
squares of their correlations. It ranks pairs of a set; it is no measurement
in pixels, as tiles without common structure add chance shifts to all pairs.
"""

from typing import NamedTuple, Optional, Tuple

import cv2
import numpy as np

# Pixels, at the working scale of at most LONG_SIDE.
LONG_SIDE = 640
TILE = 96
REACH = 16
_BLUR = 1.5
# Standard deviation of the log gradient under which a tile shows nothing.
_STRUCTURE = 0.15


class Misalignment(NamedTuple):
    """An estimate for one pair, in pixels of the files.

    Attributes:
        pixels (float): Weighted mean length of the shifts of the tiles.
        shift (Tuple[float, float]): Median shift (x, y) of the infrared
            image against the visible one.
        confidence (float): Mean correlation of the tiles, -1 to 1; little
            can be said below 0.2.
        tiles (int): How many tiles have structure in both modalities.
    """

    pixels: float
    shift: Tuple[float, float]
    confidence: float
    tiles: int


def gradient(plane: np.ndarray) -> np.ndarray:
    """Log of the gradient's length, float32 (H, W), slightly blurred."""
    smooth = cv2.GaussianBlur(plane.astype(np.float32), (0, 0), _BLUR)
    return np.log1p(
        cv2.magnitude(
            cv2.Sobel(smooth, cv2.CV_32F, 1, 0),
            cv2.Sobel(smooth, cv2.CV_32F, 0, 1)))


def estimate_misalignment(visible: np.ndarray,
                          infrared: np.ndarray) -> Optional[Misalignment]:
    """Estimate the misalignment of a pair.

    Args:
        visible (np.ndarray): Grey, uint8 (H, W).
        infrared (np.ndarray): uint8 (H, W).

    Returns:
        Misalignment, optional: None if no tile has structure in both.
    """
    scale = max(1.0, max(visible.shape) / LONG_SIDE)
    if scale > 1:
        size = (round(visible.shape[1] / scale),
                round(visible.shape[0] / scale))
        visible, infrared = (
            cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
            for plane in (visible, infrared))
    shifts = _tile_shifts(gradient(visible), gradient(infrared))
    if not len(shifts):
        return None
    weights = np.maximum(shifts[:, 2], 1e-3)**2
    lengths = np.hypot(shifts[:, 0], shifts[:, 1])
    median = np.median(shifts[:, :2], axis=0) * scale
    return Misalignment(
        round(float(np.average(lengths, weights=weights) * scale), 2),
        (round(float(median[0]), 1), round(float(median[1]), 1)),
        round(float(shifts[:, 2].mean()), 3), len(shifts))


def _tile_shifts(visible: np.ndarray, infrared: np.ndarray) -> np.ndarray:
    """Shift and correlation of every tile, float (N, 3): x, y, peak."""
    height, width = visible.shape
    # Small images: at least a few tiles, of at least 16 pixels.
    reach = min(REACH, min(height, width) // 8)
    tile = min(TILE, (min(height, width) - 2 * reach) // 2)
    if tile < 16 or reach < 2:
        return np.empty((0, 3))
    found = []
    for top in range(reach, height - tile - reach + 1, tile // 2):
        for left in range(reach, width - tile - reach + 1, tile // 2):
            patch = visible[top:top + tile, left:left + tile]
            area = infrared[top - reach:top + tile + reach,
                            left - reach:left + tile + reach]
            if min(patch.std(), area.std()) < _STRUCTURE:
                continue
            scores = cv2.matchTemplate(area, patch, cv2.TM_CCOEFF_NORMED)
            _, peak, _, (x, y) = cv2.minMaxLoc(scores)
            found.append((x - reach, y - reach, peak))
    return np.array(found).reshape(-1, 3)
