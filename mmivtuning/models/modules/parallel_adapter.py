"""AdaptFormer's adapter beside a feed-forward network (Chen et al., 2022)."""

import math
from typing import List

from torch import Tensor, nn


class ParallelAdapter(nn.Module):
    r"""A bottleneck whose output is scaled: :math:`s W_2 ReLU(W_1 x)`.

    Dropout precedes :math:`W_2`, which starts at zero, biases too; W_1 is
    Kaiming-uniform, as in the authors' code.

    Args:
        embed_dims (int): Token width C.
        hidden_dims (int): Width of the bottleneck. Defaults to 64.
        scale (float): The scale s. Defaults to 0.1.
        drop_rate (float): Of the dropout. Defaults to 0.1.
    """

    def __init__(self,
                 embed_dims: int,
                 hidden_dims: int = 64,
                 scale: float = 0.1,
                 drop_rate: float = 0.1) -> None:
        super().__init__()
        self.scale = scale
        self.down = nn.Linear(embed_dims, hidden_dims)
        self.dropout = nn.Dropout(drop_rate)
        self.up = nn.Linear(hidden_dims, embed_dims)
        self.init_weights()

    def init_weights(self) -> None:
        """Initialise, whatever an ``init_cfg`` did to linear layers."""
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        for parameter in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(parameter)

    def tuned_parameters(self) -> List[str]:
        """Declare what trains, for :mod:`mmivtuning.models.freezing`."""
        return [name for name, _ in self.named_parameters()]

    def forward(self, x: Tensor) -> Tensor:
        """Adapt tokens of shape (..., C)."""
        return self.scale * self.up(self.dropout(self.down(x).relu()))
