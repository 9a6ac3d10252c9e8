"""What a scene is painted on: the optical and thermal state of each pixel."""

from functools import lru_cache
from typing import Optional, Sequence, Tuple

import cv2
import numpy as np

Colour = Tuple[float, float, float]

# Vertices are passed to OpenCV in fixed point, so that small shapes keep
# their sub-pixel position.
_SHIFT = 4


class Camera:
    """A pinhole camera above a flat street.

    The world is metric: ``right`` of the axis, ``up`` from the ground,
    ``depth`` along the street.

    Args:
        focal (float): Focal length in pixels.
        horizon (float): Row of the horizon.
        centre (float): Column of the vanishing point.
        height (float): Height above the ground in metres. Default: 2.2.
    """

    def __init__(self,
                 focal: float,
                 horizon: float,
                 centre: float,
                 height: float = 2.2) -> None:
        self.focal = focal
        self.horizon = horizon
        self.centre = centre
        self.height = height

    def project(self, right: np.ndarray, up: np.ndarray,
                depth: np.ndarray) -> np.ndarray:
        """Map points of the world to pixels.

        Args:
            right (np.ndarray): Shape (N, ), metres.
            up (np.ndarray): Shape (N, ), metres.
            depth (np.ndarray): Shape (N, ) or scalar, metres, positive.

        Returns:
            np.ndarray: Columns and rows, shape (N, 2), float64.
        """
        right, up = np.asarray(right, float), np.asarray(up, float)
        columns = self.centre + self.focal * right / depth
        rows = self.horizon + self.focal * (self.height - up) / depth
        return np.stack([columns, rows], axis=-1)

    def reach(self, depth: float, width: int) -> float:
        """Half of the street's width in metres that is seen at a depth."""
        return 0.5 * width * depth / self.focal


class Canvas:
    """Per-pixel state of a scene, painted from far to near.

    Args:
        height (int): Rows.
        width (int): Columns.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height = height
        self.width = width
        # reflectance, B, G, R, 0-1
        self.albedo = np.zeros((height, width, 3), np.float32)
        # visible light that a surface gives by itself, B, G, R, 0-1 or more
        self.emission = np.zeros((height, width, 3), np.float32)
        # how much of the camera's own light comes straight back, 0-1
        self.retro = np.zeros((height, width), np.float32)
        # what the infrared camera sees, 0-1
        self.temperature = np.zeros((height, width), np.float32)
        # number of the thing that is seen, 0 where there is none
        self.instances = np.zeros((height, width), np.uint8)
        self._ambient: Optional[np.ndarray] = None

    def freeze_ambient(self) -> None:
        """Remember the temperatures of the empty street."""
        self._ambient = self.temperature.copy()

    def paint(self,
              polygons: Sequence[np.ndarray],
              albedo: Optional[Colour] = None,
              temperature: Optional[float] = None,
              emission: Optional[Colour] = None,
              retro: float = 0.0,
              instance: int = 0,
              ambient: bool = False) -> None:
        """Paint polygons over what is there.

        Args:
            polygons (Sequence[np.ndarray]): Each of shape (N, 2), columns
                and rows; they may overlap and leave the canvas.
            albedo (Colour, optional): B, G, R in 0-1. Default: None, which
                keeps what is there.
            temperature (float, optional): 0-1. Default: None, as above.
            emission (Colour, optional): B, G, R. Default: None, none.
            retro (float): 0-1. Default: 0.
            instance (int): Number of the thing. Default: 0, no thing.
            ambient (bool): Give the pixels the temperature of the empty
                street behind them. Default: False.
        """
        points = np.concatenate([np.asarray(p) for p in polygons])
        if not len(points):
            return
        left, top = np.floor(points.min(0)).astype(int) - 1
        right, bottom = np.ceil(points.max(0)).astype(int) + 2
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, self.width), min(bottom, self.height)
        if left >= right or top >= bottom:
            return
        mask = np.zeros((bottom - top, right - left), np.uint8)
        for polygon in polygons:
            fixed = np.round(
                (np.asarray(polygon) - (left, top)) * (1 << _SHIFT))
            cv2.fillPoly(mask, [fixed.astype(np.int32)], 1, shift=_SHIFT)
        inside = mask.astype(bool)
        area = (slice(top, bottom), slice(left, right))
        if albedo is not None:
            self.albedo[area][inside] = albedo
        if temperature is not None:
            self.temperature[area][inside] = temperature
        if ambient:
            self.temperature[area][inside] = self._ambient[area][inside]
        self.emission[area][inside] = 0 if emission is None else emission
        self.retro[area][inside] = retro
        self.instances[area][inside] = instance


def ellipse(x: float, y: float, a: float, b: float,
            points: int = 18) -> np.ndarray:
    """An ellipse as a polygon, shape (points, 2)."""
    return _unit_circle(points) * (a, b) + (x, y)


@lru_cache(maxsize=None)
def _unit_circle(points: int) -> np.ndarray:
    """Evenly spaced points, shape (points, 2)."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], -1)


def box(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """A rectangle as a polygon, shape (4, 2)."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def limb(x0: float, y0: float, x1: float, y1: float, w0: float,
         w1: float) -> np.ndarray:
    """A bar of changing width between two points, shape (4, 2)."""
    along = np.array([x1 - x0, y1 - y0])
    across = np.array([-along[1], along[0]]) / max(np.hypot(*along), 1e-6)
    start, end = np.array([x0, y0]), np.array([x1, y1])
    return np.stack([
        start - across * w0 / 2, start + across * w0 / 2,
        end + across * w1 / 2, end - across * w1 / 2
    ])


def fractal_noise(rng: np.random.Generator,
                  height: int,
                  width: int,
                  cell: int = 4,
                  octaves: int = 3) -> np.ndarray:
    """Smooth noise of several scales.

    Args:
        rng (np.random.Generator): Source of the noise.
        height (int): Rows.
        width (int): Columns.
        cell (int): Size of the finest grain in pixels. Default: 4.
        octaves (int): Number of scales, each twice as coarse. Default: 3.

    Returns:
        np.ndarray: Shape (height, width), float32, roughly -1 to 1.
    """
    total = np.zeros((height, width), np.float32)
    weight = 0.0
    for octave in range(octaves):
        size = max(cell, 1) * 2**octave
        grid = rng.uniform(
            -1, 1, (height // size + 2, width // size + 2)).astype(np.float32)
        total += 2**octave * cv2.resize(
            grid, (width, height), interpolation=cv2.INTER_CUBIC)
        weight += 2**octave
    return total / weight
