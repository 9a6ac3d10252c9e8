"""Attention of Swin that sees tokens besides those of a window."""

from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import FusedShiftWindowMSA, FusedWindowMSA


class ContextWindowMSA(FusedWindowMSA):
    """Window attention with tokens that stand in front of every window.

    They have no position: their relative position bias and their mask are 0,
    as in visual prompt tuning (Jia et al., 2022).
    """

    # Of the call in progress, shape (1, N, C).
    context: Optional[Tensor] = None

    def forward(self, x: Tensor, mask: Optional[Tensor] = None) -> Tensor:
        """Attend in windows; see the base class."""
        context = self.context.expand(x.shape[0], -1, -1)
        x = super().forward(torch.cat((context, x), 1), mask)
        return x[:, context.shape[1]:].contiguous()

    def _bias(self, mask: Optional[Tensor]) -> Tensor:
        """Compute the additive mask, shape (1, W * heads, N + n, N + n)."""
        number = self.context.shape[1]
        return F.pad(super()._bias(mask), (number, 0, number, 0))


class ContextShiftWindowMSA(FusedShiftWindowMSA):
    """Attention in shifted windows that sees a context in each of them."""

    def forward(self, query: Tensor, hw_shape: Tuple[int, int],
                context: Tensor) -> Tensor:
        """Attend in windows.

        Args:
            query (Tensor): Tokens, shape (B, h * w, C).
            hw_shape (tuple[int, int]): The grid (h, w).
            context (Tensor): What every window sees, shape (1, N, C).

        Returns:
            Tensor: Shape (B, h * w, C).
        """
        # the stock class calls the attention in windows with these alone
        self.w_msa.context = context
        try:
            return super().forward(query, hw_shape)
        finally:
            self.w_msa.context = None
