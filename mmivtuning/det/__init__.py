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
from .necks import StandardizedFPN

__all__ = [
    'DroneVehicleDataset', 'FLIRAlignedDataset', 'KAISTDataset',
    'LLVIPDataset', 'LogAverageMissRate', 'M3FDDataset', 'PairedCocoMetric',
    'PairedDetDataPreprocessor', 'PairedDetDataset', 'StandardizedFPN',
    'VEDAIDataset'
]
