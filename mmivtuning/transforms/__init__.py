"""Transforms of pairs and backends of their files; they need mmcv only."""

from .archive_backends import ArchiveBackend, LmdbBackend, ZipBackend
from .loading import LoadPairedImage
from .modality import OnModality
from .robust import (
    RandomInfraredGain,
    RandomInfraredShift,
    RandomModalityDrop,
)

__all__ = [
    'ArchiveBackend', 'LmdbBackend', 'LoadPairedImage', 'OnModality',
    'RandomInfraredGain', 'RandomInfraredShift', 'RandomModalityDrop',
    'ZipBackend'
]
