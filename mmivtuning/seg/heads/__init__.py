"""Decode heads that mmseg lacks."""

from .progressive_head import ProgressiveHead

__all__ = ['ProgressiveHead']
