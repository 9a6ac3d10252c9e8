"""Segmentation of pairs, on mmseg."""

from .data_preprocessor import PairedSegDataPreprocessor
from .datasets import (LoadSegLabels, MFNetDataset, MSRSDataset,
                       PairedSegDataset)

__all__ = [
    'LoadSegLabels', 'MFNetDataset', 'MSRSDataset',
    'PairedSegDataPreprocessor', 'PairedSegDataset'
]
