"""Ways to tune a backbone on pairs: ``tuning='iv'``, ``'full'`` and so on.

A way of tuning says what is added to the backbone, which parameters train,
and how the token maps of both modalities become one.
"""

from functools import partial
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple, Type

from torch import Tensor, nn

from ..modules import ModalPromptAlpha, ModalPromptBeta

if TYPE_CHECKING:
    from .iv_tuning import IVTuningBackbone


class Tuning:
    """What every way of tuning has in common: the infrared embedding trains.

    The token maps of both modalities are averaged, so that with identical
    planes the result is the stock backbone's.

    Args:
        prompt_init (str): See :class:`ModalPromptBeta`.
        with_simam (bool): See :class:`ModalPromptBeta`.
    """

    def __init__(self, prompt_init: str, with_simam: bool) -> None:
        self.prompt_init = prompt_init
        self.with_simam = with_simam

    def attach(self, backbone: 'IVTuningBackbone') -> None:
        """Add this tuning's modules to a stock backbone."""

    def tuned_parameters(self, backbone: 'IVTuningBackbone') -> List[str]:
        """List what trains and is not declared by an added module."""
        return [
            f'infrared_embed.{name}'
            for name, _ in backbone.infrared_embed.named_parameters()
        ]

    def fuse(self, backbone: 'IVTuningBackbone', visible: Tensor,
             infrared: Tensor,
             hw: Tuple[int, int]) -> Tuple[Tensor, Optional[Tensor]]:
        """Make one token map of two.

        Args:
            backbone (nn.Module): The backbone.
            visible (Tensor): Visible tokens, shape (B, h * w, C).
            infrared (Tensor): Infrared tokens, shape alike.
            hw (tuple[int, int]): The grid (h, w).

        Returns:
            tuple[Tensor, Tensor | None]: Tokens, shape alike, and the
            initial prompt, shape alike, if there is one.
        """
        return (visible + infrared) / 2, None


class FrozenTuning(Tuning):
    """``'frozen'``: nothing but the infrared embedding trains."""


class FullTuning(Tuning):
    """``'full'``: everything trains that the outputs depend on."""

    def tuned_parameters(self, backbone: 'IVTuningBackbone') -> List[str]:
        """List every parameter but those of unused modules."""
        unused = {
            id(parameter)
            for module in backbone.unused_modules()
            for parameter in module.parameters()
        }
        return [
            name for name, parameter in backbone.named_parameters()
            if id(parameter) not in unused
        ]


class VisibleTuning(FullTuning):
    """``'visible'``: full fine-tuning that ignores infrared.

    The stock backbone; :class:`DualBackbone` is made of two.
    """

    def tuned_parameters(self, backbone: 'IVTuningBackbone') -> List[str]:
        """List what full fine-tuning does, without the infrared embedding."""
        return [
            name for name in super().tuned_parameters(backbone)
            if not name.startswith('infrared_embed.')
        ]

    def fuse(self, backbone: 'IVTuningBackbone', visible: Tensor,
             infrared: Tensor,
             hw: Tuple[int, int]) -> Tuple[Tensor, Optional[Tensor]]:
        """Take the visible tokens."""
        return visible, None


class IVTuning(Tuning):
    """``'iv'``: prompts, infrared embedding and the shared norm train."""

    def attach(self, backbone: 'IVTuningBackbone') -> None:
        """Add the shared norm, MP-alpha and two MP-beta a layer."""
        options = dict(
            prompt_init=self.prompt_init, with_simam=self.with_simam)
        backbone.prompt_norm = nn.LayerNorm(backbone.embed_dims)
        backbone.prompt_alpha = ModalPromptAlpha(backbone.embed_dims,
                                                 **options)
        for layers, index, embed_dims in backbone.prompted_layers():
            layers[index] = backbone.prompted_layer(
                layers[index], partial(ModalPromptBeta, embed_dims, **options))

    def tuned_parameters(self, backbone: 'IVTuningBackbone') -> List[str]:
        """List the infrared embedding and the shared norm."""
        return super().tuned_parameters(backbone) + [
            f'prompt_norm.{name}'
            for name, _ in backbone.prompt_norm.named_parameters()
        ]

    def fuse(self, backbone: 'IVTuningBackbone', visible: Tensor,
             infrared: Tensor,
             hw: Tuple[int, int]) -> Tuple[Tensor, Optional[Tensor]]:
        """Add the initial prompt to the raw visible tokens."""
        prompt = backbone.prompt_alpha(
            backbone.prompt_norm(visible), backbone.prompt_norm(infrared), hw)
        return visible + prompt, prompt


TUNINGS: Dict[str, Type[Tuning]] = dict(
    iv=IVTuning,
    full=FullTuning,
    frozen=FrozenTuning,
    visible=VisibleTuning)
