"""A copy of a model whose every operator can be traced at any size.

Stock modules that decide by the size of a map in Python are exchanged for
ones that compute the same, and BatchNorm is folded into the convolution
before it. The model itself stays as it is.
"""

from copy import deepcopy
from typing import Any, Callable, Dict, Optional, Tuple, Type

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks.transformer import AdaptivePadding
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import fuse_conv_bn_eval

from mmivtuning.models.modules.sizes import ceil_divide, max_size
from mmivtuning.models.modules.split_fuse_enhancer import SplitFuseEnhancer


class TraceablePadding(AdaptivePadding):
    """Padding to what a kernel covers, by a size that is not a constant.

    The stock class rounds up with ``math.ceil`` and pads on a condition.
    """

    @classmethod
    def of(cls, stock: AdaptivePadding) -> 'TraceablePadding':
        """Make one like a stock one."""
        return cls(stock.kernel_size, stock.stride, stock.dilation,
                   stock.padding)

    def get_pad_shape(self, input_shape: Tuple[int, int]) -> Tuple[int, int]:
        """Compute how many rows and columns are added to (H, W)."""
        rows, columns = (
            max_size((ceil_divide(size, stride) - 1) * stride +
                     (kernel - 1) * dilation + 1 - size, 0)
            for size, kernel, stride, dilation in zip(
                input_shape, self.kernel_size, self.stride, self.dilation))
        return rows, columns

    def forward(self, x: Tensor) -> Tensor:
        """Pad a map (B, C, H, W) with zeros."""
        rows, columns = self.get_pad_shape(x.shape[-2:])
        same = self.padding == 'same'
        top, left = (rows // 2, columns // 2) if same else (0, 0)
        return F.pad(x, (left, columns - left, top, rows - top))


class MatrixPooling(nn.Module):
    """Adaptive average pooling as two products with matrices.

    ONNX has none, except to one cell; exporters accept maps whose size is
    a constant multiple of the result's.

    Args:
        output_size (tuple[int | None]): Rows and columns of the result;
            None leaves them.
    """

    def __init__(self, output_size: Tuple[Optional[int],
                                          Optional[int]]) -> None:
        super().__init__()
        self.output_size = output_size

    @classmethod
    def of(cls, stock: nn.AdaptiveAvgPool2d) -> 'MatrixPooling':
        """Make one like a stock one."""
        size = stock.output_size
        return cls(tuple(size) if isinstance(size, (tuple, list)) else
                   (size, size))

    @staticmethod
    def weights(side: int, count: int, device: torch.device) -> Tensor:
        """Compute the share of every cell in every mean, (count, side)."""
        cell = torch.arange(side, device=device)[None]
        index = torch.arange(count, device=device)[:, None]
        start = index * side // count
        end = ceil_divide((index + 1) * side, count)
        inside = (cell >= start).float() * (cell < end).float()
        return inside / (end - start).float()

    def forward(self, x: Tensor) -> Tensor:
        """Pool a map (B, C, H, W)."""
        rows, columns = self.output_size
        if rows is not None:
            x = self.weights(x.shape[2], rows, x.device).to(x.dtype) @ x
        if columns is not None:
            weights = self.weights(x.shape[3], columns, x.device)
            x = x @ weights.to(x.dtype).t()
        return x


EXCHANGED: Dict[Type[nn.Module], Callable[[Any], nn.Module]] = {
    AdaptivePadding: TraceablePadding.of,
    nn.AdaptiveAvgPool2d: MatrixPooling.of,
}
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def _fused(conv: nn.Module, norm: nn.Module) -> nn.Module:
    """Fold BatchNorm into the convolution before it."""
    return fuse_conv_bn_eval(conv, norm, isinstance(conv, nn.ConvTranspose2d))


def _foldable(conv: Any, norm: Any) -> bool:
    """Whether two modules are a convolution and a BatchNorm in evaluation."""
    return (isinstance(conv, CONVOLUTIONS) and isinstance(norm, _BatchNorm)
            and norm.running_mean is not None)


def fold_batch_norms(model: nn.Module) -> None:
    """Fold BatchNorm into convolutions, where it directly follows them.

    Where it does is read from what is known of a module's forward pass,
    never from the order of its attributes: SFE (1x1 convolution, norm,
    ReLU), mmcv's ConvModule (its ``order``), and Sequential.

    Args:
        model (nn.Module): In evaluation, changed in place.
    """
    for module in list(model.modules()):
        if isinstance(module, SplitFuseEnhancer):
            if _foldable(module.conv1, module.norm):
                module.conv1 = _fused(module.conv1, module.norm)
                module.norm = nn.Identity()
        elif isinstance(module, ConvModule):
            order = ' '.join(module.order)
            if (module.with_norm and 'conv norm' in order
                    and not module.with_explicit_padding
                    and not module.with_spectral_norm
                    and _foldable(module.conv, module.norm)):
                module.conv = _fused(module.conv, module.norm)
                setattr(module, module.norm_name, nn.Identity())
        elif isinstance(module, nn.Sequential):
            for index in range(1, len(module)):
                if _foldable(module[index - 1], module[index]):
                    module[index - 1] = _fused(module[index - 1],
                                               module[index])
                    module[index] = nn.Identity()


def traceable_copy(model: nn.Module) -> nn.Module:
    """Copy a model for tracing: same results, in evaluation, no BatchNorm.

    Args:
        model (nn.Module): A model on the CPU, left as it is.

    Returns:
        nn.Module: The copy, without gradients.
    """
    model = deepcopy(model)
    model.eval()
    model.requires_grad_(False)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) in EXCHANGED:
                setattr(parent, name, EXCHANGED[type(child)](child))
    fold_batch_norms(model)
    return model
