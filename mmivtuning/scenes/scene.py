"""One paired scene: who stands where, and what two cameras make of it."""

from typing import List, NamedTuple, Sequence, Tuple

import cv2
import numpy as np

from ..pairs.benchmarks import BENCHMARKS
from . import street, things
from .canvas import Camera, Canvas, fractal_noise

CLASSES: Tuple[str, ...] = BENCHMARKS['scenes']['classes']
_CAR, _PERSON, _SIGN, _CONE = (
    CLASSES.index(name) for name in ('car', 'person', 'sign', 'cone'))
# A thing of which fewer pixels than this are seen is not labelled.
MIN_PIXELS = 24
# Share of night scenes: most of what is warm is then hard to see otherwise.
NIGHT_SHARE = 0.6


class Thing(NamedTuple):
    """One labelled thing: class id, box (x, y, w, h), mask of its pixels."""

    label: int
    box: Tuple[int, int, int, int]
    mask: np.ndarray


class Scene(NamedTuple):
    """A rendered pair and its ground truth.

    Attributes:
        visible (np.ndarray): B, G, R, shape (H, W, 3), uint8.
        infrared (np.ndarray): Shape (H, W), uint8; warm is bright.
        labels (np.ndarray): Class ids, shape (H, W), uint8.
        salient (np.ndarray): 255 on the salient things, shape (H, W), uint8.
        things (List[Thing]): Labelled things, from far to near.
        night (bool): Whether it is night.
    """

    visible: np.ndarray
    infrared: np.ndarray
    labels: np.ndarray
    salient: np.ndarray
    things: List[Thing]
    night: bool


def make_scene(key: Sequence[int], height: int, width: int) -> Scene:
    """Make the scene that belongs to a key.

    Args:
        key (Sequence[int]): Non-negative integers, such as (seed, split,
            index). The same key gives the same scene, whatever else is made.
        height (int): Rows, at least 32.
        width (int): Columns, at least 32.

    Returns:
        Scene: The pair and its ground truth.

    Raises:
        ValueError: If the size is too small.
    """
    if min(height, width) < 32:
        raise ValueError(f'a scene needs at least 32x32 pixels, got '
                         f'{height}x{width} (height x width)')
    rng = np.random.default_rng([int(number) for number in key])
    night = bool(rng.random() < NIGHT_SHARE)
    camera = Camera(
        focal=0.92 * height * rng.uniform(0.9, 1.12),
        horizon=height * rng.uniform(0.36, 0.46),
        centre=width * rng.uniform(0.36, 0.64))
    canvas = Canvas(height, width)
    street.paint_sky(canvas, camera, rng, night)
    street.paint_skyline(canvas, camera, rng, night)
    street.paint_ground(canvas, camera, rng, night)
    street.paint_facades(canvas, camera, rng, night)
    feet = _furnish(canvas, camera, rng, night)
    # leaves, plaster and asphalt are never of one tone
    fine = round(height / 112)
    grain = fractal_noise(rng, height, width, fine, 3)
    canvas.albedo *= (1 + 0.30 * grain)[..., None]
    canvas.temperature += 0.018 * fractal_noise(rng, height, width, fine, 4)
    canvas.freeze_ambient()
    labels_of = _populate(canvas, camera, rng, night)
    visible = _expose_visible(canvas, camera, rng, night, feet)
    infrared = _expose_infrared(canvas, rng, night)
    found, labels = _label(canvas.instances, labels_of)
    return Scene(visible, infrared, labels, _salient(found, labels.shape),
                 found, night)


def _furnish(canvas: Canvas, camera: Camera, rng: np.random.Generator,
             night: bool) -> List[np.ndarray]:
    """Paint hedges, trees and lamps; returns the feet of the lamp light."""
    for side in (-1, 1):
        if rng.random() < 0.4:
            near = rng.uniform(3, 8)
            street.paint_hedge(canvas, camera, rng, side, near,
                               near + rng.uniform(4, 12))
    furniture = [(depth, 'tree', side)
                 for side in (-1, 1)
                 for depth in rng.uniform(6, 24, rng.integers(0, 4))]
    furniture += [(depth, 'lamp', rng.choice((-1, 1)))
                  for depth in rng.uniform(7, 20, rng.integers(1, 3))]
    feet = []
    for depth, kind, side in sorted(furniture, reverse=True):
        at = side * rng.uniform(4.6, 6.2)
        if kind == 'tree':
            street.paint_tree(canvas, camera, rng, at, depth)
        else:
            lit = night and rng.random() < 0.8
            foot = street.paint_lamp(canvas, camera, at, depth, lit)
            if lit:
                feet.append(foot)
    return feet


def _populate(canvas: Canvas, camera: Camera, rng: np.random.Generator,
              night: bool) -> List[int]:
    """Place things and distractors, and paint them from far to near.

    Returns:
        List[int]: Class id by number of the thing; entry 0 is unused.
    """
    plan = [('person', _PERSON)] * int(rng.integers(1, 5))
    plan += [('car', _CAR)] * int(rng.integers(1, 4))
    plan += [('sign', _SIGN)] * int(rng.integers(1, 4))
    plan += [('cone', _CONE)] * int(rng.integers(1, 5))
    for name, most in (('statue', 2), ('heater', 2), ('vent', 3), ('skip', 2),
                       ('poster', 2)):
        plan += [(name, 0)] * int(rng.integers(0, most))
    reaches = dict(
        person=(4.2, 13), car=(5.5, 17), sign=(5.5, 12), cone=(4.0, 9),
        statue=(4.5, 12), heater=(4.5, 13), vent=(4.5, 14), skip=(6, 15),
        poster=(7, 15))
    spots: List[Tuple[float, float, float, str, int]] = []
    for name, label in plan:
        low, high = reaches[name]
        for _ in range(12):
            depth = float(np.exp(rng.uniform(np.log(low), np.log(high))))
            reach = camera.reach(depth, canvas.width)
            shift = (canvas.width / 2 -
                     camera.centre) * depth / camera.focal
            right = shift + rng.uniform(-0.92, 0.92) * reach
            right = float(np.clip(right, -6.6, 6.6))
            half = dict(car=1.0, skip=1.0, poster=1.1).get(name, 0.35)
            free = all(
                abs(right - r) > half + h or abs(depth - d) > 1.2
                for d, r, h, _, _ in spots)
            if free:
                spots.append((depth, right, half, name, label))
                break
    labels_of = [0]
    for depth, right, _, name, label in sorted(spots, reverse=True):
        number = 0
        if label:
            labels_of.append(label)
            number = len(labels_of) - 1
        if name == 'person':
            things.paint_person(canvas, camera, rng, right, depth, number)
        elif name == 'statue':
            things.paint_person(
                canvas, camera, rng, right, depth, 0, cold=True)
        elif name == 'car':
            view = rng.choice(('rear', 'front', 'side'), p=(0.36, 0.36, 0.28))
            things.paint_car(canvas, camera, rng, right, depth, number, night,
                             str(view))
        elif name == 'sign':
            things.paint_sign(canvas, camera, rng, right, depth, number)
        elif name == 'cone':
            things.paint_cone(canvas, camera, rng, right, depth, number)
        else:
            paint = dict(
                heater=things.paint_heater,
                vent=things.paint_vent,
                skip=things.paint_skip,
                poster=things.paint_poster)[name]
            paint(canvas, camera, rng, right, depth)
    return labels_of


def _expose_visible(canvas: Canvas, camera: Camera, rng: np.random.Generator,
                    night: bool, feet: List[np.ndarray]) -> np.ndarray:
    """What the visible camera records: light, glare, blur, noise, drift."""
    height, width = canvas.height, canvas.width
    rows = np.arange(height, dtype=np.float32)[:, None]
    columns = np.arange(width, dtype=np.float32)[None]
    if night:
        light = np.full((height, width), rng.uniform(0.008, 0.022),
                        np.float32)
        for x, y in feet:
            size = 0.22 * height
            light += 0.12 * np.exp(-((columns - x) / size)**2 -
                                   ((rows - y) / (0.55 * size))**2)
        tint = np.array([0.75, 0.92, 1.0], np.float32)
        beam = rng.uniform(0.25, 0.5)
    else:
        light = np.full((height, width), rng.uniform(0.75, 1.1), np.float32)
        # shade of houses and clouds
        shade = fractal_noise(rng, height, width, height // 10, 3)
        light *= 1 - 0.45 * np.clip(3 * shade + rng.uniform(-0.6, 0.4), 0, 1)
        tint = np.array([0.95, 1.0, 1.03], np.float32)
        beam = 0.0
    image = canvas.albedo * light[..., None] * tint
    image += canvas.albedo * (beam * canvas.retro)[..., None]
    image += canvas.emission
    if night:
        # sky glow does not dazzle, lamps do
        lamps = np.maximum(canvas.emission - 0.12, 0)
        small = cv2.resize(
            lamps, (max(width // 4, 8), max(height // 4, 8)),
            interpolation=cv2.INTER_AREA)
        sigma = height / 224
        glare = 0.8 * cv2.GaussianBlur(small, (0, 0), 1.5 * sigma)
        glare += 0.9 * cv2.GaussianBlur(small, (0, 0), 7 * sigma)
        image += cv2.resize(
            glare, (width, height), interpolation=cv2.INTER_LINEAR)
    image = cv2.GaussianBlur(image, (0, 0),
                             rng.uniform(0.45, 0.85) * (height / 224)**0.5)
    image = np.sqrt(np.clip(image, 0, 1))
    image *= rng.uniform(0.93, 1.07)
    image += _drift(rng, height, width, 0.02)[..., None]
    strength = rng.uniform(0.018, 0.032) if night else rng.uniform(
        0.008, 0.016)
    image += strength * rng.standard_normal(image.shape, np.float32)
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)


def _expose_infrared(canvas: Canvas, rng: np.random.Generator,
                     night: bool) -> np.ndarray:
    """What the infrared camera records: softer, striped, drifting."""
    height, width = canvas.height, canvas.width
    image = cv2.GaussianBlur(canvas.temperature, (0, 0),
                             rng.uniform(0.8, 1.2) * (height / 224)**0.5)
    image = image * rng.uniform(0.92, 1.08) + rng.uniform(-0.03, 0.03)
    image += _drift(rng, height, width, 0.025)
    image += rng.normal(0, 0.006, (1, width)).astype(np.float32)
    image += rng.uniform(0.008, 0.016) * rng.standard_normal(
        image.shape, np.float32)
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)


def _drift(rng: np.random.Generator, height: int, width: int,
           strength: float) -> np.ndarray:
    """A weak plane of brightness across the image, shape (H, W)."""
    across, down = rng.uniform(-strength, strength, 2)
    return (across * np.linspace(-1, 1, width, dtype=np.float32)[None] +
            down * np.linspace(-1, 1, height, dtype=np.float32)[:, None])


def _label(instances: np.ndarray,
           labels_of: List[int]) -> Tuple[List[Thing], np.ndarray]:
    """Turn the map of things into labels and boxes."""
    labels = np.array(labels_of, np.uint8)[instances]
    found = []
    for number in range(1, len(labels_of)):
        mask = instances == number
        if mask.sum() < MIN_PIXELS:
            labels[mask] = 0
            continue
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(
            mask.any(0))
        bounds = (int(columns[0]), int(rows[0]),
                  int(columns[-1] - columns[0] + 1),
                  int(rows[-1] - rows[0] + 1))
        found.append(Thing(labels_of[number], bounds, mask))
    return found, labels


def _salient(found: List[Thing], shape: Tuple[int, int]) -> np.ndarray:
    """Mask of the one to three people and cars that are seen largest.

    The second and third count if they have at least a third of the pixels of
    the first. Where neither is seen, the largest thing of any class counts.
    """
    mask = np.zeros(shape, np.uint8)
    warm = [t for t in found if t.label in (_CAR, _PERSON)] or found
    sizes = sorted(((int(t.mask.sum()), -i) for i, t in enumerate(warm)),
                   reverse=True)[:3]
    for size, position in sizes:
        if 3 * size >= sizes[0][0]:
            mask[warm[-position].mask] = 255
    return mask
