"""The equations of IV-tuning (https://arxiv.org/abs/2412.16654), in torch."""

from .modal_prompt import ModalPromptAlpha, ModalPromptBeta
from .scale_shift import ScaleShift
from .simam import SimAM
from .split_fuse_enhancer import SplitFuseEnhancer

__all__ = [
    'ModalPromptAlpha', 'ModalPromptBeta', 'ScaleShift', 'SimAM',
    'SplitFuseEnhancer'
]
