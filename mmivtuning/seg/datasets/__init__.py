"""Data sets of pairs with label maps or saliency masks."""

from .fmb import FMBDataset
from .loading import LoadSegLabels
from .mfnet import MFNetDataset
from .msrs import MSRSDataset
from .paired import PairedSegDataset
from .pst900 import PST900Dataset
from .saliency import LoadSaliencyMask, SaliencyBenchmarks, VTSaliencyDataset

__all__ = [
    'FMBDataset', 'LoadSaliencyMask', 'LoadSegLabels', 'MFNetDataset',
    'MSRSDataset', 'PST900Dataset', 'PairedSegDataset', 'SaliencyBenchmarks',
    'VTSaliencyDataset'
]
