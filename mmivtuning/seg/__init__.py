"""Segmentation and salient objects of pairs, on mmseg."""

from .data_preprocessor import PairedSegDataPreprocessor
from .datasets import (
                       FMBDataset,
                       LoadSaliencyMask,
                       LoadSegLabels,
                       MFNetDataset,
                       MSRSDataset,
                       PairedSegDataset,
                       PST900Dataset,
                       SaliencyBenchmarks,
                       VTSaliencyDataset,
)
from .heads import ProgressiveHead
from .losses import SaliencyLoss
from .metrics import SaliencyMetric
from .saliency_tta_model import SaliencyTTAModel

__all__ = [
    'FMBDataset', 'LoadSaliencyMask', 'LoadSegLabels', 'MFNetDataset',
    'MSRSDataset', 'PST900Dataset', 'PairedSegDataPreprocessor',
    'PairedSegDataset', 'ProgressiveHead', 'SaliencyBenchmarks',
    'SaliencyLoss', 'SaliencyMetric', 'SaliencyTTAModel', 'VTSaliencyDataset'
]
