"""Metrics of runs: those that keep what each pair contributes, and a loss."""

from typing import Any, Dict, Optional, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmseg.evaluation import IoUMetric
from torch.nn import functional as F

from mmivtuning.registry import METRICS
from mmivtuning.seg.metrics.saliency_metric import SCALARS, SaliencyMetric


@METRICS.register_module()
class SampledIoUMetric(IoUMetric):
    """:class:`mmseg.evaluation.IoUMetric` that keeps the areas of each pair.

    ``samples`` is float64 (pairs, 2, classes) once metrics were computed:
    areas of intersection and of union.
    """

    samples: Optional[np.ndarray] = None

    def compute_metrics(self, results: list) -> Dict[str, float]:
        """Compute the metrics as the stock class does."""
        self.samples = np.stack([
            np.stack([intersect.double().numpy(), union.double().numpy()])
            for intersect, union, *_ in results
        ])
        return super().compute_metrics(results)


@METRICS.register_module()
class SampledSaliencyMetric(SaliencyMetric):
    """:class:`SaliencyMetric` that keeps the S-measure of each pair.

    ``samples`` is float64 (pairs, ), 0 to 1, once metrics were computed.
    """

    samples: Optional[np.ndarray] = None

    def compute_metrics(self, results: list) -> Dict[str, float]:
        """Compute the metrics as the other class does."""
        place = SCALARS.index('Smeasure')
        self.samples = np.array([measured[place] for _, measured in results])
        return super().compute_metrics(results)


@METRICS.register_module()
class CrossEntropyMetric(BaseMetric):
    """Mean cross entropy of the labelled pixels, in nats.

    It tells trainings apart that predict one class everywhere, whose mIoU is
    the same. For heads whose logits are classified by their softmax.

    Args:
        ignore_index (int): Label of pixels that do not count. Default: 255.
    """

    def __init__(self, ignore_index: int = 255, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ignore_index = ignore_index

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Sum the losses of the pixels of each pair.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): With ``seg_logits``, float
                (classes, H, W), and ``gt_sem_seg``, integers (1, H, W).

        Raises:
            ValueError: If there is one logit for two classes, which mmseg
                has turned into a probability.
        """
        for sample in data_samples:
            logits = sample['seg_logits']['data'].float()
            if len(logits) < 2:
                raise ValueError('the cross entropy needs a logit for each '
                                 f'class, found {tuple(logits.shape)}')
            labels = sample['gt_sem_seg']['data'].to(logits.device).long()
            total = F.cross_entropy(
                logits[None], labels, ignore_index=self.ignore_index,
                reduction='sum')
            number = int((labels != self.ignore_index).sum())
            self.results.append((float(total), number))

    def compute_metrics(self, results: list) -> Dict[str, float]:
        """Divide the sums; NaN if no pixel is labelled."""
        total, number = np.sum(results, axis=0)
        return dict(cross_entropy=total / number if number else float('nan'))
