"""The equations of IV-tuning, in torch alone.

Zhang et al., *IV-tuning: Parameter-Efficient Transfer Learning for
Infrared-Visible Tasks*, https://arxiv.org/abs/2412.16654.
"""

from .modal_prompt import ModalPromptAlpha, ModalPromptBeta
from .scale_shift import ScaleShift
from .simam import SimAM
from .split_fuse_enhancer import SplitFuseEnhancer

__all__ = [
    'ModalPromptAlpha', 'ModalPromptBeta', 'ScaleShift', 'SimAM',
    'SplitFuseEnhancer'
]
