"""Transforms that make training robust against bad infrared cameras.

Labels belong to the visible image: where the infrared plane is moved, they
stay. All draw from numpy's global state, as the stock transforms do.
"""

from typing import Optional, Sequence, Tuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmivtuning.registry import TRANSFORMS

from .modality import MODALITY_PLANES


def pair_of(results: dict, name: str) -> np.ndarray:
    """The pair in ``results``.

    Raises:
        ValueError: If it is not an image of four planes.
    """
    image = results['img']
    if image.ndim != 3 or image.shape[2] != 4:
        raise ValueError(f"{name} expects a pair (H, W, 4) in results['img'], "
                         f'got the shape {image.shape}; is LoadPairedImage '
                         'before it?')
    return image


def check_probability(name: str, value: float) -> float:
    """Return a probability.

    Raises:
        ValueError: If it is not within 0 and 1.
    """
    if not 0 <= value <= 1:
        raise ValueError(f'{name} must be from 0 to 1, got {value}')
    return value


def check_range(name: str, values: Sequence[float]) -> Tuple[float, float]:
    """Return a range.

    Raises:
        ValueError: If it is not (low, high).
    """
    values = tuple(values)
    if len(values) != 2 or not values[0] <= values[1]:
        raise ValueError(f'{name} must be (low, high), got {values}')
    return values


def to_values(plane: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Clip to 0 to 255 and bring to the type of ``image``."""
    plane = np.clip(plane, 0, 255)
    if image.dtype == np.uint8:
        plane = np.rint(plane)
    return plane.astype(image.dtype)


@TRANSFORMS.register_module()
class RandomModalityDrop(BaseTransform):
    """Take one modality away, so that the model learns to do without.

    The planes get their mean, which is 0 after normalisation: what
    ``missing=`` of the data preprocessor does at test time (up to the
    rounding of the mean if the image is uint8). Put it last, before packing:
    later photometric transforms would fill the planes again.

    Required Keys:

    - img (np.ndarray): uint8 or float32 (H, W, 4), B, G, R, infrared.

    Modified Keys:

    - img

    Added Keys:

    - dropped (str, optional): ``'visible'``, ``'infrared'`` or None.

    Args:
        mean (Sequence[float]): Of R, G, B, infrared, as in the data
            preprocessor; in a config
            ``_base_.model.data_preprocessor.mean``.
        prob (float): Probability that a modality is missing. Default: 0.3.
        infrared_share (float): Which one: the share of infrared.
            Default: 0.5.
    """

    def __init__(self, mean: Sequence[float], prob: float = 0.3,
                 infrared_share: float = 0.5) -> None:
        if len(mean) != 4:
            raise ValueError('mean must have 4 values, of R, G, B, infrared, '
                             f'got {list(mean)}')
        self.mean = tuple(mean)
        self.prob = check_probability('prob', prob)
        self.infrared_share = check_probability('infrared_share',
                                                infrared_share)

    def transform(self, results: dict) -> dict:
        """Drop a modality or none."""
        image = pair_of(results, 'RandomModalityDrop')
        results['dropped'] = None
        if np.random.rand() >= self.prob:
            return results
        modality = ('infrared' if np.random.rand() < self.infrared_share else
                    'visible')
        red, green, blue, infrared = self.mean
        fill = to_values(np.array([blue, green, red, infrared]), image)
        planes = MODALITY_PLANES[modality]
        changed = image.copy()
        changed[..., planes] = fill[planes]
        results.update(img=changed, dropped=modality)
        return results

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(mean={self.mean}, '
                f'prob={self.prob}, infrared_share={self.infrared_share})')


@TRANSFORMS.register_module()
class RandomInfraredShift(BaseTransform):
    """Move the infrared plane a little against the visible one.

    Boxes and labels stay with the visible image. What comes in at the border
    is the mirrored image.

    Required Keys:

    - img (np.ndarray): uint8 or float32 (H, W, 4), B, G, R, infrared.

    Modified Keys:

    - img

    Args:
        max_shift (float): Largest shift along each axis, in pixels.
            Default: 6.
        max_angle (float): Largest rotation around the centre, in degrees.
            Default: 0.
        max_scale (float): Largest change of the scale, for example 0.02.
            Default: 0.
        prob (float): Default: 0.5.
    """

    def __init__(self, max_shift: float = 6., max_angle: float = 0.,
                 max_scale: float = 0., prob: float = 0.5) -> None:
        if min(max_shift, max_angle, max_scale) < 0 or max_scale >= 1:
            raise ValueError(
                'max_shift and max_angle must not be negative, max_scale must '
                f'be from 0 to below 1, got {max_shift}, {max_angle}, '
                f'{max_scale}')
        self.max_shift = max_shift
        self.max_angle = max_angle
        self.max_scale = max_scale
        self.prob = check_probability('prob', prob)

    def transform(self, results: dict) -> dict:
        """Move the infrared plane."""
        image = pair_of(results, 'RandomInfraredShift')
        if np.random.rand() >= self.prob:
            return results
        draws = np.random.uniform(-1, 1, 4)
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D(
            ((width - 1) / 2, (height - 1) / 2), draws[0] * self.max_angle,
            1 + draws[1] * self.max_scale)
        matrix[:, 2] += draws[2:] * self.max_shift
        changed = image.copy()
        changed[..., 3] = cv2.warpAffine(
            np.ascontiguousarray(image[..., 3]),
            matrix, (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101)
        results['img'] = changed
        return results

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(max_shift={self.max_shift}, '
                f'max_angle={self.max_angle}, max_scale={self.max_scale}, '
                f'prob={self.prob})')


@TRANSFORMS.register_module()
class RandomInfraredGain(BaseTransform):
    """Change what another infrared camera would make of the scene.

    Applied in this order, each by its own chance: contrast and brightness
    (automatic gain), polarity (white-hot becomes black-hot), column noise,
    vignetting.

    Required Keys:

    - img (np.ndarray): uint8 or float32 (H, W, 4), B, G, R, infrared.

    Modified Keys:

    - img

    Args:
        contrast (Tuple[float, float]): Factors of the distance to the mean of
            the plane. Default: (0.7, 1.4).
        brightness (Tuple[float, float]): Added values. Default: (-24, 24).
        prob (float): Of contrast and brightness. Default: 0.5.
        invert_prob (float): Of the inversion. Default: 0.
        stripe_std (float): Standard deviation of the column noise, in grey
            values. Default: 4.
        stripe_prob (float): Default: 0.2.
        vignette (float): Largest loss in the corners, 0 to 1. Default: 0.3.
        vignette_prob (float): Default: 0.2.
    """

    def __init__(self,
                 contrast: Tuple[float, float] = (0.7, 1.4),
                 brightness: Tuple[float, float] = (-24., 24.),
                 prob: float = 0.5,
                 invert_prob: float = 0.,
                 stripe_std: float = 4.,
                 stripe_prob: float = 0.2,
                 vignette: float = 0.3,
                 vignette_prob: float = 0.2) -> None:
        self.contrast = check_range('contrast', contrast)
        self.brightness = check_range('brightness', brightness)
        if self.contrast[0] <= 0 or stripe_std < 0:
            raise ValueError('contrast must be positive and stripe_std not '
                             f'negative, got {contrast} and {stripe_std}')
        self.prob = check_probability('prob', prob)
        self.invert_prob = check_probability('invert_prob', invert_prob)
        self.stripe_std = stripe_std
        self.stripe_prob = check_probability('stripe_prob', stripe_prob)
        self.vignette = check_probability('vignette', vignette)
        self.vignette_prob = check_probability('vignette_prob', vignette_prob)

    def transform(self, results: dict) -> dict:
        """Change the infrared plane."""
        image = pair_of(results, 'RandomInfraredGain')
        plane = self._changed(image[..., 3].astype(np.float32))
        if plane is not None:
            changed = image.copy()
            changed[..., 3] = to_values(plane, image)
            results['img'] = changed
        return results

    def _changed(self, plane: np.ndarray) -> Optional[np.ndarray]:
        """The new plane, None if all chances went by."""
        chances = np.random.rand(4) < (self.prob, self.invert_prob,
                                       self.stripe_prob, self.vignette_prob)
        if not chances.any():
            return None
        height, width = plane.shape
        if chances[0]:
            mean = plane.mean()
            plane = ((plane - mean) * np.random.uniform(*self.contrast) +
                     mean + np.random.uniform(*self.brightness))
        if chances[1]:
            plane = 255 - plane
        if chances[2]:
            plane = plane + np.random.normal(
                0, self.stripe_std, (1, width)).astype(np.float32)
        if chances[3]:
            rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
            columns = np.linspace(-1, 1, width, dtype=np.float32)[None]
            loss = np.random.uniform(0, self.vignette)
            plane = plane * (1 - loss * (rows**2 + columns**2) / 2)
        return plane

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(contrast={self.contrast}, '
                f'brightness={self.brightness}, prob={self.prob}, '
                f'invert_prob={self.invert_prob}, '
                f'stripe_std={self.stripe_std}, '
                f'stripe_prob={self.stripe_prob}, vignette={self.vignette}, '
                f'vignette_prob={self.vignette_prob})')
