"""The equations of IV-tuning (https://arxiv.org/abs/2412.16654), in torch.

And those of the ways of tuning that it is compared with.
"""

from .low_rank import LoRALinear, LowRankUpdate
from .modal_prompt import ModalPromptAlpha, ModalPromptBeta
from .parallel_adapter import ParallelAdapter
from .prompt_tokens import PromptTokens
from .scale_shift import ScaleShift
from .simam import SimAM
from .split_fuse_enhancer import SplitFuseEnhancer

__all__ = [
    'LoRALinear', 'LowRankUpdate', 'ModalPromptAlpha', 'ModalPromptBeta',
    'ParallelAdapter', 'PromptTokens', 'ScaleShift', 'SimAM',
    'SplitFuseEnhancer'
]
