"""Feature pyramid of a plain vision transformer, exact in geometry.

Cell (i, j) of a map of stride s stands for the input pixels
[i * s, (i + 1) * s) x [j * s, (j + 1) * s), whatever the patch size. There is
no parameter in it and no module: a neck sees maps, not the size of the input,
and could not crop what the patch embedding padded.
"""

from typing import Sequence, Tuple

import torch.nn.functional as F
from torch import Tensor

from ..modules.recompute import is_exporting
from ..modules.sizes import ceil_divide, max_size


def resample(feature: Tensor, patch_size: int, stride: int,
             size: Tuple[int, int]) -> Tensor:
    """Resample the map of a patch grid to another stride.

    Each cell takes the bilinear interpolation at its centre, clamped at the
    border, in both directions: this alone reproduces every linear ramp, so
    that nothing shifts. (The mean over the area of a cell does shift where
    the strides are no multiples of each other: by 0.6 pixels from stride 14
    to 32.) For patch 16 it is the rescaling by 4, 2, 1 and 1/2 of the paper.

    Args:
        feature (Tensor): Map, shape (B, C, h, w), of stride ``patch_size``.
        patch_size (int): Side of a patch in pixels.
        stride (int): Stride of the result in pixels.
        size (tuple[int, int]): Rows and columns of the result.

    Returns:
        Tensor: Map, shape (B, C, rows, columns).
    """
    rows, columns = size
    if stride == patch_size:
        return feature[..., :rows, :columns]
    # The scale given to interpolate, not the ratio of two rounded sizes,
    # sets the sampled positions; its own size is rounded down.
    scale = patch_size / stride
    lacking = [
        max_size(ceil_divide(wanted * stride, patch_size) - given, 0)
        for wanted, given in zip(size, feature.shape[2:])
    ]
    if is_exporting() or any(lacking):
        feature = F.pad(
            feature, (0, lacking[1], 0, lacking[0]), mode='replicate')
    feature = F.interpolate(
        feature,
        scale_factor=scale,
        mode='bilinear',
        align_corners=False,
        recompute_scale_factor=False)
    return feature[..., :rows, :columns]


def plain_pyramid(features: Sequence[Tensor], patch_size: int,
                  strides: Sequence[int],
                  input_size: Tuple[int, int]) -> Tuple[Tensor, ...]:
    """Turn maps of a patch grid into a pyramid.

    Args:
        features (Sequence[Tensor]): Maps, shape (B, C, h, w) each.
        patch_size (int): Side of a patch in pixels.
        strides (Sequence[int]): Stride of each level in pixels.
        input_size (tuple[int, int]): Height and width of the input, before
            the patch embedding pads it.

    Returns:
        tuple[Tensor]: Maps of the sizes (ceil(H / s), ceil(W / s)).

    Raises:
        ValueError: If there is not one map a stride.
    """
    if len(features) != len(strides):
        raise ValueError(f'{len(features)} maps cannot make a pyramid of '
                         f'strides {tuple(strides)}: one map a level')
    height, width = input_size
    return tuple(
        resample(feature, patch_size, stride,
                 (ceil_divide(height, stride), ceil_divide(width, stride)))
        for feature, stride in zip(features, strides))
