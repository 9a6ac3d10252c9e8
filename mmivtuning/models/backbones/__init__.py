"""IV-tuning backbones: thin subclasses of mmpretrain's."""

from .iv_eva02 import IVViTEVA02
from .iv_swin import IVSwinTransformer
from .iv_vit import IVVisionTransformer

__all__ = ['IVSwinTransformer', 'IVViTEVA02', 'IVVisionTransformer']
