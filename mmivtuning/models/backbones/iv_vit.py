"""IV-tuning of plain vision transformers (ViT, DeiT, MAE, DINOv2)."""

from typing import (
    Any,
    Dict,
    Iterator,
    List,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import torch
from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.models.backbones.vision_transformer import (
    TransformerEncoderLayer,
)
from torch import Tensor, nn

from mmivtuning.registry import MODELS

from ..necks import plain_pyramid
from .iv_tuning import IVTuningBackbone, TunedLayer
from .positions import resized_positions


def with_context(context: Tensor, x: Tensor) -> Tensor:
    """Put a context (1, N, C) in front of the tokens of each image."""
    return torch.cat((context.expand(x.shape[0], -1, -1), x), 1)


class IVEncoderLayer(TunedLayer, TransformerEncoderLayer):
    """Encoder layer of a ViT, in two parts."""

    # The two lines of TransformerEncoderLayer.forward; a context is new.

    def attend(self,
               x: Tensor,
               hw: Tuple[int, int],
               context: Optional[Tensor] = None) -> Tensor:
        """Run attention; see the base class."""
        if context is None:
            return x + self.attn(self.ln1(x))
        tokens = with_context(context, x)
        return x + self.attn(self.ln1(tokens))[:, context.shape[1]:]

    def feed(self, x: Tensor) -> Tensor:
        """Run the FFN; see the base class."""
        return self.ffn(self.ln2(x), identity=x)


class IVPlainBackbone(IVTuningBackbone):
    """Mixin: what IV-tuned plain transformers share.

    Args:
        *args: Arguments of the stock backbone.
        out_indices (int | Sequence[int]): Layers whose tokens are returned,
            0-based, ascending; negative ones count from the end. With a
            pyramid a layer may serve several levels. Defaults to -1.
        out_type (str): See the stock class. Defaults to ``'featmap'``.
        pyramid_strides (Sequence[int], optional): Strides, powers of two, to
            which the maps are resampled: map k is the one of
            ``out_indices[k]`` and has ``ceil(H / stride)`` rows. None leaves
            them on the patch grid. Defaults to None.
        **kwargs: Arguments of the stock backbone and of
            :class:`IVTuningBackbone`.

    Raises:
        ValueError: If an argument does not fit.
    """

    def __init__(self,
                 *args: Any,
                 out_indices: Union[int, Sequence[int]] = -1,
                 out_type: str = 'featmap',
                 pyramid_strides: Optional[Sequence[int]] = None,
                 **kwargs: Any) -> None:
        indices = ([out_indices]
                   if isinstance(out_indices, int) else list(out_indices))
        super().__init__(
            *args, out_indices=indices, out_type=out_type, **kwargs)
        if (not indices or indices != sorted(indices)
                or indices[-1] >= self.num_layers):
            raise ValueError('out_indices must be ascending and less than '
                             f'{self.num_layers} layers, found {out_indices}')
        if pyramid_strides is None:
            if len(set(indices)) != len(indices):
                raise ValueError(f'out_indices {out_indices} repeats a layer '
                                 'without pyramid_strides')
        else:
            self._check_pyramid(pyramid_strides)
        self.pyramid_strides = pyramid_strides

    def _check_pyramid(self, strides: Sequence[int]) -> None:
        """Raise if the maps cannot be made a pyramid."""
        if len(strides) != len(self.out_indices):
            raise ValueError(
                f'pyramid_strides {tuple(strides)} needs {len(strides)} '
                f'out_indices, found {self.out_indices}')
        if any(s < 1 or s & (s - 1) for s in strides):
            raise ValueError('pyramid_strides must be powers of two, found '
                             f'{tuple(strides)}')
        if self.out_type != 'featmap':
            raise ValueError("pyramid_strides needs out_type='featmap', "
                             f'found {self.out_type!r}')
        conv = self.patch_embed.projection
        sides = {*conv.kernel_size, *conv.stride}
        if len(sides) != 1 or any(conv.padding):
            raise ValueError('pyramid_strides needs square patches that do '
                             f'not overlap, found {conv}')

    def used_layers(self) -> Iterator[Tuple[nn.ModuleList, int, int]]:
        """Yield the layers up to the last output: list, index, width."""
        for index in range(min(self.last_output + 1, self.num_layers)):
            yield self.layers, index, self.embed_dims

    def prompted_layers(self) -> List[Tuple[TunedLayer, int]]:
        """List the layers on whose patch tokens an output depends."""
        last = self.last_output + (self.out_type != 'cls_token')
        return self.tuned_layers()[:last]

    def unused_modules(self) -> List[nn.Module]:
        """List layers after the last output and a norm that is not used."""
        unused = list(self.layers[self.last_output + 1:])
        if self.final_norm and self.last_output < self.num_layers - 1:
            unused.append(self.ln1)
        return unused

    def may_lack(self, name: str) -> bool:
        """Whether a checkpoint may lack this stock parameter."""
        return (name.startswith('ln1.')
                and self.last_output < self.num_layers - 1)

    def may_ignore(self, name: str) -> bool:
        """Whether a checkpoint may have this key that the backbone lacks."""
        return name.startswith(('ln1.', 'ln2.')) or (
            name == 'cls_token' and not self.with_cls_token)

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Compute features of pairs.

        Args:
            x (Tensor): Normalised R, G, B, infrared, shape (B, 4, H, W), any
                H and W.

        Returns:
            tuple[Tensor]: One output an index; for ``out_type='featmap'``
            maps (B, C, h, w), or a pyramid's (B, C, ceil(H / s),
            ceil(W / s)).
        """
        input_size = tuple(x.shape[2:])
        x, prompt, hw = self.embed_pair(x)
        # VisionTransformer.forward; prompt and pyramid are new.
        if self.cls_token is not None:
            token = self.cls_token.expand(x.shape[0], -1, -1)
            x = torch.cat((token, x), dim=1)
        x = x + self.position_cache.get(
            hw, (self.pos_embed, ), lambda: resized_positions(
                self.pos_embed, self.patch_resolution, hw, self.
                interpolate_mode, self.num_extra_tokens))
        x = self.pre_norm(self.drop_after_pos(x))
        outs: Dict[int, Tensor] = {}
        for i in range(self.last_output + 1):
            x = self.run_layer(self.layers[i], x, hw, prompt)
            prompt = self._tuning.next_prompt(prompt, x, enters_stage=True)
            if i == self.num_layers - 1 and self.final_norm:
                x = self.ln1(x)
            if i in self.out_indices:
                outs[i] = self._format_output(x, hw)
        features = tuple(outs[i] for i in self.out_indices)
        if self.pyramid_strides is None:
            return features
        patch_size = self.patch_embed.projection.stride[0]
        return plain_pyramid(features, patch_size, self.pyramid_strides,
                             input_size)


@MODELS.register_module()
class IVVisionTransformer(IVPlainBackbone, VisionTransformer):
    """IV-tuned Vision Transformer.

    Takes the arguments of mmpretrain's VisionTransformer, those of
    :class:`IVTuningBackbone` and of :class:`IVPlainBackbone`.

    Examples:
        >>> backbone = IVVisionTransformer(
        >>>     arch='dinov2-small', img_size=518, patch_size=14,
        >>>     layer_scale_init_value=1e-5, out_indices=(2, 5, 8, 11),
        >>>     pyramid_strides=(4, 8, 16, 32))
        >>> [tuple(f.shape) for f in backbone(torch.rand(1, 4, 60, 80))]
        [(1, 384, 15, 20), (1, 384, 8, 10), (1, 384, 4, 5), (1, 384, 2, 3)]
    """

    layer_type = IVEncoderLayer
