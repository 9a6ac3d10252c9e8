"""IV-tuning for OpenMMLab: infrared-visible dense prediction with frozen ViTs.

Importing the package is light: the parts that need torch, mmseg or mmdet are
imported when a config names one of their types (``type='mmivtuning.…'``).
"""

from .version import __version__

__all__ = ['__version__']
