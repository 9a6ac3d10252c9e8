"""SFT, the scale-and-shift of IV-tuning's prompt blocks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .lean import norm_linear


class ScaleShift(nn.Module):
    r"""Scale and shift tokens: :math:`\gamma \odot LN(x) + \beta`.

    The affine map of the LayerNorm and :math:`\gamma, \beta` are one affine
    map, so that both together cost one normalisation.

    Args:
        embed_dims (int): Token width C.
        with_norm (bool): Whether there is a LayerNorm (eps 1e-5); else
            :math:`\gamma \odot x + \beta`. Defaults to True.
    """

    def __init__(self, embed_dims: int, with_norm: bool = True) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(embed_dims) if with_norm else None
        self.gamma = nn.Parameter(torch.ones(embed_dims))
        self.beta = nn.Parameter(torch.zeros(embed_dims))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift tokens of shape (..., C)."""
        if self.norm is None:
            return torch.addcmul(self.beta, self.gamma, x)
        return F.layer_norm(
            x, self.norm.normalized_shape, self.gamma * self.norm.weight,
            torch.addcmul(self.beta, self.gamma, self.norm.bias),
            self.norm.eps)

    def project(self, x: Tensor, linear: nn.Linear) -> Tensor:
        """Apply a linear layer to scaled and shifted tokens, in one step.

        Args:
            x (Tensor): Tokens, shape (..., C).
            linear (nn.Linear): A layer of C inputs.

        Returns:
            Tensor: Shape (..., D).
        """
        if self.norm is None or not torch.is_grad_enabled():
            return linear(self(x))
        return norm_linear(x, self.gamma, self.beta, self.norm, linear)
