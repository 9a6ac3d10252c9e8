"""The metric of boxes that keeps what other pairs would have given.

mAP has no share of single pairs, so that resamples of the pairs are drawn
where the boxes are known: once for each test, the same ones for all tests.
"""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
from mmdet.datasets.api_wrappers import COCOeval
from mmengine.fileio import load

from mmivtuning.det.datasets.coco_metric import PairedCocoMetric
from mmivtuning.registry import METRICS

RESAMPLES = 1000
# The most detections of an image and class that count, as in mmdet's mAP.
_MOST = 100
# Detections of a class times resamples that are computed at a time.
_AT_ONCE = 2_000_000
_SEED = 0


@METRICS.register_module()
class SampledCocoMetric(PairedCocoMetric):
    """:class:`PairedCocoMetric` that keeps the mAP of resampled pairs.

    ``bbox_mAP`` is given in full; mmdet rounds it to three digits.

    ``samples`` is float64 (1, ``RESAMPLES``), 0 to 1, once metrics were
    computed, (1, 0) for fewer than two pairs; NaN where a resample has no
    true box.
    """

    samples: Optional[np.ndarray] = None

    def compute_metrics(self, results: list) -> Dict[str, float]:
        """Compute the metrics as the other class does."""
        metrics = super().compute_metrics(results)
        images = self._evaluate([prediction for _, prediction in results])
        number = len(images[0])
        whole = float(weighted_precision(images, np.ones((1, number), int))[0])
        if 'bbox_mAP' in metrics and np.isfinite(whole):
            metrics['bbox_mAP'] = whole
        drawn = np.random.default_rng(_SEED).integers(
            number, size=(RESAMPLES if number > 1 else 0, number))
        weights = np.stack([
            np.bincount(places, minlength=number) for places in drawn
        ]) if len(drawn) else drawn
        self.samples = weighted_precision(images, weights)[None]
        return metrics

    def _evaluate(self, predictions: Sequence[dict]) -> List[List[Any]]:
        """Match boxes; returns what COCOeval keeps, by class and image."""
        with TemporaryDirectory() as folder:
            files = self.results2json(predictions, str(Path(folder, 'found')))
            boxes = load(files['bbox'])
        with redirect_stdout(StringIO()):
            found = self._coco_api.loadRes(boxes) if boxes else (
                type(self._coco_api)())
            evaluation = COCOeval(self._coco_api, found, 'bbox')
            evaluation.params.catIds = self.cat_ids
            evaluation.params.imgIds = self.img_ids
            evaluation.params.maxDets = [_MOST]
            evaluation.params.iouThrs = self.iou_thrs
            evaluation.params.areaRng = evaluation.params.areaRng[:1]
            evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:1]
            evaluation.evaluate()
        images = len(evaluation.params.imgIds)
        listed = evaluation.evalImgs
        return [listed[i:i + images] for i in range(0, len(listed), images)]


def weighted_precision(images: Sequence[Sequence[Optional[Dict[str, Any]]]],
                       weights: np.ndarray) -> np.ndarray:
    """Compute the mAP of images that occur several times or never.

    Args:
        images (Sequence[Sequence[dict]]): ``COCOeval.evalImgs`` by class and
            image, None where there is no box.
        weights (np.ndarray): int (R, P), how often each image occurs.

    Returns:
        np.ndarray: float64 (R, ), 0 to 1: the mean over classes that occur,
        IoU thresholds and 101 recalls, as in COCO. NaN where none occurs.
        Boxes of equal score are in the order of their images.
    """
    classes = np.stack([_class_precision(one, weights) for one in images])
    known = ~np.isnan(classes)
    with np.errstate(invalid='ignore'):
        return np.where(known, classes, 0).sum(0) / known.sum(0)


def _class_precision(images: Sequence[Optional[Dict[str, Any]]],
                     weights: np.ndarray) -> np.ndarray:
    """Compute the AP of a class; NaN where it does not occur."""
    places = [i for i, one in enumerate(images) if one is not None]
    found = [images[i] for i in places]
    if not found:
        return np.full(len(weights), np.nan)
    truth = weights[:, places] @ np.array(
        [np.count_nonzero(np.asarray(one['gtIgnore']) == 0) for one in found])
    scores = [np.asarray(one['dtScores'][:_MOST], float) for one in found]
    order = np.argsort(-np.concatenate(scores), kind='mergesort')
    owner = np.repeat(places, [len(one) for one in scores])[order]
    hits, counted = (
        np.concatenate([one[key][:, :_MOST] for one in found], 1)[:, order] > 0
        for key in ('dtMatches', 'dtIgnore'))
    counted = ~counted
    recalls = np.linspace(0, 1, 101)
    precision = np.full(len(weights), np.nan)
    rows = max(_AT_ONCE // max(len(order), 1), 1)
    for begin in range(0, len(weights), rows):
        part = weights[begin:begin + rows][:, owner]
        total = truth[begin:begin + rows]
        sums = np.zeros(len(part))
        for hit, count in zip(hits, counted):
            right = np.cumsum(part * (hit & count), 1)
            envelope = right / np.maximum(np.cumsum(part * count, 1), 1)
            envelope = np.maximum.accumulate(envelope[:, ::-1], 1)[:, ::-1]
            envelope = np.pad(envelope, ((0, 0), (0, 1)))
            for row in np.flatnonzero(total):
                reached = np.searchsorted(right[row] / total[row], recalls)
                sums[row] += envelope[row, reached].mean()
        whole = total > 0
        precision[begin:begin + rows][whole] = sums[whole] / len(hits)
    return precision
