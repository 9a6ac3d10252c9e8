"""Segmentation and salient objects of pairs, on mmseg."""

from .data_preprocessor import PairedSegDataPreprocessor
from .datasets import (
                       LoadSaliencyMask,
                       LoadSegLabels,
                       MFNetDataset,
                       MSRSDataset,
                       PairedSegDataset,
                       SaliencyBenchmarks,
                       VTSaliencyDataset,
)
from .heads import ProgressiveHead
from .losses import SaliencyLoss
from .metrics import SaliencyMetric
from .saliency_tta_model import SaliencyTTAModel

__all__ = [
    'LoadSaliencyMask', 'LoadSegLabels', 'MFNetDataset', 'MSRSDataset',
    'PairedSegDataPreprocessor', 'PairedSegDataset', 'ProgressiveHead',
    'SaliencyBenchmarks', 'SaliencyLoss', 'SaliencyMetric',
    'SaliencyTTAModel', 'VTSaliencyDataset'
]
