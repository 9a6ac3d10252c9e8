"""SimAM (Yang et al., ICML 2021), an attention without parameters."""

import torch
from torch import Tensor, nn

from .sizes import max_size


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
        # squares of half-precision values overflow or vanish
        half = x.dtype in (torch.float16, torch.bfloat16)
        values = x.float() if half else x
        deviation = values - values.mean((2, 3), keepdim=True)
        square = deviation * deviation  # torch's square is slow on views
        freedom = max_size(x.shape[2] * x.shape[3] - 1, 1)
        variance = square.sum((2, 3), keepdim=True) / freedom
        energy = square / (4 * (variance + self.lambda_)) + 0.5
        return x * energy.sigmoid().to(x.dtype)
