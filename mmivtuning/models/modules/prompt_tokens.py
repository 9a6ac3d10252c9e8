"""The learned tokens of visual prompt tuning (Jia et al., 2022)."""

from typing import List

import torch
from torch import Tensor, nn


class PromptTokens(nn.Module):
    """Tokens that a layer's attention sees beside those of the image.

    Args:
        num_tokens (int): Their number N.
        embed_dims (int): Token width C.
        bound (float): They are drawn uniformly from [-bound, bound].
        drop_rate (float): Of the dropout on them. Defaults to 0.
    """

    def __init__(self,
                 num_tokens: int,
                 embed_dims: int,
                 bound: float,
                 drop_rate: float = 0.) -> None:
        super().__init__()
        self.bound = bound
        self.tokens = nn.Parameter(torch.empty(1, num_tokens, embed_dims))
        self.dropout = nn.Dropout(drop_rate)
        self.init_weights()

    def init_weights(self) -> None:
        """Draw the tokens."""
        nn.init.uniform_(self.tokens, -self.bound, self.bound)

    def tuned_parameters(self) -> List[str]:
        """Declare what trains, for :mod:`mmivtuning.models.freezing`."""
        return ['tokens']

    def forward(self) -> Tensor:
        """Return the tokens, shape (1, N, C)."""
        return self.dropout(self.tokens)
