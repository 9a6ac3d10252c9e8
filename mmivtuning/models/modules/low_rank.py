"""LoRA, a low-rank update of a frozen linear layer (Hu et al., 2021)."""

import math
from typing import List, Sequence

import torch
from torch import Tensor, nn


class LowRankUpdate(nn.Module):
    r"""The update :math:`\frac{\alpha}{r} B A x` of a linear layer.

    A is drawn as in the authors' library, Kaiming-uniform; B starts at zero.

    Args:
        in_dims (int): Width of the input.
        out_dims (int): Width of the output.
        rank (int): The rank r.
        alpha (float): The scale.
        drop_rate (float): Of the dropout before A. Defaults to 0.
    """

    def __init__(self,
                 in_dims: int,
                 out_dims: int,
                 rank: int,
                 alpha: float,
                 drop_rate: float = 0.) -> None:
        super().__init__()
        self.scale = alpha / rank
        self.dropout = nn.Dropout(drop_rate)
        self.down = nn.Linear(in_dims, rank, bias=False)
        self.up = nn.Linear(rank, out_dims, bias=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Initialise, whatever an ``init_cfg`` did to linear layers."""
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the update of tokens (..., C), shape (..., D)."""
        return self.scale * self.up(self.down(self.dropout(x)))


class LoRALinear(nn.Linear):
    """A frozen linear layer of several outputs, some of which are updated.

    The stock layer's parameters are taken over under their names.

    Args:
        linear (nn.Linear): The stock layer, of stacked outputs of one width.
        outputs (Sequence[str]): What the stacked outputs are called.
        targets (Sequence[str]): Those that get an update of their own.
        rank (int): See :class:`LowRankUpdate`.
        alpha (float): See :class:`LowRankUpdate`.
        drop_rate (float): See :class:`LowRankUpdate`. Defaults to 0.
    """

    def __init__(self,
                 linear: nn.Linear,
                 outputs: Sequence[str],
                 targets: Sequence[str],
                 rank: int,
                 alpha: float,
                 drop_rate: float = 0.) -> None:
        nn.Module.__init__(self)
        self.in_features = linear.in_features
        self.out_features = linear.out_features
        self.register_parameter('weight', linear.weight)
        self.register_parameter('bias', linear.bias)
        self.outputs = tuple(outputs)
        width = linear.out_features // len(self.outputs)
        self.lora = nn.ModuleDict({
            name: LowRankUpdate(linear.in_features, width, rank, alpha,
                                drop_rate)
            for name in targets
        })

    def tuned_parameters(self) -> List[str]:
        """Declare the updates."""
        return [f'lora.{name}' for name, _ in self.lora.named_parameters()]

    def init_weights(self) -> None:
        """Initialise the updates alone."""
        for update in self.lora.values():
            update.init_weights()

    def forward(self, x: Tensor) -> Tensor:
        """Apply the updated layer to tokens (..., C)."""
        stacked = super().forward(x).chunk(len(self.outputs), -1)
        return torch.cat([
            out + self.lora[name](x) if name in self.lora else out
            for name, out in zip(self.outputs, stacked)
        ], -1)
