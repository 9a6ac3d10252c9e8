"""SimAM (Yang et al., ICML 2021), an attention without parameters."""

from typing import Any, Tuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .recompute import is_compiling
from .sizes import max_size

_HALF = torch.tensor(0.5, device='cpu')  # a number, wherever others are


def _accurate(x: Tensor) -> Tensor:
    """Return a map in a type in which squares neither overflow nor vanish."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _weigh(x: Tensor, lambda_: float) -> Tuple[Tensor, ...]:
    """Return the weights (B, D, hw), with what their gradient needs.

    The energy is a square of what a norm over space returns: one operation,
    where the formula is eight.
    """
    cells = x.flatten(2)
    number = cells.shape[2]
    share = max(number - 1, 1) / number
    normed, mean, rstd = torch.native_layer_norm(cells, (number, ), None, None,
                                                 lambda_ * share)
    energy = torch.add(_HALF, normed * normed, alpha=share / 4)
    return energy.sigmoid_(), normed, mean, rstd, share


class _SimAM(torch.autograd.Function):
    """What :class:`SimAM` computes; keeps its input alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, lambda_: float) -> Tensor:
        ctx.lambda_ = lambda_
        ctx.save_for_backward(x)
        weight = _weigh(_accurate(x), lambda_)[0]
        return x * weight.view(x.shape).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple[Tensor, None]:
        x = _accurate(ctx.saved_tensors[0])
        weight, normed, mean, rstd, share = _weigh(x, ctx.lambda_)
        cells = x.flatten(2)
        direct = grad.flatten(2) * weight
        energy = direct * cells
        energy = torch.addcmul(energy, energy, weight, value=-1)
        pull = torch.ops.aten.native_layer_norm_backward(
            energy * normed, cells, cells.shape[2:], mean, rstd, None, None,
            (True, False, False))[0]
        grad_x = torch.add(direct, pull, alpha=share / 2)
        return grad_x.view(x.shape).to(grad.dtype), None


class SimAM(nn.Module):
    r"""Weigh every cell of a map by how much it stands out.

    .. math::
        x \, \sigma\left(\frac{(x - \mu)^2}{4 (\Sigma (x - \mu)^2 /
        (hw - 1) + \lambda)} + 0.5\right)

    with :math:`\mu` and :math:`\Sigma` per channel, over space.

    Args:
        lambda_ (float): Regulariser, greater than 0. Defaults to 1e-4.

    Raises:
        ValueError: If ``lambda_`` is not greater than 0.
    """

    def __init__(self, lambda_: float = 1e-4) -> None:
        super().__init__()
        if not lambda_ > 0:
            raise ValueError(f'lambda_ must be greater than 0: {lambda_}')
        self.lambda_ = lambda_

    def forward(self, x: Tensor) -> Tensor:
        """Apply the attention to a map of shape (B, D, h, w)."""
        if not is_compiling():
            return _SimAM.apply(x, self.lambda_)
        values = _accurate(x)
        deviation = values - values.mean((2, 3), keepdim=True)
        square = deviation * deviation
        freedom = max_size(x.shape[2] * x.shape[3] - 1, 1)
        variance = square.sum((2, 3), keepdim=True) / freedom
        energy = square / (4 * (variance + self.lambda_)) + 0.5
        return x * energy.sigmoid().to(x.dtype)
