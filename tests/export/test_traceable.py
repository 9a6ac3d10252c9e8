"""Modules that are exchanged compute what the stock ones do."""

import pytest
import torch
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks.transformer import AdaptivePadding
from mmpretrain.models.utils import ShiftWindowMSA, resize_pos_embed
from torch import nn

from mmivtuning.export.traceable import (
    MatrixPooling,
    TraceablePadding,
    fold_batch_norms,
    traceable_copy,
)
from mmivtuning.models.backbones.attention import (
    FusedShiftWindowMSA,
    attend,
    traced_shift_mask,
)
from mmivtuning.models.backbones.positions import resized_positions
from mmivtuning.models.modules import SplitFuseEnhancer
from mmivtuning.models.modules.sizes import ceil_divide, max_size


@pytest.mark.parametrize('padding', ['same', 'corner'])
@pytest.mark.parametrize(('kernel', 'stride', 'dilation'),
                         [(14, 14, 1), (3, 2, 1), (3, 1, 2), (2, 4, 1)])
def test_padding(padding, kernel, stride, dilation):
    stock = AdaptivePadding(kernel, stride, dilation, padding)
    ours = TraceablePadding.of(stock)
    for height in (1, 13, 14, 29):
        x = torch.randn(2, 3, height, 17)
        assert torch.equal(ours(x), stock(x))


@pytest.mark.parametrize('size', [1, 2, 3, 6, (2, 5), (None, 3)])
def test_pooling(size):
    stock = nn.AdaptiveAvgPool2d(size)
    ours = MatrixPooling.of(stock)
    for height, width in ((6, 12), (7, 5), (1, 2), (16, 20)):
        x = torch.randn(2, 3, height, width)
        torch.testing.assert_close(ours(x), stock(x))


def randomised(module):
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
    return module.eval()


def batch_norms(module):
    return sum(isinstance(m, nn.BatchNorm2d) for m in module.modules())


@pytest.mark.parametrize(('make', 'left'), [
    (lambda: SplitFuseEnhancer(8), 0),
    (lambda: ConvModule(8, 8, 3, padding=1, norm_cfg=dict(type='BN')), 0),
    (lambda: nn.Sequential(nn.ConvTranspose2d(8, 8, 2, 2), nn.BatchNorm2d(
        8), nn.GELU(), nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)), 0),
    (lambda: ConvModule(
        8, 8, 1, norm_cfg=dict(type='BN'), order=('norm', 'conv', 'act')), 1),
    (lambda: ConvModule(
        8, 8, 1, norm_cfg=dict(type='BN'), order=('conv', 'act', 'norm')), 1),
    (lambda: nn.Sequential(nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1)), 1),
])
def test_batch_norm_is_folded_where_it_is_exact(make, left):
    module = randomised(make())
    x = torch.randn(2, 8, 5, 7)
    with torch.no_grad():
        wanted = module(x)
        fold_batch_norms(module)
        assert batch_norms(module) == left
        torch.testing.assert_close(module(x), wanted)


def test_a_copy_shares_nothing(build):
    model = build('swin', 'upernet')
    copy = traceable_copy(model)
    assert batch_norms(model)
    assert not batch_norms(copy)
    kept = {id(tensor) for tensor in model.state_dict(keep_vars=True).values()}
    own = {id(tensor) for tensor in copy.state_dict(keep_vars=True).values()}
    assert not kept & own
    assert not any(p.requires_grad for p in copy.parameters())
    assert any(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize('hw', [(4, 4), (8, 4), (12, 20)])
def test_mask_of_shifted_windows(hw):
    for shift in (0, 2):
        wanted = ShiftWindowMSA.get_attn_mask(hw, 4, shift, None)
        found = traced_shift_mask(hw, 4, shift, None)
        assert (wanted is None) == (found is None)
        if shift:
            assert torch.equal(found, wanted)


def test_windows_put_together():
    x = torch.randn(3, 8, 12, 5)
    windows = ShiftWindowMSA.window_partition(x, 4)
    assert torch.equal(FusedShiftWindowMSA.window_reverse(windows, 8, 12, 4),
                       x)


def test_attention_written_out():
    """While torch.jit traces; torch 2.1 exports no scale."""
    query, key, value = torch.randn(3, 2, 4, 6, 8)
    mask = torch.randn(1, 1, 6, 6)

    def call(query, key, value, mask):
        return attend(query, key, value, mask, scale=0.3)

    traced = torch.jit.trace(call, (query, key, value, mask))
    assert 'scaled_dot_product_attention' not in str(traced.graph)
    torch.testing.assert_close(traced(query, key, value, mask),
                               call(query, key, value, mask))


@pytest.mark.parametrize('traced_at', [(4, 4), (5, 7)])
def test_positions_while_tracing(traced_at):
    """The same whatever grid was traced, that of pretraining included."""
    positions = torch.randn(1, 17, 8)

    def call(x):
        return resized_positions(positions, (4, 4), tuple(x.shape[2:]),
                                 'bicubic', 1)

    with torch.no_grad():
        traced = torch.jit.trace(call, torch.zeros(1, 1, *traced_at))
        for hw in ((4, 4), (4, 9), (6, 3)):
            wanted = resize_pos_embed(positions, (4, 4), hw)
            torch.testing.assert_close(traced(torch.zeros(1, 1, *hw)), wanted)


def test_sizes():
    for size, divisor in ((0, 4), (1, 4), (4, 4), (5, 4)):
        wanted = -(-size // divisor)
        assert ceil_divide(size, divisor) == wanted
        assert ceil_divide(torch.tensor(size), divisor).item() == wanted
    for size in (-3, 0, 3):
        assert max_size(size, 1) == max(size, 1)
        assert max_size(torch.tensor(size), 1).item() == max(size, 1)
