"""Hooks of the runner; they need neither mmseg nor mmdet."""

from .adapter import load_adapter, save_adapter
from .adapter_hook import AdapterHook
from .exact_resume_hook import ExactResumeHook
from .paired_visualization_hook import PairedVisualizationHook

__all__ = [
    'AdapterHook', 'ExactResumeHook', 'PairedVisualizationHook',
    'load_adapter', 'save_adapter'
]
