"""Necks of detectors."""

from .standardized_fpn import StandardizedFPN

__all__ = ['StandardizedFPN']
