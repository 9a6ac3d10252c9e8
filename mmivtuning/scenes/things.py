"""What stands in the street: the four classes, and what resembles them.

People and cars are warm. Signs and cones have the temperature of whatever is
behind them, so that the infrared image does not show them, and send light
straight back, so that the visible image shows them at night. Distractors look
like a thing in one modality and give themselves away in the other.
"""

from typing import Callable

import numpy as np

from .canvas import Camera, Canvas, box, ellipse, limb


def _placer(camera: Camera, right: float, depth: float,
            flip: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Map a figure in metres, (right, up) from its foot, to pixels."""

    def place(points: np.ndarray) -> np.ndarray:
        points = np.asarray(points, float)
        sign = -1.0 if flip else 1.0
        return camera.project(right + sign * points[:, 0], points[:, 1],
                              depth)

    return place


def _shadow(canvas: Canvas, camera: Camera, right: float, depth: float,
            half_width: float, heat: float) -> None:
    """Darken the ground at the foot of a thing, and warm it a little."""
    metre = camera.focal / depth
    x, y = camera.project(right, 0.0, depth)
    canvas.paint([ellipse(x, y, half_width * metre, 0.16 * metre)],
                 (0.05, 0.05, 0.05), heat)


def paint_person(canvas: Canvas,
                 camera: Camera,
                 rng: np.random.Generator,
                 right: float,
                 depth: float,
                 instance: int,
                 cold: bool = False) -> None:
    """Paint a walking or standing person.

    Args:
        canvas (Canvas): Where to paint.
        camera (Camera): The camera.
        rng (np.random.Generator): Pose, clothes and warmth.
        right (float): Metres from the axis.
        depth (float): Metres from the camera.
        instance (int): Number of the thing, 0 if it is none.
        cold (bool): A statue: the shape of a person, of one pale tone, at
            ambient temperature. Default: False.
    """
    tall = rng.uniform(0.86, 1.1)
    place = _placer(camera, right, depth, rng.random() < 0.5)
    stride = rng.uniform(0.03, 0.34)
    swing = rng.uniform(-0.14, 0.14)
    coat, trousers = rng.uniform(0.05, 0.55, 3), rng.uniform(0.04, 0.3, 3)
    coat = 0.6 * coat + 0.4 * coat.mean()
    skin = np.array([0.30, 0.42, 0.62]) * rng.uniform(0.35, 1.1)
    hair = np.array([0.04, 0.05, 0.07]) * rng.uniform(0.5, 3)
    warm = rng.uniform(0.86, 1.04)
    if cold:
        coat = trousers = skin = hair = np.full(3, rng.uniform(0.3, 0.5))

    def part(shapes: list, colour: np.ndarray, heat: float) -> None:
        canvas.paint([place(np.asarray(s) * tall) for s in shapes],
                     tuple(colour),
                     None if cold else heat * warm,
                     instance=instance,
                     ambient=cold)

    _shadow(canvas, camera, right, depth, 0.32, None)
    part([
        limb(-0.08, 0.9, -stride, 0.06, 0.19, 0.12),
        limb(0.08, 0.9, stride, 0.06, 0.19, 0.12)
    ], trousers, 0.70)
    part([
        limb(-stride - 0.05, 0.05, -stride + 0.12, 0.05, 0.1, 0.08),
        limb(stride - 0.05, 0.05, stride + 0.12, 0.05, 0.1, 0.08)
    ], trousers * 0.5, 0.52)
    part([
        limb(-0.21, 1.42, -0.29 - swing, 0.86, 0.12, 0.09),
        limb(0.21, 1.42, 0.29 - swing, 0.86, 0.12, 0.09)
    ], coat * 0.85, 0.72)
    part([ellipse(-0.29 - swing, 0.82, 0.055, 0.07, 8),
          ellipse(0.29 - swing, 0.82, 0.055, 0.07, 8)], skin, 0.86)
    hem = rng.uniform(0.55, 0.88)
    part([[(-0.23, 1.40), (-0.17, 1.48), (0.17, 1.48), (0.23, 1.40),
           (0.19, 1.05), (0.22, hem), (-0.22, hem), (-0.19, 1.05)]], coat,
         0.76)
    part([box(-0.05, 1.44, 0.05, 1.56)], skin, 0.9)
    part([ellipse(0, 1.63, 0.105, 0.135, 16)], skin, 0.96)
    part([[(-0.11, 1.64), (-0.09, 1.74), (0, 1.785), (0.09, 1.74),
           (0.11, 1.64), (0.06, 1.69), (-0.06, 1.69)]], hair, 0.80)
    if not cold and rng.random() < 0.3:
        bag = rng.uniform(0.05, 0.5, 3)
        part([[(-0.15, 1.42), (0.15, 1.42), (0.17, 1.0), (-0.17, 1.0)]], bag,
             0.50)


_CAR_COLOURS = ((0.55, 0.55, 0.55), (0.05, 0.05, 0.05), (0.62, 0.62, 0.60),
                (0.10, 0.10, 0.45), (0.42, 0.20, 0.08), (0.18, 0.18, 0.18),
                (0.28, 0.34, 0.36), (0.16, 0.28, 0.12))


def paint_car(canvas: Canvas,
              camera: Camera,
              rng: np.random.Generator,
              right: float,
              depth: float,
              instance: int,
              night: bool,
              view: str = 'rear') -> None:
    """Paint a car.

    Args:
        canvas (Canvas): Where to paint.
        camera (Camera): The camera.
        rng (np.random.Generator): Colour, lights and warmth.
        right (float): Metres from the axis.
        depth (float): Metres from the camera.
        instance (int): Number of the thing.
        night (bool): Lights may be on.
        view (str): 'rear', 'front' or 'side'. Default: 'rear'.
    """
    colour = np.array(_CAR_COLOURS[rng.integers(len(_CAR_COLOURS))])
    colour = colour * rng.uniform(0.8, 1.2)
    place = _placer(camera, right, depth, rng.random() < 0.5)
    lights = night and rng.random() < 0.3
    body = rng.uniform(0.46, 0.60)
    hot = rng.uniform(0.74, 0.95)
    glass_light = None if night else (0.16, 0.14, 0.12)

    def part(shapes: list,
             tone: np.ndarray,
             heat: float,
             emission: tuple = None) -> None:
        canvas.paint([place(np.asarray(s)) for s in shapes], tuple(tone),
                     heat, emission, instance=instance)

    black, glass = np.full(3, 0.03), np.array([0.10, 0.09, 0.07])
    if view == 'side':
        _shadow(canvas, camera, right, depth, 2.1, 0.42)
        part([[(-2.12, 0.30), (-2.16, 0.66), (-2.02, 0.88), (-1.05, 0.99),
               (-0.50, 1.40), (0.10, 1.47), (0.85, 1.42), (1.45, 1.00),
               (2.00, 0.92), (2.14, 0.66), (2.12, 0.30)]], colour, body)
        part([[(-2.12, 0.30), (-2.14, 0.52), (2.13, 0.52), (2.12, 0.30)]],
             colour * 0.6, body + 0.05)
        part([[(-2.10, 0.60), (-2.00, 0.86), (-1.15, 0.95), (-1.1, 0.60)]],
             colour * 0.95, 0.5 * (body + hot))
        part([[(-0.92, 1.00), (-0.46, 1.33), (0.10, 1.39), (0.10, 1.00)],
              [(0.18, 1.00), (0.18, 1.39), (0.78, 1.34), (1.22, 1.02)]],
             glass, 0.33, glass_light)
        part([ellipse(-1.32, 0.34, 0.36, 0.36), ellipse(1.30, 0.34, .36, .36)],
             black, 0.66)
        part([ellipse(-1.32, 0.34, 0.20, 0.20, 12),
              ellipse(1.30, 0.34, 0.20, 0.20, 12)], np.full(3, 0.4), hot)
        part([ellipse(-2.04, 0.74, 0.10, 0.08, 10)], np.full(3, 0.7),
             body + 0.1, (1.3, 1.5, 1.6) if lights else None)
        part([box(2.02, 0.66, 2.14, 0.82)], np.array([0.05, 0.05, 0.5]),
             body + 0.05, (0.1, 0.1, 1.1) if lights else None)
        return
    roof = rng.choice([1.40, 1.46, 1.85])
    _shadow(canvas, camera, right, depth, 0.98, 0.44)
    part([box(-0.86, 0.0, -0.60, 0.42), box(0.60, 0.0, 0.86, 0.42)], black,
         0.70)
    part([[(-0.78, 0.90), (-0.62, roof), (0.62, roof), (0.78, 0.90)]],
         colour * 0.92, body - 0.03)
    part([[(-0.90, 0.24), (-0.92, 0.80), (-0.82, 0.97), (0.82, 0.97),
           (0.92, 0.80), (0.90, 0.24)]], colour, body)
    part([[(-0.66, 0.99), (-0.54, roof - 0.07), (0.54, roof - 0.07),
           (0.66, 0.99)]], glass, 0.33, glass_light)
    part([box(-0.88, 0.24, 0.88, 0.40)], colour * 0.5, body + 0.06)
    part([box(-0.24, 0.46, 0.24, 0.57)], np.full(3, 0.6), body)
    lamps = [ellipse(-0.72, 0.72, 0.13, 0.08, 12),
             ellipse(0.72, 0.72, 0.13, 0.08, 12)]
    if view == 'front':
        part([box(-0.52, 0.58, 0.52, 0.86)], black, hot)
        part(lamps, np.full(3, 0.75), body + 0.12,
             (1.7, 1.9, 2.0) if lights else None)
    else:
        part([box(0.36, 0.20, 0.54, 0.30)], black, 0.97)
        part(lamps, np.array([0.04, 0.04, 0.5]), body + 0.04,
             (0.12, 0.10, 1.2) if lights else None)


_RED, _WHITE = (0.06, 0.05, 0.62), (0.80, 0.80, 0.80)
_BLUE, _YELLOW = (0.62, 0.22, 0.04), (0.05, 0.58, 0.82)


def paint_sign(canvas: Canvas, camera: Camera, rng: np.random.Generator,
               right: float, depth: float, instance: int) -> None:
    """Paint a traffic sign; its board is the thing, its pole is not."""
    place = _placer(camera, right, depth, False)
    radius = rng.uniform(0.38, 0.50)
    up = rng.uniform(2.0, 2.6)

    def part(shape: np.ndarray, tone: tuple) -> None:
        canvas.paint([place(shape)], tone, retro=1.0, instance=instance,
                     ambient=True)

    def regular(sides: int, size: float, turn: float) -> np.ndarray:
        angle = turn + np.arange(sides) * 2 * np.pi / sides
        return np.stack([size * np.cos(angle), up + size * np.sin(angle)], -1)

    canvas.paint([place(box(-0.045, 0, 0.045, up))], (0.3, 0.3, 0.3),
                 ambient=True)
    kind = rng.integers(5)
    if kind == 0:
        part(ellipse(0, up, radius, radius, 24), _RED)
        part(ellipse(0, up, radius * 0.72, radius * 0.72, 24), _WHITE)
        part(box(-0.3 * radius, up - 0.35 * radius, 0.3 * radius,
                 up + 0.35 * radius), (0.05, 0.05, 0.05))
    elif kind == 1:
        part(regular(3, radius * 1.2, np.pi / 2), _RED)
        part(regular(3, radius * 0.72, np.pi / 2), _WHITE)
    elif kind == 2:
        part(regular(8, radius * 1.05, np.pi / 8), _RED)
        part(box(-0.7 * radius, up - 0.17 * radius, 0.7 * radius,
                 up + 0.17 * radius), _WHITE)
    elif kind == 3:
        part(ellipse(0, up, radius, radius, 24), _BLUE)
        part(limb(0, up - 0.6 * radius, 0, up + 0.5 * radius, 0.2, 0.2),
             _WHITE)
        part(np.array([[-0.4 * radius, up + 0.1 * radius],
                       [0, up + 0.75 * radius],
                       [0.4 * radius, up + 0.1 * radius]]), _WHITE)
    else:
        part(regular(4, radius * 1.15, 0), _YELLOW)
        part(limb(0, up - 0.5 * radius, 0, up + 0.5 * radius, 0.14, 0.14),
             (0.04, 0.04, 0.04))


def paint_cone(canvas: Canvas, camera: Camera, rng: np.random.Generator,
               right: float, depth: float, instance: int) -> None:
    """Paint a traffic cone."""
    place = _placer(camera, right, depth, False)
    size = rng.uniform(0.85, 1.1)
    orange = np.array([0.02, 0.20, 0.85]) * rng.uniform(0.85, 1.1)

    def part(shape: list, tone: tuple) -> None:
        canvas.paint([place(np.asarray(shape) * size)], tuple(tone),
                     retro=0.8, instance=instance, ambient=True)

    def slice_(low: float, high: float) -> list:
        def half(up: float) -> float:
            return 0.23 - 0.24 * up
        return [(-half(low), low), (half(low), low), (half(high), high),
                (-half(high), high)]

    _shadow(canvas, camera, right, depth, 0.34, None)
    part([(-0.32, 0.0), (0.32, 0.0), (0.29, 0.08), (-0.29, 0.08)],
         orange * 0.6)
    part(slice_(0.06, 0.80), orange)
    part(slice_(0.26, 0.40), _WHITE)
    part(slice_(0.52, 0.63), _WHITE)


def paint_skip(canvas: Canvas, camera: Camera, rng: np.random.Generator,
               right: float, depth: float) -> None:
    """Paint a refuse container: the size of a car, at ambient temperature."""
    place = _placer(camera, right, depth, rng.random() < 0.5)
    tone = np.array(_CAR_COLOURS[rng.integers(len(_CAR_COLOURS))])
    _shadow(canvas, camera, right, depth, 0.95, None)
    for shape, share in (
        ([(-0.85, 0.1), (-0.95, 1.05), (0.95, 1.05), (0.85, 0.1)], 1.0),
        ([(-0.98, 1.02), (-0.90, 1.22), (0.90, 1.22), (0.98, 1.02)], 0.7),
        (box(-0.8, 0.0, -0.62, 0.14), 0.2), (box(0.62, 0.0, 0.8, 0.14), 0.2),
        (box(-0.6, 0.55, 0.6, 0.62), 0.6)):
        canvas.paint([place(shape)], tuple(tone * share), ambient=True)


def paint_heater(canvas: Canvas, camera: Camera, rng: np.random.Generator,
                 right: float, depth: float) -> None:
    """Paint a glowing column: as warm as a person, and it shines."""
    place = _placer(camera, right, depth, False)
    up = rng.uniform(1.3, 1.9)
    canvas.paint([place(box(-0.14, 0, 0.14, up))], (0.25, 0.25, 0.25),
                 rng.uniform(0.62, 0.78))
    canvas.paint([place(box(-0.17, up * 0.45, 0.17, up))], (0.4, 0.4, 0.4),
                 rng.uniform(0.80, 0.95),
                 (0.18, 0.48, 0.80) if rng.random() < 0.5 else
                 (0.65, 0.60, 0.40))


def paint_vent(canvas: Canvas, camera: Camera, rng: np.random.Generator,
               right: float, depth: float) -> None:
    """Paint a warm spot on the ground that the visible image hardly shows."""
    metre = camera.focal / depth
    x, y = camera.project(right, 0.0, depth)
    wide = rng.uniform(0.4, 1.1) * metre
    for size, heat in ((1.0, 0.46), (0.7, rng.uniform(0.52, 0.62))):
        canvas.paint([ellipse(x, y, wide * size, wide * size * 0.3)], None,
                     heat)


def paint_poster(canvas: Canvas, camera: Camera, rng: np.random.Generator,
                 right: float, depth: float) -> None:
    """Paint a large poster on two legs: coloured, but no sign."""
    place = _placer(camera, right, depth, False)
    wide, high = rng.uniform(0.8, 1.2), rng.uniform(1.0, 1.5)
    canvas.paint([place(box(-wide * 0.8, 0, -wide * 0.7, 0.8)),
                  place(box(wide * 0.7, 0, wide * 0.8, 0.8))],
                 (0.2, 0.2, 0.2), ambient=True)
    canvas.paint([place(box(-wide, 0.7, wide, 0.7 + high))],
                 tuple(rng.uniform(0.1, 0.7, 3)), ambient=True)
    for row in np.arange(0.85, 0.55 + high, 0.3):
        end = rng.uniform(-0.3, 0.85) * wide
        canvas.paint([place(box(-0.85 * wide, row, end, row + 0.13))],
                     tuple(rng.uniform(0.1, 0.8, 3)), ambient=True)
