"""IV-tuning of EVA-02."""

from typing import Any, Optional, Tuple

from mmpretrain.models.backbones import ViTEVA02
from mmpretrain.models.backbones.vit_eva02 import EVA02EndcoderLayer
from torch import Tensor

from mmivtuning.registry import MODELS

from .iv_tuning import TunedLayer
from .iv_vit import IVPlainBackbone, with_context


class IVEVA02EncoderLayer(TunedLayer, EVA02EndcoderLayer):
    """Encoder layer of EVA-02, in two parts."""

    # The two halves of EVA02EndcoderLayer.forward; a context is new. Tokens
    # in front of the patches are not rotated.

    def attend(self,
               x: Tensor,
               hw: Tuple[int, int],
               context: Optional[Tensor] = None) -> Tensor:
        """Run attention; see the base class."""
        if context is None:
            return x + self.drop_path(self.attn(self.norm1(x), hw))
        tokens = self.attn(self.norm1(with_context(context, x)), hw)
        return x + self.drop_path(tokens[:, context.shape[1]:])

    def feed(self, x: Tensor) -> Tensor:
        """Run the FFN; see the base class."""
        return x + self.drop_path(self.mlp(self.norm2(x)))


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

    layer_type = IVEVA02EncoderLayer
    computed_buffers = ('rope.freqs_cos', 'rope.freqs_sin')

    def __init__(self,
                 *args: Any,
                 rope_grid: Optional[int] = None,
                 **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if rope_grid is not None and rope_grid < 1:
            raise ValueError(f'rope_grid must be positive, found {rope_grid}')
        self.rope.grid = rope_grid
