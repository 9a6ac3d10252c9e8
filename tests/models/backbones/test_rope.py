"""Rotary positions of EVA-02 against its formula, written out again."""

import math

import pytest
import torch

from mmivtuning.models.backbones.attention import rotary_tables


def angle_of(row, column, channel, head_dims, hw, grid, theta=10000.):
    """Angle of a channel: EVA-02 rotates pairs (2k, 2k + 1) by one angle.

    The first half of a head encodes the row, the second one the column;
    positions are in units of the pretraining grid.
    """
    half = head_dims // 2
    position, side = ((row, hw[0]) if channel < half else (column, hw[1]))
    pair = (channel % half) // 2
    return position / side * grid / theta**(2 * pair / half)


@pytest.mark.parametrize('hw', [(16, 16), (3, 5), (32, 20)])
def test_tables_follow_the_formula(hw):
    head_dims, grid = 16, 16
    direct, swapped = rotary_tables(head_dims // 2, 10000., hw, 1,
                                    torch.device('cpu'), grid)
    direct, swapped = direct[:, 0, 0], swapped[:, 0, 0]
    assert direct[0].tolist() == [1] * head_dims
    assert swapped[0].tolist() == [0] * head_dims
    for row in range(0, hw[0], 2):
        for column in range(0, hw[1], 2):
            token = 1 + row * hw[1] + column
            for channel in range(head_dims):
                angle = angle_of(row, column, channel, head_dims, hw, grid)
                sign = -1 if channel % 2 == 0 else 1
                assert float(direct[token, channel]) == pytest.approx(
                    math.cos(angle), abs=1e-5)
                assert float(swapped[token, channel]) == pytest.approx(
                    sign * math.sin(angle), abs=1e-5)


def test_equals_stock_with_the_tables_of_an_official_file(families):
    """At the file's own grid stock is right, through the file's buffers."""
    family = families['eva02']
    stock = family.build_stock()
    head_dims = stock.embed_dims // stock.num_heads
    hw = stock.patch_resolution
    angles = torch.tensor(
        [[[angle_of(i, j, k, head_dims, hw, 16) for k in range(head_dims)]
          for j in range(hw[1])] for i in range(hw[0])]).flatten(0, 1)
    state = stock.state_dict()
    for key in state:
        if key.endswith('rope.freqs_cos'):
            state[key] = angles.cos()
        elif key.endswith('rope.freqs_sin'):
            state[key] = angles.sin()
    stock.load_state_dict(state)
    ours = family.build(tuning='iv', prompt_init='identity', rope_grid=16)
    ours.load_state_dict(state, strict=False)
    plain = family.build(tuning='iv', prompt_init='identity')
    plain.load_state_dict(state, strict=False)
    for backbone in (stock, ours, plain):
        backbone.eval()
    image = torch.randn(1, 4, *(side * stock.patch_embed.projection.stride[0]
                                for side in hw))
    expected = stock(image[:, :3])
    differs = False
    for a, b, c in zip(ours(image), expected, plain(image)):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
        differs = differs or not torch.allclose(c, b, atol=1e-4)
    # Without `rope_grid` the tables of the file are lost.
    assert differs


def test_refuses_a_grid_that_is_not_positive(families):
    with pytest.raises(ValueError, match='rope_grid.*0'):
        families['eva02'].build(rope_grid=0)
