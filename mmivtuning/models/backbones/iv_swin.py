"""IV-tuning of Swin Transformers."""

from typing import Any, Dict, Iterator, List, Optional, Tuple

from mmpretrain.models.backbones import SwinTransformer
from mmpretrain.models.backbones.swin_transformer import SwinBlock
from torch import Tensor, nn

from mmivtuning.registry import MODELS

from ..modules.modal_prompt import tokens_to_map
from .context_attention import ContextShiftWindowMSA, ContextWindowMSA
from .iv_tuning import IVTuningBackbone, TunedLayer
from .loading import resize_relative_position_bias
from .positions import resized_positions


class IVSwinBlock(TunedLayer, SwinBlock):
    """Swin block, in two parts."""

    @property
    def attention(self) -> nn.Module:
        """The module that has the projection ``qkv``."""
        return self.attn.w_msa

    def accept_context(self) -> None:
        """Make every window see a context."""
        self.attn.w_msa = ContextWindowMSA.of(self.attn.w_msa)
        self.attn = ContextShiftWindowMSA.of(self.attn)

    # The two halves of SwinBlock.forward; a context is new.

    def attend(self,
               x: Tensor,
               hw: Tuple[int, int],
               context: Optional[Tensor] = None) -> Tensor:
        """Run window attention; see the base class."""
        contexts = () if context is None else (self.norm1(context), )
        return x + self.attn(self.norm1(x), hw, *contexts)

    def feed(self, x: Tensor) -> Tensor:
        """Run the FFN; see the base class."""
        return self.ffn(self.norm2(x), identity=x)


@MODELS.register_module()
class IVSwinTransformer(IVTuningBackbone, SwinTransformer):
    """IV-tuned Swin Transformer.

    Takes the arguments of mmpretrain's SwinTransformer and those of
    :class:`IVTuningBackbone`.

    Args:
        *args: Arguments of the stock backbone.
        pad_small_map (bool): Whether maps smaller than a window are padded;
            else they are refused. Defaults to True (the stock class: False).
        **kwargs: Arguments of both.

    Raises:
        ValueError: If an argument does not fit.

    Examples:
        >>> backbone = IVSwinTransformer(
        >>>     arch='tiny', out_indices=(0, 1, 2, 3))
        >>> [tuple(f.shape) for f in backbone(torch.rand(1, 4, 60, 80))]
        [(1, 96, 15, 20), (1, 192, 8, 10), (1, 384, 4, 5), (1, 768, 2, 3)]
    """

    layer_type = IVSwinBlock
    first_frozen_stages = 0
    computed_buffers = ('relative_position_index', )

    def __init__(self,
                 *args: Any,
                 pad_small_map: bool = True,
                 **kwargs: Any) -> None:
        super().__init__(*args, pad_small_map=pad_small_map, **kwargs)

    def used_layers(self) -> Iterator[Tuple[nn.ModuleList, int, int]]:
        """Yield the blocks of every stage up to the last output."""
        for stage in list(self.stages)[:self.last_output + 1]:
            for index in range(len(stage.blocks)):
                yield stage.blocks, index, stage.embed_dims

    def unused_modules(self) -> List[nn.Module]:
        """List stages and the merging after the last output."""
        unused = list(self.stages[self.last_output + 1:])
        merging = self.stages[self.last_output].downsample
        if merging is not None and not self.out_after_downsample:
            unused.append(merging)
        return unused

    def may_lack(self, name: str) -> bool:
        """Whether a checkpoint may lack it: norms no classifier has."""
        return name.startswith(
            tuple(f'norm{i}.' for i in range(self.num_layers - 1)))

    def may_ignore(self, name: str) -> bool:
        """Whether a checkpoint may have this key that the backbone lacks."""
        return name.startswith(
            tuple(f'norm{i}.' for i in range(self.num_layers)))

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Compute features of pairs.

        Args:
            x (Tensor): Normalised R, G, B, infrared, shape (B, 4, H, W), any
                H and W.

        Returns:
            tuple[Tensor]: One map an index; without ``out_after_downsample``
            of the size (ceil(H / s), ceil(W / s)), s = 4, 8, 16, 32.
        """
        x, prompt, hw = self.embed_pair(x)
        # SwinTransformer.forward and SwinBlockSequence.forward; the prompt
        # is new: the tokens that enter a stage.
        if self.use_abs_pos_embed:
            x = x + self.position_cache.get(
                hw, (self.absolute_pos_embed, ), lambda: resized_positions(
                    self.absolute_pos_embed, self.patch_resolution, hw, self.
                    interpolate_mode, self.num_extra_tokens))
        x = self.drop_after_pos(x)
        outs = []
        for i in range(self.last_output + 1):
            stage = self.stages[i]
            for block in stage.blocks:
                x = self.run_layer(block, x, hw, prompt)
                prompt = self._tuning.next_prompt(
                    prompt, x, enters_stage=False)
            merge = stage.downsample is not None
            if merge and self.out_after_downsample:
                x, hw = stage.downsample(x, hw)
            if i in self.out_indices:
                out = getattr(self, f'norm{i}')(x)
                outs.append(tokens_to_map(out, hw).contiguous())
            if (merge and not self.out_after_downsample
                    and i < self.last_output):
                x, hw = stage.downsample(x, hw)
            prompt = self._tuning.next_prompt(prompt, x, enters_stage=True)
        return tuple(outs)

    def _prepare_pair_weights(self, state_dict: Dict[str, Tensor],
                              prefix: str, *args: Any) -> None:
        """Complete a state dict; early Swin files call the last norm so."""
        last = f'{prefix}norm{self.num_layers - 1}.'
        for key in list(state_dict):
            if key.startswith(f'{prefix}norm.'):
                state_dict[key.replace(f'{prefix}norm.',
                                       last)] = state_dict.pop(key)
            elif key.startswith(prefix) and key.endswith('attn_mask'):
                del state_dict[key]
        super()._prepare_pair_weights(state_dict, prefix, *args)

    def _prepare_relative_position_bias_table(self, state_dict: Dict[str,
                                                                     Tensor],
                                              prefix: str,
                                              *args: Any) -> None:
        """Resize tables of another window size, as the stock class does.

        That one calls ``scipy.interpolate.interp2d``, which is gone.
        """
        for name, table in self.named_parameters():
            key = prefix + name
            if (name.endswith('relative_position_bias_table')
                    and key in state_dict
                    and len(state_dict[key]) != len(table)):
                state_dict[key] = resize_relative_position_bias(
                    state_dict[key], len(table))
