"""The pyramid of plain vision transformers."""

from .plain_pyramid import plain_pyramid, resample

__all__ = ['plain_pyramid', 'resample']
