"""Detection on pairs, on mmdet."""

from .data_preprocessor import PairedDetDataPreprocessor
from .datasets import (
                       FLIRAlignedDataset,
                       LLVIPDataset,
                       M3FDDataset,
                       PairedCocoMetric,
                       PairedDetDataset,
)

__all__ = [
    'FLIRAlignedDataset', 'LLVIPDataset', 'M3FDDataset', 'PairedCocoMetric',
    'PairedDetDataPreprocessor', 'PairedDetDataset'
]
