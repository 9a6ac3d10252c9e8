"""Synthetic paired street scenes, for the demo and the tests."""

from .data_set import SIZE, SPLITS, write_scenes
from .scene import Scene, make_scene

__all__ = ['SIZE', 'SPLITS', 'Scene', 'make_scene', 'write_scenes']
