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
from torch import Tensor, nn
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
    """Normalise tokens, scale and shift them, and project them to few."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor,
                norm_weight: Tensor, norm_bias: Tensor, weight: Tensor,
                bias: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        affine = (scale * norm_weight,
                  torch.addcmul(shift, scale, norm_bias))
        normed, mean, rstd = torch.native_layer_norm(
            x.to(scale.dtype), x.shape[-1:], *affine, eps)
        factor = weight.to(dtype)
        out = F.linear(normed.to(dtype), factor, bias.to(dtype))
        ctx.eps = eps
        # The short cut needs one type, and an accurate one. On a GPU its
        # many small operations cost more than the pass over x they spare.
        ctx.short_cut = x.device.type == 'cpu' and {x.dtype, dtype} in (
            {torch.float32}, {torch.float64})
        ctx.save_for_backward(x, mean, rstd, scale, norm_weight, norm_bias,
                              factor, bias, *affine,
                              out if ctx.short_cut else None)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        (x, mean, rstd, scale, norm_weight, norm_bias, weight, bias,
         full_scale, full_shift, out) = ctx.saved_tensors
        flat = grad.flatten(0, -2)
        grad_bias = flat.sum(0)
        if ctx.short_cut:
            # The gradient of a norm, W g - mean(W g) - x_hat mean(W g x_hat),
            # has both means among the few projected values.
            folded = weight * full_scale
            scaled = grad * rstd
            centred = out - torch.addmv(bias, weight, full_shift)
            pull = (centred * scaled).sum(-1, True) * rstd / x.shape[-1]
            grad_x = torch.cat((scaled, pull * mean), -1) @ torch.cat(
                (folded - folded.mean(1, keepdim=True),
                 torch.ones_like(folded[:1])))
            grad_x.addcmul_(x, pull, value=-1)
            scaled = scaled.flatten(0, -2)
            grad_folded = scaled.t() @ x.flatten(0, -2)
            grad_folded -= (scaled.t() @ mean.flatten())[:, None]
            grad_scale = (grad_folded * weight).sum(0)
            grad_shift = grad_bias @ weight
            grad_weight = torch.addr(grad_folded * full_scale, grad_bias,
                                     full_shift)
        else:
            wide = x.to(full_scale.dtype)
            shape = x.shape[-1:]
            pull = (grad @ weight).to(wide.dtype)
            grad_x, grad_scale, grad_shift = (
                torch.ops.aten.native_layer_norm_backward(
                    pull, wide, shape, mean, rstd, full_scale, full_shift,
                    (True, True, True)))
            normed = torch.native_layer_norm(wide, shape, full_scale,
                                             full_shift, ctx.eps)[0]
            grad_weight = flat.t() @ normed.flatten(0, -2).to(grad.dtype)
        return (grad_x,
                torch.addcmul(grad_scale * norm_weight, grad_shift, norm_bias),
                grad_shift, grad_scale * scale, grad_shift * scale,
                grad_weight, grad_bias, None, None)


class _AddBranches(torch.autograd.Function):
    """``x + A d(GELU(a)) + a_0 + GELU(s (B b + b_0) + t)``, a and b narrow."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, hidden: Tensor, weight: Tensor,
                bias: Tensor, prompt: Tensor, scale: Tensor, shift: Tensor,
                up_weight: Tensor, up_bias: Tensor, drop_rate: float,
                dtype: torch.dtype) -> Tensor:
        hidden, prompt = hidden.to(dtype), prompt.to(dtype)
        narrow, mask = F.gelu(hidden), None
        if drop_rate > 0:
            narrow, mask = torch.native_dropout(narrow, drop_rate, True)
        ctx.kept_scale = 1 / (1 - drop_rate) if drop_rate < 1 else 0.
        weight = weight.to(dtype)
        folded = _fold(scale, shift, up_weight, up_bias, dtype)
        ctx.save_for_backward(hidden, mask, weight, prompt, scale, up_weight,
                              up_bias, *folded)
        added = F.gelu(F.linear(prompt, *folded))
        added += F.linear(narrow, weight, bias.to(dtype))
        extra = x.shape[1] - added.shape[1]
        if extra == 0:
            return x + added
        out = x.to(torch.promote_types(x.dtype, added.dtype), copy=True)
        out[:, extra:].add_(added)  # += would copy the slice onto itself
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        (hidden, mask, weight, prompt, scale, up_weight, up_bias, factor,
         offset) = ctx.saved_tensors
        # contiguous: torch 2.1 on CPU gets GELU wrong if its gradient is
        # permuted
        full = grad[:, grad.shape[1] - hidden.shape[1]:].to(
            hidden.dtype).contiguous()
        narrow, grad_narrow = F.gelu(hidden), full @ weight
        if mask is not None:
            narrow, grad_narrow = (
                torch.ops.aten.native_dropout_backward(
                    value, mask, ctx.kept_scale)
                for value in (narrow, grad_narrow))
        inner = torch.ops.aten.gelu_backward(
            full, F.linear(prompt, factor, offset))
        flat, inner_flat = full.flatten(0, -2), inner.flatten(0, -2)
        grad_shift = inner_flat.sum(0).to(scale.dtype)
        grad_folded = (inner_flat.t() @ prompt.flatten(0, -2)).to(scale.dtype)
        return (grad, torch.ops.aten.gelu_backward(grad_narrow, hidden),
                flat.t() @ narrow.flatten(0, -2), flat.sum(0), inner @ factor,
                torch.addcmul((grad_folded * up_weight).sum(1), grad_shift,
                              up_bias), grad_shift,
                grad_folded * scale[:, None], grad_shift * scale, None, None)


def _fold(scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor,
          dtype: torch.dtype) -> Tuple[Tensor, Tensor]:
    """Return weight and bias of the linear layer ``s (W p + b) + t``."""
    return ((weight * scale[:, None]).to(dtype),
            torch.addcmul(shift, scale, bias).to(dtype))


def norm_linear(x: Tensor, scale: Tensor, shift: Tensor, norm: nn.LayerNorm,
                linear: nn.Linear) -> Tensor:
    r"""Compute :math:`W (s \odot LN(x) + t) + b`.

    Args:
        x (Tensor): Tokens, shape (..., C).
        scale (Tensor): s, shape (C, ).
        shift (Tensor): t, shape (C, ).
        norm (nn.LayerNorm): LN, over C channels.
        linear (nn.Linear): W and b, of C inputs and D outputs.

    Returns:
        Tensor: Shape (..., D).
    """
    return _NormLinear.apply(x, scale, shift, norm.weight, norm.bias,
                             linear.weight, linear.bias, norm.eps,
                             product_dtype(x))


def add_branches(x: Tensor, hidden: Tensor, linear: nn.Linear, prompt: Tensor,
                 scale: Tensor, shift: Tensor, up: nn.Linear,
                 drop_rate: float) -> Tensor:
    r"""Compute :math:`x + W Dropout(GELU(a)) + b + GELU(s (U p + c) + t)`.

    Args:
        x (Tensor): Tokens, shape (B, E + N, C). The first E stay as they
            are.
        hidden (Tensor): a, shape (B, N, D).
        linear (nn.Linear): W and b, of D inputs and C outputs.
        prompt (Tensor): p, shape (B, N, F).
        scale (Tensor): s, shape (C, ).
        shift (Tensor): t, shape (C, ).
        up (nn.Linear): U and c, of F inputs and C outputs.
        drop_rate (float): Of the dropout, 0 in evaluation.

    Returns:
        Tensor: Shape (B, E + N, C).
    """
    if is_exporting():
        hidden = F.gelu(hidden)
        if drop_rate > 0:  # compiled, in training mode
            hidden = F.dropout(hidden, drop_rate)
        added = linear(hidden) + F.gelu(
            F.linear(prompt, *_fold(scale, shift, up.weight, up.bias,
                                    prompt.dtype)))
        extra = int(x.shape[1] - added.shape[1])
        if extra == 0:
            return x + added
        return torch.cat((x[:, :extra], x[:, extra:] + added), 1)
    return _AddBranches.apply(x, hidden, linear.weight, linear.bias, prompt,
                              scale, shift, up.weight, up.bias, drop_rate,
                              product_dtype(x))
