"""Absolute positions at another resolution, for exporters as well."""

from typing import Tuple

import torch
import torch.nn.functional as F
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor

from ..modules.recompute import is_exporting


def resized_positions(positions: Tensor, source: Tuple[int, int],
                      hw: Tuple[int, int], mode: str, extra: int) -> Tensor:
    """Resize a position embedding, as mmpretrain's function does.

    That one returns the embedding as it is where nothing changes, which an
    exporter would decide once for all sizes; it gets the interpolation,
    which changes nothing either.

    Args:
        positions (Tensor): Shape (1, E + rows * columns, C).
        source (tuple[int, int]): Its grid (rows, columns).
        hw (tuple[int, int]): The grid (h, w) that is wanted.
        mode (str): Mode of the interpolation.
        extra (int): Number E of tokens before the patches.

    Returns:
        Tensor: Shape (1, E + h * w, C).
    """
    if not is_exporting():
        return resize_pos_embed(positions, source, hw, mode, extra)
    patches = positions[:, extra:].transpose(1, 2).unflatten(2, source)
    patches = F.interpolate(patches, size=hw, mode=mode, align_corners=False)
    patches = patches.flatten(2).transpose(1, 2)
    return torch.cat((positions[:, :extra], patches), 1)
