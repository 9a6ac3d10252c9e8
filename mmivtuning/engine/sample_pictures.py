"""Pictures of data samples: both modalities, truth and prediction."""

from typing import Any, Dict, List, Optional, Sequence

import cv2
import numpy as np
from mmengine.structures import BaseDataElement
from torch import Tensor

from .pictures import (
    draw_boxes,
    draw_map,
    overlay_labels,
    side_by_side,
    split_pair,
)

# Names of the class that is left untinted in pictures.
BACKGROUNDS = ('background', 'unlabeled', 'unlabelled')


def pair_of_inputs(inputs: Tensor,
                   normalised_by: Optional[Dict[str, Any]] = None
                   ) -> np.ndarray:
    """Turn what a pipeline hands to a model back into a picture of a pair.

    Args:
        inputs (Tensor): The planes B, G, R, infrared, shape (4, H, W), of
            any real dtype. Values of 0 to 255 stay as they are; if there are
            others, each modality is stretched to its own range.
        normalised_by (dict, optional): The ``img_norm_cfg`` of mmcv's
            Normalize, if the pipeline has one. Defaults to None.

    Returns:
        np.ndarray: uint8 (H, W, 4).

    Raises:
        ValueError: If it is not of this shape.
    """
    if inputs.dim() != 3 or inputs.shape[0] != 4:
        raise ValueError('expected a pair of the shape (4, H, W), found '
                         f'{tuple(inputs.shape)}')
    pair = inputs.detach().cpu().permute(1, 2, 0).float().numpy()
    if normalised_by is not None:
        pair = pair * np.float32(normalised_by['std']) + np.float32(
            normalised_by['mean'])
    pair = np.nan_to_num(pair)
    if pair.size and (pair.min() < -0.5 or pair.max() > 255.5):
        for planes in (slice(0, 3), slice(3, 4)):
            low, high = pair[..., planes].min(), pair[..., planes].max()
            pair[..., planes] = (pair[..., planes] - low) * (
                255 / max(high - low, 1e-6))
    return np.rint(np.clip(pair, 0, 255)).astype(np.uint8)


def draw_sample(pair: np.ndarray,
                sample: BaseDataElement,
                dataset_meta: Optional[Dict[str, Any]] = None,
                score_thr: float = 0.3,
                note: str = '') -> np.ndarray:
    """Draw visible | infrared | ground truth | prediction.

    Class maps are drawn on the visible image, boxes on both modalities;
    saliency maps, from heads with one output, beside them in grey. What the
    sample lacks is left out.

    Args:
        pair (np.ndarray): uint8 (H, W, 4), the planes B, G, R, infrared.
        sample (BaseDataElement): A data sample of mmseg or mmdet, its boxes
            in pixels of the pair; label maps may have another size.
        dataset_meta (dict, optional): Has ``classes`` and ``palette``.
            Defaults to None.
        score_thr (float): Boxes with a lower score are not drawn, 0 to 1.
            Defaults to 0.3.
        note (str): Put into the first caption. Defaults to ''.

    Returns:
        np.ndarray: uint8 (H + caption, W of all panels, 3) RGB.
    """
    visible, infrared = split_pair(pair)
    panels = [visible, infrared]
    captions = [f'visible {note}'.rstrip(), 'infrared']
    meta = dataset_meta or {}
    classes = meta.get('classes') or ()
    palette = meta.get('palette')
    if palette is None or len(palette) == 0:
        palette = default_palette(max(len(classes), 1))
    for key, caption in (('gt', 'ground truth'), ('pred', 'prediction')):
        if f'{key}_sem_seg' in sample:
            labels = sample.get(f'{key}_sem_seg').data
            labels = labels.squeeze(0).cpu().numpy()
            if labels.shape != visible.shape[:2]:
                # The truth of a resized test image.
                labels = cv2.resize(
                    labels.astype(np.float32),
                    visible.shape[1::-1],
                    interpolation=cv2.INTER_NEAREST).astype(np.int64)
            saliency = _saliency_map(sample)
            if saliency is None:
                panels.append(
                    overlay_labels(
                        visible,
                        labels,
                        palette,
                        background=_background(classes)))
            else:
                panels.append(
                    draw_map(labels == 1 if key == 'gt' else saliency))
            captions.append(caption)
        if f'{key}_instances' in sample:
            instances = sample.get(f'{key}_instances').cpu()
            if 'scores' in instances:
                instances = instances[instances.scores > score_thr]
            boxes = instances.bboxes
            boxes = getattr(boxes, 'tensor', boxes).numpy()
            for base, where in ((visible, ''), (infrared, ', infrared')):
                panels.append(
                    draw_boxes(base, boxes, instances.labels.tolist(),
                               classes, palette, instances.get('scores')))
                captions.append(caption + where)
    return side_by_side(panels, captions)


def default_palette(num_classes: int) -> List[tuple]:
    """Return distinct colours, evenly spaced in hue."""
    if num_classes == 0:
        return []
    hsv = np.full((1, num_classes, 3), (0, 0.8, 1), dtype=np.float32)
    hsv[..., 0] = np.arange(num_classes) * 360 / num_classes
    rgb = np.rint(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0] * 255)
    return [tuple(colour) for colour in rgb.astype(int).tolist()]


def _saliency_map(sample: BaseDataElement) -> Optional[np.ndarray]:
    """Return the map (H, W) of a head with one output, a probability."""
    if 'seg_logits' not in sample or len(sample.seg_logits.data) != 1:
        return None
    return sample.seg_logits.data[0].float().cpu().numpy()


def _background(classes: Sequence[str]) -> Optional[int]:
    """Return the id of the class that means nothing in particular."""
    for index, name in enumerate(classes):
        if name.lower() in BACKGROUNDS:
            return index
    return None
