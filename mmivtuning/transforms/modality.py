"""Stock photometric transforms on one modality of a pair."""

from functools import lru_cache
from typing import Callable, List, Optional, Sequence, Union

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from mmivtuning.registry import TRANSFORMS

# Planes of a loaded pair, in the order B, G, R, infrared.
MODALITY_PLANES = dict(visible=slice(0, 3), infrared=slice(3, 4))

# What the inner transforms see of the results, next to the image.
_SHOWN_KEYS = ('img_shape', 'ori_shape', 'img_path', 'infrared_path')


@lru_cache(maxsize=8)
def _position_map(height: int, width: int) -> np.ndarray:
    """Return uint8 (H, W) that any move of its pixels changes."""
    rows = np.arange(height, dtype=np.int64)[:, None]
    columns = np.arange(width, dtype=np.int64)[None]
    positions = ((rows * 89 + columns * 57 + rows * columns) % 251)
    positions = positions.astype(np.uint8)
    positions.flags.writeable = False
    return positions


@TRANSFORMS.register_module()
class OnModality(BaseTransform):
    """Apply photometric transforms to one modality of a pair.

    The inner transforms, any of mmcv, mmseg or mmdet, get a ``results`` whose
    ``img`` is an ordinary BGR image: the visible one, or the infrared one as
    three equal planes, of which the mean is taken back. They see neither
    boxes nor masks, but a label map of ours that must come back unchanged:
    both modalities and the labels stay aligned, or an error says which
    transform list moved pixels.

    Values are rounded, clipped to 0 to 255 and cast back if the image is
    uint8. Normalisation is the task of the data preprocessor and refused.

    Required Keys:

    - img (np.ndarray): uint8 or float32 (H, W, 4), B, G, R, infrared.

    Modified Keys:

    - img

    Args:
        modality (str): ``'visible'`` or ``'infrared'``.
        transforms (Sequence[dict | callable]): Transforms, looked up in the
            host's scope like those of the pipeline itself.

    Examples:
        >>> dict(
        ...     type='mmivtuning.OnModality',
        ...     modality='visible',
        ...     transforms=[dict(type='PhotoMetricDistortion')])
    """

    def __init__(self, modality: str,
                 transforms: Sequence[Union[dict, Callable]]) -> None:
        if modality not in MODALITY_PLANES:
            raise ValueError("modality must be 'visible' or 'infrared', got "
                             f'{modality!r}')
        if isinstance(transforms, dict) or callable(transforms):
            transforms = [transforms]
        self.modality = modality
        self.transforms = Compose(list(transforms))

    def transform(self, results: dict) -> Optional[dict]:
        """Apply the inner transforms; None if one of them returns None.

        Raises:
            ValueError: If the image has not four planes, or if an inner
                transform asks for labels or changes anything but the values
                of the pixels.
        """
        image = results['img']
        if image.ndim != 3 or image.shape[2] != 4:
            raise ValueError(
                f"OnModality expects a pair (H, W, 4) in results['img'], got "
                f'the shape {image.shape}; is LoadPairedImage before it?')
        planes = MODALITY_PLANES[self.modality]
        # Three planes of their own: transforms may work in place.
        part = np.ascontiguousarray(
            np.broadcast_to(image[..., planes], (*image.shape[:2], 3)))
        if part.base is not None:
            part = part.copy()

        inner = {key: results[key] for key in _SHOWN_KEYS if key in results}
        inner.update(
            img=part,
            seg_fields=['gt_seg_map'],
            gt_seg_map=_position_map(*image.shape[:2]).copy())
        shown = set(inner)
        try:
            inner = self.transforms(inner)
        except KeyError as error:
            raise ValueError(
                f'OnModality({self.modality!r}): a transform asks for '
                f'{error}, of which a photometric one has no need. '
                f'Transforms: {self.transforms}') from error
        if inner is None:
            return None
        self._check_geometry(inner, shown, image.shape[:2])

        changed = image.copy()
        changed[..., planes] = self._back(inner['img'], image)
        results['img'] = changed
        return results

    def _check_geometry(self, inner: dict, shown: set, size: tuple) -> None:
        """Check that nothing but the values of the pixels has changed."""
        problems: List[str] = []
        found = np.asarray(inner['img']).shape
        if found[:2] != tuple(size):
            problems.append(f'the size became {found[:2]}, was {tuple(size)}')
        elif not np.array_equal(inner['gt_seg_map'], _position_map(*size)):
            problems.append('pixels moved')
        added = sorted(set(inner) - shown)
        if 'img_norm_cfg' in added:
            problems.append('values were normalised, which the data '
                            'preprocessor does')
        elif added:
            problems.append(f'it set {added}')
        if problems:
            raise ValueError(
                f'OnModality({self.modality!r}) takes photometric transforms '
                f'only, geometric ones go beside it in the pipeline: '
                f'{"; ".join(problems)}. Transforms: {self.transforms}')

    def _back(self, part: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Return the changed planes in the form that ``image`` has."""
        if part.ndim == 2:
            part = part[..., None]
        allowed = (3, ) if self.modality == 'visible' else (1, 3)
        if part.shape[2] not in allowed:
            raise ValueError(
                f'OnModality({self.modality!r}): the image came back with '
                f'{part.shape[2]} channel(s), expected '
                f'{" or ".join(map(str, allowed))}. Transforms: '
                f'{self.transforms}')
        if self.modality == 'infrared' and part.shape[2] == 3:
            part = part.astype(np.float32).mean(axis=2, keepdims=True)
        if image.dtype == np.uint8 and part.dtype != np.uint8:
            part = np.clip(np.rint(part), 0, 255)
        return part.astype(image.dtype)

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(modality={self.modality!r}, '
                f'transforms={self.transforms})')
