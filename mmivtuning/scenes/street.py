"""The empty street: sky, skyline, facades, road, trees, lamps."""

from typing import List

import cv2
import numpy as np

from .canvas import Camera, Canvas, box, ellipse, fractal_noise, limb

ROAD_HALF_WIDTH = 4.0
WALL_AT = 7.5
_NEAR = 2.2

_WALL_COLOURS = ((0.30, 0.38, 0.50), (0.42, 0.45, 0.48), (0.28, 0.32, 0.45),
                 (0.45, 0.50, 0.58), (0.22, 0.27, 0.36), (0.40, 0.36, 0.34),
                 (0.50, 0.56, 0.62), (0.20, 0.22, 0.42))


def paint_sky(canvas: Canvas, camera: Camera, rng: np.random.Generator,
              night: bool) -> None:
    """Paint sky and clouds; the infrared sky is cold."""
    rows = np.linspace(0, 1, canvas.height, dtype=np.float32)[:, None]
    rows = np.minimum(rows * canvas.height / max(camera.horizon, 1), 1)
    clouds = fractal_noise(rng, canvas.height, canvas.width,
                           canvas.height // 18, 4)
    clouds = np.clip(clouds * 1.6 + rng.uniform(-0.5, 0.5), 0, 1)
    if night:
        zenith = np.array([0.020, 0.012, 0.008]) * rng.uniform(0.4, 1.2)
        glow = np.array([0.035, 0.028, 0.034]) * rng.uniform(0.4, 1.3)
        cloud_colour, strength = glow * 1.2, 0.4
    else:
        zenith = np.array([0.72, 0.42, 0.20]) * rng.uniform(0.8, 1.1)
        glow = np.array([0.85, 0.76, 0.66])
        cloud_colour, strength = np.array([0.88, 0.86, 0.84]), 0.8
    zenith, glow, cloud_colour = np.array([zenith, glow, cloud_colour],
                                          np.float32)
    sky = zenith + (glow - zenith) * rows[..., None]**2
    share = (strength * clouds)[..., None]
    canvas.emission[:] = sky + (cloud_colour - sky) * share
    canvas.temperature[:] = 0.04 + 0.10 * rows + 0.06 * clouds


def paint_skyline(canvas: Canvas, camera: Camera, rng: np.random.Generator,
                  night: bool) -> None:
    """Paint the far end of the street in haze."""
    horizon, height, width = camera.horizon, canvas.height, canvas.width
    haze = np.array([0.05, 0.04, 0.04]) if night else np.array(
        [0.42, 0.40, 0.38])
    left = -10.0
    while left < width:
        wide = rng.uniform(0.05, 0.12) * width
        top = horizon - rng.uniform(0.04, 0.24) * height
        shape = box(left, top, left + wide, horizon + 2)
        tone = haze * rng.uniform(0.7, 1.2)
        canvas.paint([shape], tuple(tone), rng.uniform(0.2, 0.27))
        if not night:
            # distance lightens by itself: haze is light, not reflectance
            canvas.paint([shape], tuple(tone), None, tuple(tone * 0.45))
        lit = [
            box(left + x, y, left + x + 1.6, y + 2.0)
            for x in np.arange(3, wide - 3, 5.0)
            for y in np.arange(top + 4, horizon - 3, 6.0)
            if rng.random() < (0.25 if night else 0.0)
        ]
        if lit:
            canvas.paint(lit, (0.3, 0.3, 0.3), None, (0.10, 0.22, 0.30))
        left += wide + rng.uniform(-2, 6)


def paint_ground(canvas: Canvas, camera: Camera, rng: np.random.Generator,
                 night: bool) -> None:
    """Paint pavement, road, and their markings in perspective."""
    top = int(np.ceil(camera.horizon)) + 1
    rows = np.arange(top, canvas.height, dtype=np.float32)[:, None]
    columns = np.arange(canvas.width, dtype=np.float32)[None]
    depth = camera.focal * camera.height / (rows - camera.horizon)
    right = (columns - camera.centre) * depth / camera.focal
    grain = fractal_noise(rng, 256, 256, 2, 4)
    texture = cv2.remap(
        grain,
        np.mod(right * 11 + 128, 255).astype(np.float32),
        np.mod(np.broadcast_to(depth, right.shape) * 7, 255).astype(
            np.float32), cv2.INTER_LINEAR)
    road = np.abs(right) < ROAD_HALF_WIDTH
    asphalt = rng.uniform(0.14, 0.24)
    tone = np.where(road, asphalt, rng.uniform(0.32, 0.45))
    # joints between the slabs of the pavement
    joints = (np.abs(np.mod(depth, 1.4) - 0.7) > 0.66) | (
        np.abs(np.mod(right, 1.2) - 0.6) > 0.56)
    tone = np.where(~road & joints & (depth < 14), tone * 0.8, tone)
    kerb = np.abs(np.abs(right) - ROAD_HALF_WIDTH) < 0.12
    tone = np.where(kerb, 0.55, tone) * (1 + 0.35 * texture)
    tint = np.array([1.0, 0.98, 0.95]) * (1 + rng.uniform(-0.04, 0.04, 3))
    canvas.albedo[top:] = tone[..., None].astype(np.float32) * tint.astype(
        np.float32)
    canvas.emission[top:] = 0
    warmth = rng.uniform(0.24, 0.31) if night else rng.uniform(0.34, 0.44)
    heat = np.where(road, warmth + 0.03, warmth) + 0.035 * texture
    far = np.clip((depth - 10) / 40, 0, 1)
    canvas.temperature[top:] = heat * (1 - far) + 0.22 * far
    if not night:
        haze = np.clip((depth - 12) / 60, 0, 0.6)[..., None]
        canvas.emission[top:] = haze * np.array([0.30, 0.28, 0.27])

    paint = (0.62, 0.66, 0.68)
    marks = []
    start = rng.uniform(0, 4)
    for near in np.arange(_NEAR + start, 60, 5.0):
        marks.append(_ground_quad(camera, -0.07, 0.07, near, near + 2.4))
    for side in (-1, 1):
        at = side * (ROAD_HALF_WIDTH - 0.45)
        marks.append(_ground_quad(camera, at - 0.05, at + 0.05, _NEAR, 60))
    if rng.random() < 0.3:
        near = rng.uniform(6, 11)
        for at in np.arange(-ROAD_HALF_WIDTH + 0.4, ROAD_HALF_WIDTH - 0.6,
                            1.0):
            marks.append(_ground_quad(camera, at, at + 0.5, near, near + 2.2))
    canvas.paint(marks, paint, None)


def _ground_quad(camera: Camera, left: float, right: float, near: float,
                 far: float) -> np.ndarray:
    """A rectangle on the ground."""
    return camera.project(
        np.array([left, right, right, left]), np.zeros(4),
        np.array([near, near, far, far]))


def paint_facades(canvas: Canvas, camera: Camera, rng: np.random.Generator,
                  night: bool) -> None:
    """Paint the rows of houses on both sides, with windows and doors."""
    for side in (-1, 1):
        houses = []
        far = _NEAR
        while far < 38:
            near, far = far, far + rng.uniform(4, 9)
            if rng.random() < 0.85:
                houses.append((near, far))
        for near, far in reversed(houses):
            _paint_house(canvas, camera, rng, night, side * WALL_AT, near,
                         far)


def _paint_house(canvas: Canvas, camera: Camera, rng: np.random.Generator,
                 night: bool, at: float, near: float, far: float) -> None:
    """Paint one house, whose front lies in the plane right = at."""
    floors = int(rng.integers(2, 5))
    storey = rng.uniform(2.7, 3.2)
    top = floors * storey + rng.uniform(0.3, 1.0)
    tone = np.array(_WALL_COLOURS[rng.integers(len(_WALL_COLOURS))])
    tone = tone * rng.uniform(0.7, 1.1)
    warmth = rng.uniform(0.24, 0.34) + (0 if night else 0.05)

    def quad(z0: float, z1: float, y0: float, y1: float) -> np.ndarray:
        return camera.project(
            np.full(4, at), np.array([y0, y0, y1, y1]),
            np.array([z0, z1, z1, z0]))

    # the end wall towards the camera
    wide = at + np.sign(at) * 8
    end = camera.project(
        np.array([at, wide, wide, at]), np.array([0, 0, top, top]), near)
    canvas.paint([end], tuple(tone * 0.75), warmth - 0.02)
    canvas.paint([quad(near, far, 0, top)], tuple(tone), warmth)
    canvas.paint([quad(near, far, top - 0.35, top)], tuple(tone * 0.6),
                 warmth - 0.02)
    canvas.paint([quad(near, far, 0, 0.5)], tuple(tone * 0.7), warmth)
    columns = max(int((far - near) / 2.0), 1)
    pitch = (far - near) / columns
    dark: List[np.ndarray] = []
    lit: List[np.ndarray] = []
    for floor in range(floors):
        for column in range(columns):
            z = near + (column + 0.25) * pitch
            y = floor * storey + 0.95
            pane = quad(z, z + 0.5 * pitch, y, y + 1.45)
            (lit if rng.random() < (0.22 if night else 0.06) else
             dark).append(pane)
    pane_tone = rng.uniform(0.04, 0.12)
    glass = None if night else (0.13, 0.10, 0.08)
    if dark:
        canvas.paint(dark, (pane_tone, ) * 3, warmth - 0.07, glass)
    if lit:
        # a lit room is warm as well: bright in both modalities, no object
        colour = np.array([0.30, 0.62, 0.85]) * rng.uniform(0.4, 1.0)
        if not night:
            colour = colour * 0.5
        canvas.paint(lit, (0.4, 0.4, 0.4), rng.uniform(0.40, 0.62),
                     tuple(colour))


def paint_tree(canvas: Canvas, camera: Camera, rng: np.random.Generator,
               right: float, depth: float) -> None:
    """Paint one tree: trunk, crown of many tufts."""
    metre = camera.focal / depth
    x, y = camera.project(right, 0.0, depth)
    crown = rng.uniform(3.2, 4.6) * metre
    radius = rng.uniform(1.1, 1.7) * metre
    canvas.paint([limb(x, y, x, y - crown, 0.28 * metre, 0.16 * metre)],
                 (0.08, 0.11, 0.15), 0.27)
    green = np.array([0.07, 0.20, 0.11]) * rng.uniform(0.6, 1.2)
    green = green * np.array([1, 1, rng.uniform(0.7, 1.9)])
    heat = rng.uniform(0.21, 0.28)
    for layer in range(3):
        tufts = []
        for _ in range(14):
            angle = rng.uniform(0, 2 * np.pi)
            away = radius * np.sqrt(rng.random()) * (1 - 0.15 * layer)
            size = radius * rng.uniform(0.16, 0.36)
            tufts.append(
                ellipse(x + away * np.cos(angle) - 0.1 * radius * layer,
                        y - crown + 0.85 * away * np.sin(angle) -
                        0.12 * radius * layer, size, size * 0.85, 9))
        canvas.paint(tufts, tuple(green * (0.6 + 0.4 * layer)),
                     heat + 0.012 * layer)


def paint_hedge(canvas: Canvas, camera: Camera, rng: np.random.Generator,
                side: int, near: float, far: float) -> None:
    """Paint a hedge along a wall."""
    green = np.array([0.06, 0.17, 0.10]) * rng.uniform(0.7, 1.2)
    at = side * (WALL_AT - 0.8)
    base = np.linspace(far, near, 9)
    ups = 1.0 + rng.uniform(-0.15, 0.15, 9)
    outline = np.concatenate([
        camera.project(np.full(9, at), np.zeros(9), base),
        camera.project(np.full(9, at), ups, base)[::-1]
    ])
    canvas.paint([outline], tuple(green), rng.uniform(0.22, 0.28))


def paint_lamp(canvas: Canvas, camera: Camera, right: float, depth: float,
               lit: bool) -> np.ndarray:
    """Paint a street lamp; returns the foot of its light, (column, row)."""
    metre = camera.focal / depth
    x, y = camera.project(right, 0.0, depth)
    reach = -np.sign(right) * 0.9 * metre
    head = y - 4.6 * metre
    canvas.paint([
        limb(x, y, x, head, 0.13 * metre, 0.09 * metre),
        limb(x, head, x + reach, head - 0.1 * metre, 0.08 * metre,
             0.06 * metre)
    ], (0.16, 0.16, 0.16), 0.25)
    bulb = ellipse(x + reach, head - 0.05 * metre, 0.28 * metre,
                   0.10 * metre, 12)
    # lamps are warm and bright: warm in infrared, but no object
    canvas.paint([bulb], (0.5, 0.5, 0.5), 0.72 if lit else 0.27,
                 (0.85, 1.25, 1.6) if lit else None)
    return np.array([x + reach, y])
