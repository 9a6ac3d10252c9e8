"""SFE, the Split-Fuse Enhancer of IV-tuning (Fig. 5 of the paper)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _pointwise(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """Apply a 1x1 convolution as a product, which is faster on CPU."""
    cells = F.linear(
        x.permute(0, 2, 3, 1), conv.weight.flatten(1), conv.bias)
    return cells.permute(0, 3, 1, 2)


class SplitFuseEnhancer(nn.Module):
    r"""Enhance a map locally at the cost of a fraction of its channels.

    .. math::
        y = x + [DW_{3 \times 3}(x_{:D/r}); x_{D/r:}], \qquad
        y + W_2 \, ReLU(BN(W_1 y))

    with 1x1 convolutions :math:`W_1, W_2`.

    Args:
        channels (int): Channels D, a multiple of ``split_ratio``.
        split_ratio (int): One channel in ``split_ratio`` goes through the
            depth-wise convolution. Defaults to 4.

    Raises:
        ValueError: If ``split_ratio`` does not divide ``channels``.
    """

    def __init__(self, channels: int, split_ratio: int = 4) -> None:
        super().__init__()
        if split_ratio < 1 or channels % split_ratio:
            raise ValueError(f'split_ratio ({split_ratio}) must divide '
                             f'channels ({channels})')
        self.split = channels // split_ratio
        self.depthwise = nn.Conv2d(
            self.split, self.split, 3, padding=1, groups=self.split)
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Enhance a map of shape (B, D, h, w), in its memory format."""
        # torch's backward pass on CPU is slow with channels last
        local = self.depthwise(x[:, :self.split].contiguous(
            memory_format=torch.contiguous_format))
        x = x + torch.cat((local, x[:, self.split:]), dim=1)
        return x + _pointwise(
            self.norm(_pointwise(x, self.conv1)).relu(), self.conv2)
