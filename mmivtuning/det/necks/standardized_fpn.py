"""A feature pyramid network for maps whose channels differ in scale."""

from typing import Any, Sequence, Tuple

from mmdet.models.necks import FPN
from torch import Tensor, nn

from ...registry import MODELS


@MODELS.register_module()
class StandardizedFPN(FPN):
    """mmdet's FPN on maps with mean 0 and variance 1 in every channel.

    The maps of a plain, frozen transformer have channels whose offsets and
    scales differ a hundredfold. Their random initial mixture in the lateral
    convolutions shows the heads little of what tells objects apart. A
    BatchNorm without parameters on each input, as BatchNorm follows each
    output of ViT-Adapter (Chen et al., ICLR 2023), removes both.

    Args:
        in_channels (Sequence[int]): Channels of each input.
        *args: What the stock class takes.
        **kwargs: What the stock class takes.
    """

    def __init__(self, in_channels: Sequence[int], *args: Any,
                 **kwargs: Any) -> None:
        super().__init__(in_channels, *args, **kwargs)
        self.input_norms = nn.ModuleList(
            nn.BatchNorm2d(channels, affine=False) for channels in in_channels)

    def forward(self, inputs: Sequence[Tensor]) -> Tuple[Tensor, ...]:
        """Standardise the maps, then make the pyramid.

        Args:
            inputs (Sequence[Tensor]): Maps (B, C, H, W), one a level.

        Returns:
            tuple[Tensor]: Maps (B, out_channels, H, W), one a level.

        Raises:
            ValueError: If there is not one map for each of ``in_channels``.
        """
        if len(inputs) != len(self.input_norms):
            raise ValueError(f'StandardizedFPN has {len(self.input_norms)} '
                             f'in_channels, found {len(inputs)} maps')
        return super().forward(
            tuple(norm(x) for norm, x in zip(self.input_norms, inputs)))
