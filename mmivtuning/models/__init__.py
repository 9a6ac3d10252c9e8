"""Modules, backbones and checkpoints; needs torch, mmengine, mmpretrain."""

from .backbones import (
                        IVSwinTransformer,
                        IVVisionTransformer,
                        IVViTEVA02,
                        load_pretrained,
)
from .freezing import count_parameters, declared_parameters, freeze_except
from .pretrained import backbone_file

__all__ = [
    'IVSwinTransformer', 'IVViTEVA02', 'IVVisionTransformer', 'backbone_file',
    'count_parameters', 'declared_parameters', 'freeze_except',
    'load_pretrained'
]
