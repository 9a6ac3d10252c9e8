"""Metrics that keep what each pair contributes, for the bootstrap."""

from typing import Dict, Optional

import numpy as np
from mmseg.evaluation import IoUMetric

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
