"""Log-average miss rate of pedestrians, as KAIST is evaluated.

The protocol is that of Dollar et al., "Pedestrian Detection: An Evaluation of
the State of the Art", PAMI 2012, in the *reasonable* setting of Hwang et al.,
CVPR 2015.
"""

import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from mmengine.evaluator import BaseMetric

from mmivtuning.registry import METRICS

# False positives per image at which the miss rate is read.
REFERENCES = 10.0**np.arange(-2, 0.25, 0.25)
_LEAST = 1e-10


class Truth(NamedTuple):
    """Objects of one image.

    Attributes:
        boxes (np.ndarray): x1, y1, x2, y2, shape (N, 4).
        ignored (np.ndarray): bool (N, ).
    """

    boxes: np.ndarray
    ignored: np.ndarray


def overlaps(boxes: np.ndarray, truth: np.ndarray,
             ignored: np.ndarray) -> np.ndarray:
    """Overlap of detections (N, 4) and objects (M, 4): float (N, M).

    Intersection over union; over the area of the detection for objects that
    are ignored.
    """
    corner = np.maximum(boxes[:, None, :2], truth[None, :, :2])
    other = np.minimum(boxes[:, None, 2:], truth[None, :, 2:])
    shared = np.prod(np.maximum(other - corner, 0), axis=2)
    areas, truths = ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
                     for b in (boxes, truth))
    union = areas[:, None] + truths[None] - shared
    union = np.where(ignored[None], areas[:, None], union)
    return shared / np.maximum(union, 1e-12)


def match(boxes: np.ndarray, truth: Truth, threshold: float) -> np.ndarray:
    """Match detections, the most confident first, with objects.

    A detection takes the free object that it overlaps most; if there is none,
    an ignored one, which stays free.

    Args:
        boxes (np.ndarray): Detections by falling score, (N, 4).
        truth (Truth): The objects.
        threshold (float): Least overlap.

    Returns:
        np.ndarray: int (N, ): 1 found, 0 false, -1 ignored.
    """
    result = np.zeros(len(boxes), int)
    if not len(boxes) or not len(truth.boxes):
        return result
    shares = overlaps(boxes, truth.boxes, truth.ignored)
    free = ~truth.ignored
    for row, share in enumerate(shares):
        best = np.where(free, share, -1)
        if free.any() and best.max() >= threshold:
            result[row] = 1
            free[best.argmax()] = False
        elif (share[truth.ignored] >= threshold).any():
            result[row] = -1
    return result


def log_average_miss_rate(scores: np.ndarray, found: np.ndarray,
                          objects: int, images: int) -> float:
    r"""Average the miss rate over nine rates of false positives.

    .. math::
        \exp \frac{1}{9} \sum_{k=0}^{8} \log m(10^{-2 + k/4})

    m(f) is the miss rate at the last score at which there are at most f false
    positives per image, 1 if there is none.

    Args:
        scores (np.ndarray): Of all detections that are not ignored.
        found (np.ndarray): Whether each is right, bool.
        objects (int): Number of objects that count.
        images (int): Number of images.

    Returns:
        float: 0 to 1; NaN without objects.
    """
    if not objects:
        return float('nan')
    order = np.argsort(-scores, kind='stable')
    right = np.cumsum(found[order])
    wrong = np.cumsum(~found[order]) / images
    misses = []
    for reference in REFERENCES:
        # Powers of ten are inexact: 0.1 must not exclude 1 in 10.
        last = np.searchsorted(wrong, reference + 1e-9, side='right') - 1
        recall = right[last] / objects if last >= 0 else 0.0
        misses.append(max(1 - recall, _LEAST))
    return float(np.exp(np.log(misses).mean()))


@METRICS.register_module()
class LogAverageMissRate(BaseMetric):
    """Log-average miss rate of one class, lower is better.

    Takes the truth from ``instances`` of the data samples: the pipeline packs
    them (``meta_keys=(..., 'instances')``). Objects lower than ``min_height``,
    more occluded than ``max_occlusion``, closer than ``border`` to the edge,
    or marked with ``ignore_flag`` are ignored; so are unmatched detections
    lower than ``min_height``.

    Args:
        min_height (float): In pixels of the file. Default: 55.
        max_occlusion (int): 0 none, 1 partial, 2 heavy. Default: 1.
        border (float): In pixels. Default: 5.
        iou_threshold (float): Default: 0.5.
        label (int): The class. Default: 0.
        subsets (Dict[str, str], optional): Name and regular expression, of
            which one is found in the path of each image of the subset.
            Default: None, day (sets 06 to 08) and night (09 to 11) of KAIST.
        kwargs: What :class:`mmengine.evaluator.BaseMetric` takes.
    """

    default_prefix: Optional[str] = 'kaist'

    def __init__(self,
                 min_height: float = 55,
                 max_occlusion: int = 1,
                 border: float = 5,
                 iou_threshold: float = 0.5,
                 label: int = 0,
                 subsets: Optional[Dict[str, str]] = None,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.min_height = min_height
        self.max_occlusion = max_occlusion
        self.border = border
        self.iou_threshold = iou_threshold
        self.label = label
        if subsets is None:
            subsets = dict(day=r'set0[678]_', night=r'set(09|10|11)_')
        self.subsets = dict(subsets)

    def process(self, data_batch: dict, data_samples: Sequence[dict]
                ) -> None:
        """Match the detections of a batch.

        Raises:
            KeyError: If the samples carry no instances.
        """
        for sample in data_samples:
            if 'instances' not in sample:
                raise KeyError(
                    "no 'instances' in a data sample: PackDetInputs needs "
                    "meta_keys=(..., 'instances')")
            truth = self._truth(sample)
            predicted = sample['pred_instances']
            labels = predicted['labels'].cpu().numpy()
            scores = predicted['scores'].cpu().numpy()[labels == self.label]
            boxes = predicted['bboxes'].cpu().numpy()[labels == self.label]
            order = np.argsort(-scores, kind='stable')
            scores, boxes = scores[order], boxes[order]
            state = match(boxes, truth, self.iou_threshold)
            low = boxes[:, 3] - boxes[:, 1] < self.min_height
            state[(state == 0) & low] = -1
            self.results.append(
                (str(sample['img_path']), scores[state >= 0],
                 state[state >= 0] == 1, int((~truth.ignored).sum())))

    def _truth(self, sample: dict) -> Truth:
        """The objects of a sample."""
        height, width = sample['ori_shape'][:2]
        boxes, ignored = [], []
        for instance in sample['instances']:
            if instance['bbox_label'] != self.label:
                continue
            left, top, right, bottom = instance['bbox']
            edge = self.border
            boxes.append((left, top, right, bottom))
            ignored.append(
                bool(instance.get('ignore_flag', 0))
                or bottom - top < self.min_height
                or instance.get('occlusion', 0) > self.max_occlusion
                or left < edge or top < edge or right > width - edge
                or bottom > height - edge)
        return Truth(np.array(boxes, float).reshape(-1, 4),
                     np.array(ignored, bool))

    def compute_metrics(self, results: List[Tuple]) -> Dict[str, float]:
        """Compute the rates in percent, of all images and of each subset."""
        rates = dict(miss_rate=self._rate(results))
        for name, pattern in self.subsets.items():
            chosen = [r for r in results if re.search(pattern, r[0])]
            if chosen:
                rates[f'miss_rate_{name}'] = self._rate(chosen)
        return rates

    @staticmethod
    def _rate(results: List[Tuple]) -> float:
        """The rate of some images, in percent."""
        rate = log_average_miss_rate(
            np.concatenate([r[1] for r in results]),
            np.concatenate([r[2] for r in results]).astype(bool),
            sum(r[3] for r in results), len(results))
        return round(100 * rate, 4)
