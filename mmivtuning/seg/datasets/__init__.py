"""Data sets of pairs with label maps or saliency masks."""

from .loading import LoadSegLabels
from .mfnet import MFNetDataset
from .msrs import MSRSDataset
from .paired import PairedSegDataset
from .saliency import LoadSaliencyMask, SaliencyBenchmarks, VTSaliencyDataset

__all__ = [
    'LoadSaliencyMask', 'LoadSegLabels', 'MFNetDataset', 'MSRSDataset',
    'PairedSegDataset', 'SaliencyBenchmarks', 'VTSaliencyDataset'
]
