"""IV-tuning of EVA-02."""

from typing import Any, Callable, Optional, Tuple

from mmpretrain.models.backbones import ViTEVA02
from mmpretrain.models.backbones.vit_eva02 import EVA02EndcoderLayer
from torch import Tensor, nn

from mmivtuning.registry import MODELS

from .iv_tuning import PromptedLayer
from .iv_vit import IVPlainBackbone


class IVEVA02EncoderLayer(PromptedLayer, EVA02EndcoderLayer):
    """Encoder layer of EVA-02 with an MP-beta after attention and FFN."""

    def forward(self, x: Tensor, prompt: Tensor,
                hw: Tuple[int, int]) -> Tensor:
        """Run the layer.

        Args:
            x (Tensor): Tokens, shape (B, E + h * w, C).
            prompt (Tensor): The prompt, shape (B, h * w, C), or tokens of
                a layer, shape (B, E + h * w, C).
            hw (tuple[int, int]): The grid (h, w).

        Returns:
            Tensor: Tokens, shape (B, E + h * w, C).
        """
        # EVA02EndcoderLayer.forward; the two prompt calls are new.
        extra = x.shape[1] - hw[0] * hw[1]
        x = x + self.drop_path(self.attn(self.norm1(x), hw))
        x = self.prompt_beta_attn(x, prompt, hw, extra)
        x = x + self.drop_path(self.mlp(self.norm2(x)))
        return self.prompt_beta_ffn(x, prompt, hw, extra)


@MODELS.register_module()
class IVViTEVA02(IVPlainBackbone, ViTEVA02):
    """IV-tuned EVA-02.

    Takes the arguments of mmpretrain's ViTEVA02, those of
    :class:`IVTuningBackbone` and of :class:`IVPlainBackbone`.

    Args:
        *args: Arguments of the stock backbone.
        rope_grid (int, optional): Side of the grid of patches that the
            rotary positions were pretrained on, 16 for the published EVA-02
            files; EVA-02's rotation is then computed for any input size.
            None: mmpretrain's rotation, which differs from EVA-02's unless
            a file brings its tables. Defaults to None.
        **kwargs: Arguments of the stock backbone and of the mixins.

    Raises:
        ValueError: If ``rope_grid`` is not positive.
    """

    computed_buffers = ('rope.freqs_cos', 'rope.freqs_sin')

    def __init__(self,
                 *args: Any,
                 rope_grid: Optional[int] = None,
                 **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if rope_grid is not None and rope_grid < 1:
            raise ValueError(f'rope_grid must be positive, found {rope_grid}')
        self.rope.grid = rope_grid

    def prompted_layer(self, layer: nn.Module,
                       build_prompt: Callable[[], nn.Module]) -> nn.Module:
        """Make a prompted layer of a stock one."""
        return IVEVA02EncoderLayer(layer, build_prompt)

    def stock_layer_args(self, hw: Tuple[int, int]) -> Tuple:
        """Arguments of a stock layer besides tokens."""
        return (hw, )
