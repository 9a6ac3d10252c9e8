"""Data sets of pairs with boxes, and their metric."""

from .coco_metric import PairedCocoMetric
from .flir_aligned import FLIRAlignedDataset
from .llvip import LLVIPDataset
from .m3fd import M3FDDataset
from .paired import PairedDetDataset

__all__ = [
    'FLIRAlignedDataset', 'LLVIPDataset', 'M3FDDataset', 'PairedCocoMetric',
    'PairedDetDataset'
]
