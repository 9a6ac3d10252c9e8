"""Data sets of pairs with label maps."""

from .loading import LoadSegLabels
from .mfnet import MFNetDataset
from .msrs import MSRSDataset
from .paired import PairedSegDataset

__all__ = [
    'LoadSegLabels', 'MFNetDataset', 'MSRSDataset', 'PairedSegDataset'
]
