"""Transforms of pairs; they need mmcv only."""

from .loading import LoadPairedImage
from .modality import OnModality
from .robust import (
    RandomInfraredGain,
    RandomInfraredShift,
    RandomModalityDrop,
)
from .zip_backend import ZipBackend

__all__ = [
    'LoadPairedImage', 'OnModality', 'RandomInfraredGain',
    'RandomInfraredShift', 'RandomModalityDrop', 'ZipBackend'
]
