"""Data sets of pairs with boxes, and their metrics."""

from .coco_metric import PairedCocoMetric
from .drone_vehicle import DroneVehicleDataset
from .flir_aligned import FLIRAlignedDataset
from .kaist import KAISTDataset
from .llvip import LLVIPDataset
from .m3fd import M3FDDataset
from .miss_rate import LogAverageMissRate
from .paired import PairedDetDataset
from .vedai import VEDAIDataset

__all__ = [
    'DroneVehicleDataset', 'FLIRAlignedDataset', 'KAISTDataset',
    'LLVIPDataset', 'LogAverageMissRate', 'M3FDDataset', 'PairedCocoMetric',
    'PairedDetDataset', 'VEDAIDataset'
]
