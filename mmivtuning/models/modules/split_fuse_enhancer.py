"""SFE, the Split-Fuse Enhancer of IV-tuning (Fig. 5 of the paper)."""

from typing import Any, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .recompute import is_compiling


def _cells(x: Tensor) -> Tensor:
    """View a map (B, D, h, w) as cells (B, h, w, D)."""
    return x.permute(0, 2, 3, 1)


def _map(cells: Tensor) -> Tensor:
    """View cells (B, h, w, D) as a map (B, D, h, w)."""
    return cells.permute(0, 3, 1, 2)


def _pointwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Apply a 1x1 convolution as a product, which is faster on CPU."""
    return _map(F.linear(_cells(x), weight.flatten(1), bias))


def _first(x: Tensor, channels: int) -> Tensor:
    """Copy the first channels of a map to a tensor with channels first.

    torch's backward pass on CPU is slow with channels last.
    """
    return x[:, :channels].contiguous(
        memory_format=torch.contiguous_format)


def _add_rest(x: Tensor, first: Tensor) -> Tensor:
    """Add to a map other values of its first channels, its own elsewhere."""
    return x + torch.cat((first, x[:, first.shape[1]:]), 1)


def _depthwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Apply a depth-wise 3x3 convolution."""
    return F.conv2d(x, weight, bias, padding=1, groups=len(weight))


class _Enhance(torch.autograd.Function):
    """What :class:`SplitFuseEnhancer` computes; keeps its input alone.

    Its layers are not called: their hooks see nothing of it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, depthwise: Tensor, depthwise_bias: Tensor,
                weight1: Tensor, bias1: Tensor, norm_weight: Tensor,
                norm_bias: Tensor, weight2: Tensor, bias2: Tensor,
                norm: nn.BatchNorm2d) -> Tensor:
        depthwise, depthwise_bias, weight1, bias1, weight2, bias2 = (
            value.to(x.dtype) for value in (depthwise, depthwise_bias, weight1,
                                            bias1, weight2, bias2))
        y = _add_rest(x, _depthwise(_first(x, len(depthwise)), depthwise,
                                    depthwise_bias))
        z = _pointwise(y, weight1, bias1)
        ctx.trains = norm.training or norm.running_mean is None
        if norm.training and norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
        normed, mean, rstd = torch.native_batch_norm(
            z, norm_weight, norm_bias, norm.running_mean, norm.running_var,
            ctx.trains, norm.momentum, norm.eps)
        statistics = (mean, rstd) if ctx.trains else (norm.running_mean,
                                                      norm.running_var)
        ctx.eps = norm.eps
        ctx.save_for_backward(x, depthwise, depthwise_bias, weight1, bias1,
                              norm_weight, norm_bias, weight2, *statistics)
        return y + _pointwise(normed.relu_(), weight2, bias2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        (x, depthwise, depthwise_bias, weight1, bias1, norm_weight, norm_bias,
         weight2, mean, spread) = ctx.saved_tensors
        part = _first(x, len(depthwise))
        y = _add_rest(x, _depthwise(part, depthwise, depthwise_bias))
        z = _pointwise(y, weight1, bias1)
        rstd = spread if ctx.trains else (spread + ctx.eps).rsqrt()
        scale = norm_weight * rstd
        shift = torch.addcmul(norm_bias, mean, scale, value=-1)
        active = torch.addcmul(shift, _cells(z), scale).to(x.dtype).relu_()

        flat = _cells(grad).flatten(0, 2)
        grad_active = torch.ops.aten.threshold_backward(
            flat @ weight2.flatten(1), active.flatten(0, 2), 0)
        none = mean.new_empty(0)  # where None is an error on GPUs
        known = (None, None, mean, rstd) if ctx.trains else (
            mean, spread, none, none)
        grad_z, grad_norm_weight, grad_norm_bias = (
            torch.ops.aten.native_batch_norm_backward(
                _map(grad_active.view_as(active)), z, norm_weight, *known,
                ctx.trains, ctx.eps, (True, True, True)))
        grad_z = _cells(grad_z).flatten(0, 2)
        grad_y = _map(torch.addmm(flat, grad_z, weight1.flatten(1)).view_as(
            active))
        grad_part, grad_depthwise, grad_depthwise_bias = (
            torch.ops.aten.convolution_backward(
                _first(grad_y, len(depthwise)), part, depthwise,
                (len(depthwise), ), (1, 1), (1, 1), (1, 1), False, (0, 0),
                len(depthwise), (True, True, True)))
        return (_add_rest(grad_y, grad_part), grad_depthwise,
                grad_depthwise_bias,
                (grad_z.t() @ _cells(y).flatten(0, 2))[..., None, None],
                grad_z.sum(0), grad_norm_weight, grad_norm_bias,
                (flat.t() @ active.flatten(0, 2))[..., None, None],
                flat.sum(0), None)


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
        conv1, conv2, norm = self.conv1, self.conv2, self.norm
        # SyncBatchNorm and its like know their own gradients alone; of one
        # cell there are no statistics, which torch tells.
        if (torch.is_grad_enabled() and not is_compiling()
                and type(norm) is nn.BatchNorm2d and norm.affine
                and norm.momentum is not None and x.numel() > x.shape[1]):
            return _Enhance.apply(
                x, self.depthwise.weight, self.depthwise.bias, conv1.weight,
                conv1.bias, norm.weight, norm.bias, conv2.weight, conv2.bias,
                norm)
        x = _add_rest(x, self.depthwise(_first(x, self.split)))
        return x + _pointwise(
            norm(_pointwise(x, conv1.weight, conv1.bias)).relu(),
            conv2.weight, conv2.bias)
