"""Transforms of pairs; they need mmcv only."""

from .loading import LoadPairedImage
from .modality import OnModality

__all__ = ['LoadPairedImage', 'OnModality']
