"""How much prompt each token gets, layer by layer.

The prompt of a layer is what its two MP-beta are given: the initial prompt
at first, then the tokens of the layer before or, in Swin, those that entered
the stage. The change is what the two add to the tokens of the layer.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from mmivtuning.engine.pictures import (
    side_by_side,
    split_pair,
    stack_rows,
)
from mmivtuning.models.modules import ModalPromptBeta

from .models import AnalysedModel

# Width of a panel at least: captions have to fit.
_PANEL = 210
_COLUMNS = 6


class PromptNorms(NamedTuple):
    """Euclidean norms per token at one layer, float32 (h, w) each."""

    layer: str
    prompt: np.ndarray
    change: np.ndarray


def check_prompts(backbone: nn.Module) -> None:
    """Raise if a backbone has no prompts.

    Raises:
        ValueError: If so.
    """
    if not any(
            isinstance(module, ModalPromptBeta)
            for module in backbone.modules()):
        tuning = getattr(backbone, 'tuning', None)
        raise ValueError(
            f'a {type(backbone).__name__} with tuning={tuning!r} has no '
            "prompts: prompt maps need tuning='iv'")


def prompt_norms(model: AnalysedModel,
                 image: np.ndarray) -> List[PromptNorms]:
    """Measure the prompts of one pair.

    Args:
        model (AnalysedModel): A model with prompts.
        image (np.ndarray): (H, W, 4), B, G, R, infrared.

    Returns:
        list[PromptNorms]: By layer.

    Raises:
        ValueError: If the backbone has no prompts.
    """
    check_prompts(model.backbone)
    found: Dict[str, Dict[str, Any]] = {}

    def make_hook(layer: str) -> Callable:

        def hook(module: nn.Module, args: Tuple, output: Tensor) -> None:
            tokens, prompt, hw = args[:3]
            patches = hw[0] * hw[1]
            change = (output - tokens)[:, -patches:]
            entry = found.setdefault(layer, dict(prompt=prompt, change=0))
            entry['change'] = entry['change'] + change
            entry['hw'] = tuple(hw)

        return hook

    handles = [
        module.register_forward_hook(make_hook(path.rpartition('.')[0]))
        for path, module in model.backbone.named_modules()
        if isinstance(module, ModalPromptBeta)
    ]
    try:
        model.run(model.prepare([image]))
    finally:
        for handle in handles:
            handle.remove()
    return [
        PromptNorms(_counted(layer), _norm(entry['prompt'], entry['hw']),
                    _norm(entry['change'], entry['hw']))
        for layer, entry in found.items()
    ]


def _norm(tokens: Tensor, hw: Tuple[int, int]) -> np.ndarray:
    """Norm of the patch tokens of the first image, (h, w)."""
    patches = tokens[0, -hw[0] * hw[1]:]
    return torch.linalg.vector_norm(
        patches, dim=-1).reshape(hw).float().cpu().numpy()


def _panel(values: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Draw a map in colour, uint8 (H, W, 3) RGB; size is width, height."""
    low, high = np.percentile(values, (1, 99))
    scaled = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    grey = np.rint(scaled * 255).astype(np.uint8)
    colour = cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS)[..., ::-1]
    return cv2.resize(
        np.ascontiguousarray(colour), size, interpolation=cv2.INTER_NEAREST)


def draw_prompts(image: np.ndarray, norms: List[PromptNorms]) -> np.ndarray:
    """Draw a pair and its prompt maps.

    Each map has colours of its own, from the 1st to the 99th percentile of
    its norms; its caption gives these two.

    Args:
        image (np.ndarray): 0 to 255, (H, W, 4), B, G, R, infrared.
        norms (list[PromptNorms]): Of :func:`prompt_norms`.

    Returns:
        np.ndarray: uint8 (H, W, 3) RGB.
    """
    image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    size = (_PANEL, max(round(_PANEL * image.shape[0] / image.shape[1]), 1))
    panels = [
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        for picture in split_pair(image)
    ]
    blank = np.full_like(panels[0], 255)
    rows = [(panels, ['visible', 'infrared'])]
    for kind in ('prompt', 'change'):
        maps, captions = [], []
        for entry in norms:
            values = getattr(entry, kind)
            low, high = np.percentile(values, (1, 99))
            maps.append(_panel(values, size))
            captions.append(f'{kind} {entry.layer}: {low:.3g}..{high:.3g}')
        rows += [(maps[start:start + _COLUMNS],
                  captions[start:start + _COLUMNS])
                 for start in range(0, len(maps), _COLUMNS)]
    drawn = []
    for panels, captions in rows:
        lacking = _COLUMNS - len(panels)
        drawn.append(
            side_by_side([*panels, *[blank] * lacking],
                         [*captions, *[''] * lacking]))
    return stack_rows(drawn)


def _counted(path: str) -> str:
    """Name a layer as the other analyses do: ``3``, or stage ``2.1``."""
    return '.'.join(
        str(int(part) + 1) for part in path.split('.') if part.isdigit())
