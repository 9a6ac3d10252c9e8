"""Synthetic paired street scenes, for the demo and the tests."""

from .scene import Scene, make_scene

__all__ = ['Scene', 'make_scene']
