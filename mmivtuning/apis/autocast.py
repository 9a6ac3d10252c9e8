"""Mixed precision for inference."""

from typing import Tuple

import torch
from torch import Tensor, nn


def autocast_type(device: torch.device) -> torch.dtype:
    """Return the 16-bit type of a device: bfloat16 where it has it."""
    if device.type == 'cuda' and not torch.cuda.is_bf16_supported():
        return torch.float16
    return torch.bfloat16


class AutocastBackbone(nn.Module):
    """Run a backbone in 16 bits and hand on maps of 32.

    Nearly all work is the backbone's. The operators of mmcv that detection
    heads call have no kernels for bfloat16.

    Args:
        backbone (nn.Module): Gives a tuple of maps.
        device (torch.device): Where it runs.
    """

    def __init__(self, backbone: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.backbone = backbone
        self.device_type = device.type
        self.dtype = autocast_type(device)

    def forward(self, *args, **kwargs) -> Tuple[Tensor, ...]:
        """Compute the maps, float32 (B, C, H, W) each."""
        with torch.autocast(self.device_type, dtype=self.dtype):
            maps = self.backbone(*args, **kwargs)
        return tuple(one.float() for one in maps)
