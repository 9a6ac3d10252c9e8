import math

import pytest
import torch
import torch.nn.functional as F

from mmivtuning.models.necks import plain_pyramid, resample

STRIDES = (4, 8, 16, 32)


def patch_grid(image, patch_size):
    """Mean of every patch of a zero-padded image (1, 1, H, W)."""
    height, width = image.shape[2:]
    image = F.pad(image, (0, -width % patch_size, 0, -height % patch_size))
    return F.avg_pool2d(image, patch_size)


@pytest.mark.parametrize('patch_size', [14, 16])
@pytest.mark.parametrize('size', [(480, 640), (512, 640), (333, 517)])
def test_centroid_of_a_square_stays_where_it_is(patch_size, size):
    top, left, side = 150, 290, 112
    image = torch.zeros(1, 1, *size)
    image[..., top:top + side, left:left + side] = 1
    feature = patch_grid(image, patch_size)
    levels = plain_pyramid([feature] * 4, patch_size, STRIDES, size)
    for stride, level in zip(STRIDES, levels):
        rows, columns = (math.ceil(s / stride) for s in size)
        assert level.shape == (1, 1, rows, columns)
        weight = level[0, 0] / level.sum()
        y = (weight.sum(1) * (torch.arange(rows) + 0.5) * stride).sum()
        x = (weight.sum(0) * (torch.arange(columns) + 0.5) * stride).sum()
        assert abs(y - (top + side / 2)) < stride / 2
        assert abs(x - (left + side / 2)) < stride / 2


@pytest.mark.parametrize('patch_size', [14, 16])
@pytest.mark.parametrize('stride', STRIDES)
def test_ramps_are_reproduced_at_the_centres_of_cells(patch_size, stride):
    size = (333, 517)
    rows, columns = (math.ceil(s / patch_size) for s in size)
    y = (torch.arange(rows) + 0.5).double() * patch_size
    x = (torch.arange(columns) + 0.5).double() * patch_size
    ramp = (3 * y[:, None] + x)[None, None]
    level, = plain_pyramid([ramp], patch_size, [stride], size)
    for axis, scale, known in ((2, 3, y), (3, 1, x)):
        centres = (torch.arange(level.shape[axis]) + 0.5).double() * stride
        clamped = centres.clamp(known[0], known[-1]) * scale
        line = level[0, 0].select(3 - axis, level.shape[5 - axis] // 2)
        torch.testing.assert_close(line - line[0], clamped - clamped[0])


@pytest.mark.parametrize(('stride', 'scale'), [(4, 4), (8, 2), (16, 1),
                                               (32, 0.5)])
def test_patch_16_is_the_rescaling_of_the_paper(stride, scale):
    feature = torch.randn(2, 3, 6, 8)
    expected = F.interpolate(
        feature, scale_factor=scale, mode='bilinear', align_corners=False)
    size = expected.shape[2:]
    torch.testing.assert_close(resample(feature, 16, stride, size), expected)


def test_gradients_reach_the_maps():
    feature = torch.randn(1, 2, 3, 5, requires_grad=True)
    resample(feature, 14, 32, (2, 3)).sum().backward()
    assert feature.grad is not None


def test_a_map_is_needed_for_each_level():
    with pytest.raises(ValueError, match='3 maps'):
        plain_pyramid([torch.randn(1, 2, 3, 4)] * 3, 14, STRIDES, (42, 56))
