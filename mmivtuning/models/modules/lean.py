"""Pieces of a prompt block that keep little for the backward pass.

Prompt blocks are many and narrow: what costs is not their arithmetic but
every tensor of full token width C that waits for the backward pass. These
functions keep their input and a few numbers a token; the rest is computed
again, by elementwise work and products with a narrow side.

Under ``torch.autocast`` matrix products run in its type, as in
:class:`torch.nn.Linear`; statistics and activations in float32.
"""

from typing import Any, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .recompute import is_exporting


def product_dtype(reference: Tensor) -> torch.dtype:
    """Return the type of matrix products, which autocast decides."""
    if hasattr(torch, 'get_autocast_dtype'):
        kind = reference.device.type
        if torch.is_autocast_enabled(kind):
            return torch.get_autocast_dtype(kind)
    elif reference.is_cuda:
        if torch.is_autocast_enabled():
            return torch.get_autocast_gpu_dtype()
    elif torch.is_autocast_cpu_enabled():
        return torch.get_autocast_cpu_dtype()
    return reference.dtype


class _NormLinear(torch.autograd.Function):
    """Normalise tokens, without affine map, and project them to few."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor,
                eps: float) -> Tensor:
        normed, mean, rstd = torch.native_layer_norm(x, x.shape[-1:], None,
                                                     None, eps)
        out = F.linear(normed.to(weight.dtype), weight, bias)
        ctx.save_for_backward(x, mean, rstd, weight, bias, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        x, mean, rstd, weight, bias, out = ctx.saved_tensors
        flat = grad.flatten(0, -2)
        if {weight.dtype, x.dtype} not in ({torch.float32}, {torch.float64}):
            # the short cut below needs one type, and an accurate one
            grad_x = torch.ops.aten.native_layer_norm_backward(
                (grad @ weight).to(x.dtype), x, x.shape[-1:], mean, rstd,
                None, None, (True, False, False))[0]
            normed = ((x - mean) * rstd).flatten(0, -2).to(flat.dtype)
            return grad_x, flat.t() @ normed, flat.sum(0), None
        # The gradient of a norm, W g - mean(W g) - x_hat mean(W g x_hat),
        # has both means among the few projected values.
        scaled = grad * rstd
        pull = ((out - bias) * scaled).sum(-1, True) * rstd / x.shape[-1]
        centred = weight - weight.mean(1, keepdim=True)
        grad_x = torch.cat((scaled, pull * mean), -1) @ torch.cat(
            (centred, torch.ones_like(centred[:1])))
        grad_x.addcmul_(x, pull, value=-1)
        scaled = scaled.flatten(0, -2)
        grad_weight = scaled.t() @ x.flatten(0, -2)
        grad_weight -= (scaled.t() @ mean.flatten())[:, None]
        return grad_x, grad_weight, flat.sum(0), None


class _AddBranches(torch.autograd.Function):
    """``x + A d(GELU(a)) + a_0 + GELU(B b + b_0)`` of narrow a and b."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, hidden: Tensor, weight: Tensor,
                bias: Tensor, prompt: Tensor, prompt_weight: Tensor,
                prompt_bias: Tensor, drop_rate: float) -> Tensor:
        narrow, mask = F.gelu(hidden), None
        if drop_rate > 0:
            narrow, mask = torch.native_dropout(narrow, drop_rate, True)
        ctx.drop_rate = drop_rate
        ctx.save_for_backward(hidden, mask, weight, prompt, prompt_weight,
                              prompt_bias)
        added = F.gelu(F.linear(prompt, prompt_weight, prompt_bias))
        added += F.linear(narrow, weight, bias)
        extra = x.shape[1] - added.shape[1]
        if extra == 0:
            return x + added
        out = x.to(torch.promote_types(x.dtype, added.dtype), copy=True)
        out[:, extra:] += added
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        (hidden, mask, weight, prompt, prompt_weight,
         prompt_bias) = ctx.saved_tensors
        # contiguous: torch 2.1 on CPU gets GELU wrong if its gradient is
        # permuted
        full = grad[:, grad.shape[1] - hidden.shape[1]:].to(
            weight.dtype).contiguous()
        narrow, grad_narrow = F.gelu(hidden), full @ weight
        if mask is not None:
            kept = mask.to(narrow.dtype) / (1 - ctx.drop_rate)
            narrow, grad_narrow = narrow * kept, grad_narrow * kept
        inner = torch.ops.aten.gelu_backward(
            full, F.linear(prompt, prompt_weight, prompt_bias))
        flat, inner_flat = full.flatten(0, -2), inner.flatten(0, -2)
        return (grad, torch.ops.aten.gelu_backward(grad_narrow, hidden),
                flat.t() @ narrow.flatten(0, -2), flat.sum(0),
                inner @ prompt_weight,
                inner_flat.t() @ prompt.flatten(0, -2), inner_flat.sum(0),
                None)


def norm_linear(x: Tensor, scale: Tensor, shift: Tensor, weight: Tensor,
                bias: Tensor, eps: float) -> Tensor:
    r"""Compute :math:`W (s \odot \hat x + t) + b` of normalised tokens.

    The affine map of the norm is folded into the projection, so that it
    never touches the tokens.

    Args:
        x (Tensor): Tokens, shape (..., C).
        scale (Tensor): s, shape (C, ).
        shift (Tensor): t, shape (C, ).
        weight (Tensor): W, shape (D, C).
        bias (Tensor): b, shape (D, ).
        eps (float): Of the norm, greater than 0.

    Returns:
        Tensor: Shape (..., D).
    """
    dtype = product_dtype(x)
    with_bias = bias + (weight * shift).sum(1)
    return _NormLinear.apply(x, (weight * scale).to(dtype),
                             with_bias.to(dtype), eps)


def add_branches(x: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor,
                 prompt: Tensor, prompt_weight: Tensor, prompt_bias: Tensor,
                 drop_rate: float) -> Tensor:
    r"""Compute :math:`x + W Dropout(GELU(a)) + b + GELU(U p + c)`.

    Args:
        x (Tensor): Tokens, shape (B, E + N, C). The first E stay as they
            are.
        hidden (Tensor): a, shape (B, N, D).
        weight (Tensor): W, shape (C, D).
        bias (Tensor): b, shape (C, ).
        prompt (Tensor): p, shape (B, N, F).
        prompt_weight (Tensor): U, shape (C, F).
        prompt_bias (Tensor): c, shape (C, ).
        drop_rate (float): Of the dropout, 0 in evaluation.

    Returns:
        Tensor: Shape (B, E + N, C).
    """
    if is_exporting():
        hidden = F.gelu(hidden)
        if drop_rate > 0:  # compiled, in training mode
            hidden = F.dropout(hidden, drop_rate)
        added = F.linear(hidden, weight, bias) + F.gelu(
            F.linear(prompt, prompt_weight, prompt_bias))
        extra = int(x.shape[1] - added.shape[1])
        if extra == 0:
            return x + added
        return torch.cat((x[:, :extra], x[:, extra:] + added), 1)
    dtype = product_dtype(x)
    return _AddBranches.apply(
        x, *(value.to(dtype) for value in (hidden, weight, bias, prompt,
                                           prompt_weight, prompt_bias)),
        drop_rate)
