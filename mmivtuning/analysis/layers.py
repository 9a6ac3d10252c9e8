"""The token maps after each layer of a backbone, by forward hooks."""

from typing import Any, Callable, Iterator, List, NamedTuple, Tuple

from mmpretrain.models.backbones import SwinTransformer, VisionTransformer
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


class Layer(NamedTuple):
    """A layer, what it is called, and the backbone that it is part of."""

    name: str
    module: nn.Module
    backbone: nn.Module


def find_layers(model: nn.Module) -> List[Layer]:
    """List the layers of the transformers in a module.

    Those of plain ones (ViT, EVA-02) are called ``3``, those of Swin
    ``2.1`` by stage and block, both counted from 1. Where there are several
    transformers, the path of each comes first.

    Args:
        model (nn.Module): A backbone.

    Raises:
        ValueError: If there is no such transformer.
    """
    known = (SwinTransformer, VisionTransformer)
    found = [(path, module) for path, module in model.named_modules()
             if isinstance(module, known)]
    layers = []
    for path, module in found:
        start = f'{path} ' if len(found) > 1 else ''
        if isinstance(module, SwinTransformer):
            layers += [
                Layer(f'{start}{stage + 1}.{index + 1}', block, module)
                for stage, sequence in enumerate(module.stages)
                for index, block in enumerate(sequence.blocks)
            ]
        else:
            layers += [
                Layer(f'{start}{index + 1}', layer, module)
                for index, layer in enumerate(module.layers)
            ]
    if not layers:
        raise ValueError(
            f'{type(model).__name__} has no layers known here: expected a '
            'VisionTransformer, ViTEVA02 or SwinTransformer, or a backbone '
            'made of them')
    return layers


class TokenHooks:
    """Hand over the patch tokens after each layer, while in a ``with``.

    Extra tokens, a class token for one, come first and are left out.

    Args:
        layers (Sequence[Layer]): The layers.
        receive (Callable): Gets the name of a layer and its patch tokens
            (B, h * w, C), when the layer has run.
    """

    def __init__(self, layers: List[Layer],
                 receive: Callable[[str, Tensor], None]) -> None:
        self._layers = layers
        self._receive = receive
        self._handles: List[RemovableHandle] = []
        self._patches: dict = {}

    def __enter__(self) -> 'TokenHooks':
        for backbone in self._backbones():
            self._handles.append(
                backbone.patch_embed.register_forward_hook(
                    self._count_patches(backbone)))
        for layer in self._layers:
            self._handles.append(
                layer.module.register_forward_hook(self._hook(layer)))
        return self

    def __exit__(self, *args: Any) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _backbones(self) -> Iterator[nn.Module]:
        """Yield each backbone once."""
        yield from {id(la.backbone): la.backbone
                    for la in self._layers}.values()

    def _count_patches(self, backbone: nn.Module) -> Callable:
        """Make a hook that notes how many patches there are."""

        def hook(module: nn.Module, args: Tuple, output: Any) -> None:
            self._patches[id(backbone)] = output[0].shape[1]

        return hook

    def _hook(self, layer: Layer) -> Callable:
        """Make the hook of a layer."""
        is_plain = isinstance(layer.backbone, VisionTransformer)

        def hook(module: nn.Module, args: Tuple, output: Tensor) -> None:
            if is_plain:
                output = output[:, -self._patches[id(layer.backbone)]:]
            self._receive(layer.name, output)

        return hook
