"""IV-tuning backbones: thin subclasses of mmpretrain's."""

from .dual import DualBackbone
from .iv_eva02 import IVViTEVA02
from .iv_swin import IVSwinTransformer
from .iv_vit import IVVisionTransformer
from .loading import load_pretrained

__all__ = [
    'DualBackbone', 'IVSwinTransformer', 'IVVisionTransformer', 'IVViTEVA02',
    'load_pretrained'
]
