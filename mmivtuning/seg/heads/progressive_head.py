"""The progressive decoder of CPNet, as IV-tuning uses it.

Written from the facts of the paper (arXiv 2412.16654) and its parameter
counts; single stream, because the backbone has fused the modalities already.
"""

from typing import List, Sequence, Tuple

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from mmivtuning.registry import MODELS


class ConvNeXtBlock(nn.Module):
    """A block of ConvNeXt (Liu et al., CVPR 2022) without stochastic depth.

    Args:
        channels (int): Width of the map.
        expansion (int): Hidden width of the MLP over ``channels``.
            Default: 4.
        layer_scale (float): Start of the learned scale of the branch.
            Default: 1e-6.
    """

    def __init__(self,
                 channels: int,
                 expansion: int = 4,
                 layer_scale: float = 1e-6) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.widen = nn.Linear(channels, expansion * channels)
        self.act = nn.GELU()
        self.narrow = nn.Linear(expansion * channels, channels)
        self.gamma = nn.Parameter(torch.full((channels, ), layer_scale))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        branch = self.depthwise(x).permute(0, 2, 3, 1)
        branch = self.narrow(self.act(self.widen(self.norm(branch))))
        return x + (self.gamma * branch).permute(0, 3, 1, 2)


@MODELS.register_module()
class ProgressiveHead(BaseDecodeHead):
    """Decode from the deepest map to the input's size, a map at a time.

    Every stage is a 3x3 convolution, BatchNorm, GELU and an upsampling to the
    size of the next shallower map, which is concatenated before the next
    stage; a ConvNeXt block follows every stage but the first. In training,
    every stage but the last gives a side output, supervised like the main
    one; a prediction computes the main one only.

    With the default widths it has 18,398,932 parameters on four maps of 1,024
    channels and 19,228,372 on those of Swin-L. For maps of strides 4, 8, 16
    and 32, the stages double the resolution; a size that 32 does not divide
    is met by resizing to the shallower map.

    Args:
        in_channels (Sequence[int]): Widths of the maps, from the shallowest
            to the deepest.
        in_index (Sequence[int]): Their positions among the backbone's.
        stage_channels (Sequence[int]): Width after each stage, one a map,
            from the deepest to the shallowest.
            Default: (768, 384, 192, 96).
        channels (int): Width before the main output. Default: 48.
        num_classes (int): Background and salient. Default: 2.
        out_channels (int): One logit. Default: 1.
        threshold (float): From which probability on a pixel is salient in
            ``pred_sem_seg``; the measures do not use it. Default: 0.5.
        dropout_ratio (float): Before the main output. Default: 0.
        loss_decode (dict): The loss of every output.
            Default: ``dict(type='mmivtuning.SaliencyLoss')``.
        align_corners (bool): For every upsampling. Default: True.
        kwargs: What mmseg's ``BaseDecodeHead`` takes.

    Raises:
        ValueError: If there is not one stage a map, or more than one logit.
    """

    def __init__(
            self,
            in_channels: Sequence[int],
            in_index: Sequence[int] = (0, 1, 2, 3),
            stage_channels: Sequence[int] = (768, 384, 192, 96),
            channels: int = 48,
            *,
            num_classes: int = 2,
            out_channels: int = 1,
            threshold: float = 0.5,
            dropout_ratio: float = 0.,
            loss_decode: dict = dict(  # noqa: B006
                type='mmivtuning.SaliencyLoss'),
            norm_cfg: dict = dict(type='BN'),  # noqa: B006
            act_cfg: dict = dict(type='GELU'),  # noqa: B006
            align_corners: bool = True,
            **kwargs) -> None:
        counts = (len(in_channels), len(in_index), len(stage_channels))
        if len(set(counts)) > 1 or counts[0] < 2:
            raise ValueError(
                'ProgressiveHead needs one entry a map, and two maps or more, '
                'in in_channels, in_index and stage_channels; they have '
                f'{counts[0]}, {counts[1]} and {counts[2]}')
        if out_channels != 1:
            raise ValueError('ProgressiveHead gives one logit a pixel, got '
                             f'out_channels={out_channels}')
        super().__init__(
            in_channels=list(in_channels),
            in_index=list(in_index),
            channels=channels,
            num_classes=num_classes,
            out_channels=out_channels,
            threshold=threshold,
            dropout_ratio=dropout_ratio,
            loss_decode=loss_decode,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            align_corners=align_corners,
            input_transform='multiple_select',
            **kwargs)

        self.stages = nn.ModuleList()
        self.refinements = nn.ModuleList()
        width = 0
        for depth, out_width in enumerate(stage_channels):
            width += in_channels[-1 - depth]
            self.stages.append(self._block(width, out_width))
            self.refinements.append(
                ConvNeXtBlock(out_width) if depth else nn.Identity())
            width = out_width
        self.reduction = self._block(width, channels)
        # The stock classifier is 1x1.
        self.conv_seg = nn.Conv2d(channels, out_channels, 3, padding=1)
        # From the finest to the coarsest.
        self.sides = nn.ModuleList(
            nn.Conv2d(out_width, out_channels, 3, padding=1)
            for out_width in stage_channels[-2::-1])

    def _block(self, width: int, out_width: int) -> ConvModule:
        """Return 3x3 convolution without bias, norm, activation."""
        return ConvModule(
            width,
            out_width,
            3,
            padding=1,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg)

    def _decode(self, inputs: Sequence[Tensor]) -> List[Tensor]:
        """Return the map after each stage, from the coarsest on."""
        maps = self._transform_inputs(inputs)[::-1]
        decoded: List[Tensor] = []
        x = maps[0]
        for depth, stage in enumerate(self.stages):
            if depth:
                x = torch.cat([x, maps[depth]], dim=1)
            x = stage(x)
            # Twice the size, to the pixel where 2 does not divide it.
            last = depth + 1 == len(self.stages)
            size = (
                tuple(2 * side for side in x.shape[2:])
                if last else maps[depth + 1].shape[2:])
            x = self._resize(x, size)
            x = self.refinements[depth](x)
            decoded.append(x)
        return decoded

    def _resize(self, x: Tensor, size: Tuple[int, int]) -> Tensor:
        return resize(
            x,
            size=size,
            mode='bilinear',
            align_corners=self.align_corners,
            warning=False)

    def _main(self, finest: Tensor) -> Tensor:
        """Return the main logits of the finest map."""
        x = self.reduction(finest)
        x = self._resize(x, tuple(2 * side for side in x.shape[2:]))
        return self.cls_seg(x)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the main output.

        Args:
            inputs (Sequence[Tensor]): Maps (B, C_i, h_i, w_i) of the
                backbone, of strides 4, 8, 16, 32.

        Returns:
            Tensor: Logits (B, 1, 4 * h_0, 4 * w_0).
        """
        return self._main(self._decode(inputs)[-1])

    def forward_all(self, inputs: Sequence[Tensor]) -> List[Tensor]:
        """Compute the main output, then the side outputs, finest first."""
        decoded = self._decode(inputs)
        sides = [
            side(x) for side, x in zip(self.sides, decoded[-2::-1])
        ]
        return [self._main(decoded[-1]), *sides]

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: SampleList,
             train_cfg: ConfigType) -> dict:
        """Compute the loss of every output; their sum is optimised.

        Args:
            inputs (Sequence[Tensor]): Maps of the backbone.
            batch_data_samples (list[SegDataSample]): With ``gt_sem_seg``.
            train_cfg (dict): Unused.

        Returns:
            dict[str, Tensor]: One loss an output, ``..._side1`` the finest.
        """
        losses = {}
        for number, logits in enumerate(self.forward_all(inputs)):
            found = self.loss_by_feat(logits, batch_data_samples)
            # The arg max of one logit says nothing.
            found.pop('acc_seg')
            suffix = f'_side{number}' if number else ''
            losses.update(
                {f'{name}{suffix}': loss
                 for name, loss in found.items()})
        return losses
