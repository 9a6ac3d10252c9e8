"""Detection on pairs, on mmdet."""

from .data_preprocessor import PairedDetDataPreprocessor
from .datasets import (
    DroneVehicleDataset,
    FLIRAlignedDataset,
    KAISTDataset,
    LLVIPDataset,
    LogAverageMissRate,
    M3FDDataset,
    PairedCocoMetric,
    PairedDetDataset,
    VEDAIDataset,
)

__all__ = [
    'DroneVehicleDataset', 'FLIRAlignedDataset', 'KAISTDataset',
    'LLVIPDataset', 'LogAverageMissRate', 'M3FDDataset', 'PairedCocoMetric',
    'PairedDetDataPreprocessor', 'PairedDetDataset', 'VEDAIDataset'
]
