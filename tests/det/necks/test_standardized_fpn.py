"""The pyramid on standardised maps."""

import pytest
import torch
from mmdet.models.necks import FPN

from mmivtuning.det import StandardizedFPN

CHANNELS = [6, 10]


def maps(batch_size: int = 2) -> list:
    """Two levels whose channels differ in offset and scale."""
    return [
        torch.randn(batch_size, channels, *size) *
        torch.logspace(-2, 2, channels).view(-1, 1, 1) +
        torch.linspace(-50, 50, channels).view(-1, 1, 1)
        for channels, size in zip(CHANNELS, ((8, 12), (4, 6)))
    ]


def test_is_the_stock_pyramid_of_standardised_maps():
    neck = StandardizedFPN(CHANNELS, 8, num_outs=3).double()
    stock = FPN(CHANNELS, 8, num_outs=3).double()
    stock.load_state_dict(neck.state_dict(), strict=False)
    inputs = [x.double() for x in maps()]
    expected = stock([
        (x - x.mean((0, 2, 3), keepdim=True)) /
        (x.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
        for x in inputs
    ])
    found = neck(inputs)
    assert [tuple(x.shape) for x in found] == [(2, 8, 8, 12), (2, 8, 4, 6),
                                               (2, 8, 2, 3)]
    for mine, theirs in zip(found, expected):
        torch.testing.assert_close(mine, theirs)


def test_adds_no_parameter():
    count = sum(p.numel() for p in StandardizedFPN(
        CHANNELS, 8, num_outs=2).parameters())
    assert count == sum(
        p.numel() for p in FPN(CHANNELS, 8, num_outs=2).parameters())


def test_an_image_alone_gets_the_statistics_of_training():
    neck = StandardizedFPN(CHANNELS, 8, num_outs=2)
    inputs = maps(32)
    for _ in range(300):
        neck(inputs)
    trained = neck(inputs)
    neck.eval()
    for whole, alone in zip(trained, neck([x[:1] for x in inputs])):
        torch.testing.assert_close(alone, whole[:1], rtol=1e-2, atol=2e-2)


@pytest.mark.parametrize('number', [1, 3])
def test_maps_are_counted(number):
    neck = StandardizedFPN(CHANNELS, 8, num_outs=2)
    with pytest.raises(ValueError, match=f'2 in_channels, found {number}'):
        neck((maps() * 2)[:number])
