"""Hooks of the runner; they need neither mmseg nor mmdet."""

from .paired_visualization_hook import PairedVisualizationHook

__all__ = ['PairedVisualizationHook']
