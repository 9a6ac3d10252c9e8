"""What the backbones compute, and how many parameters train."""

import math

import pytest
import torch
from torch import nn

from mmivtuning.models import (
    IVSwinTransformer,
    IVVisionTransformer,
    IVViTEVA02,
    count_parameters,
)
from mmivtuning.registry import MODELS

SIZES = [(64, 64), (48, 80), (61, 45), (20, 37)]


def load_stock(backbone, stock):
    """Give a backbone a stock one's weights; nothing else may be missing."""
    missing, unexpected = backbone.load_state_dict(
        stock.state_dict(), strict=False)
    assert not unexpected
    assert not set(missing) & set(stock.state_dict())


@pytest.mark.parametrize('size', SIZES)
def test_identity_is_the_stock_backbone_on_visible(family, size):
    stock = family.build_stock()
    backbone = family.build(prompt_init='identity')
    load_stock(backbone, stock)
    stock.eval()
    inputs = torch.randn(2, 4, *size)
    for mine, expected in zip(backbone.eval()(inputs), stock(inputs[:, :3])):
        torch.testing.assert_close(mine, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize('tuning', ['full', 'frozen'])
def test_averaging_identical_planes_is_the_stock_backbone(family, tuning):
    stock = family.build_stock()
    backbone = family.build(tuning=tuning)
    load_stock(backbone, stock)
    stock.eval()
    backbone.eval()
    plane = torch.randn(2, 1, 45, 61)
    expected = stock(plane.expand(-1, 3, -1, -1))
    for mine, stock_map in zip(
            backbone(plane.expand(-1, 4, -1, -1)), expected):
        torch.testing.assert_close(mine, stock_map, rtol=0, atol=1e-5)
    other = torch.cat((plane.expand(-1, 3, -1, -1), -plane), 1)
    assert not torch.allclose(backbone(other)[-1], expected[-1])


def test_infrared_changes_features_of_the_paper_initialisation(family):
    backbone = family.build().eval()
    inputs = torch.randn(1, 4, 48, 80)
    other = inputs.clone()
    other[:, 3] = 0
    for mine, changed in zip(backbone(inputs), backbone(other)):
        assert not torch.allclose(mine, changed)


@pytest.mark.parametrize('tuning', ['iv', 'full'])
def test_one_infrared_channel_is_the_same_function(family, tuning):
    three = family.build(tuning=tuning).eval()
    one = family.build(tuning=tuning, infrared_channels=1).eval()
    weights = {
        name: value
        for name, value in three.state_dict().items()
        if not name.startswith('infrared_embed.')
    }
    assert not one.load_state_dict(weights, strict=False).missing_keys
    assert one.infrared_embed.projection.in_channels == 1
    inputs = torch.randn(2, 4, 48, 80)
    for mine, expected in zip(one(inputs), three(inputs)):
        torch.testing.assert_close(mine, expected, rtol=0, atol=1e-5)


def test_prompts_follow_the_layers(families):
    """A stage keeps its prompt; a plain layer takes the last one's tokens."""
    seen = []
    for name in ('swin', 'eva02'):
        backbone = families[name].build().eval()
        for module in backbone.modules():
            if hasattr(module, 'prompt_beta_attn'):
                for beta in (module.prompt_beta_attn, module.prompt_beta_ffn):
                    beta.register_forward_pre_hook(
                        lambda _, args: seen.append(args))
        backbone(torch.randn(1, 4, 48, 80))
    swin, eva = seen[:16], seen[16:]
    for stage in range(4):
        prompts = [args[1] for args in swin[4 * stage:4 * stage + 4]]
        assert all(prompt is prompts[0] for prompt in prompts)
        if stage:
            assert prompts[0] is swin[4 * stage][1]
            assert prompts[0].shape == swin[4 * stage][0].shape
    for layer in range(3):
        assert eva[2 * layer][1] is eva[2 * layer + 1][1]
    assert not torch.equal(eva[0][1], eva[2][1])


def test_class_token_bypasses_the_prompts():
    backbone = IVVisionTransformer(
        arch=dict(
            embed_dims=16, num_layers=1, num_heads=2,
            feedforward_channels=16),
        img_size=32,
        out_type='raw',
        final_norm=False).eval()
    inputs = torch.randn(1, 4, 32, 48)
    before = backbone(inputs)[0]
    nn.init.normal_(backbone.layers[0].prompt_beta_ffn.token_up.weight)
    after = backbone(inputs)[0]
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.allclose(before[:, 1:], after[:, 1:])


@pytest.mark.parametrize('size', [(33, 65), (480, 64), (7, 9)])
def test_shapes_of_any_input(family, size):
    with torch.no_grad():
        maps = family.build().eval()(torch.randn(1, 4, *size))
    for stride, feature in zip(family.strides, maps):
        assert feature.shape[2:] == tuple(
            math.ceil(side / stride) for side in size)
        assert torch.isfinite(feature).all()


def silence_branches(backbone):
    """Make layers pass tokens through, so that a map shows where it looks."""
    for name, parameter in backbone.named_parameters():
        if {'attn', 'ffn', 'mlp'} & set(name.split('.')):
            parameter.data.zero_()


@pytest.mark.parametrize('size', [(480, 640), (512, 640), (333, 517)])
@pytest.mark.parametrize('plane', [0, 3])
def test_a_bright_square_stays_where_it_is(family, size, plane):
    strides = (4, 8, 16, 32)
    options = {} if family.is_swin else dict(
        out_indices=[2, 2, 2, 2], pyramid_strides=strides)
    backbone = family.build(tuning='frozen', **options).eval()
    silence_branches(backbone)
    top, left, side = 150, 290, 112
    dark = torch.zeros(1, 4, *size)
    bright = dark.clone()
    bright[:, plane, top:top + side, left:left + side] = 1
    with torch.no_grad():
        pairs = list(zip(strides, backbone(dark), backbone(bright)))
    assert len(pairs) == 4
    for stride, without, with_square in pairs:
        rows, columns = (math.ceil(s / stride) for s in size)
        assert without.shape[2:] == (rows, columns)
        weight = (with_square - without).abs().sum((0, 1))
        weight = weight / weight.sum()
        y = (weight.sum(1) * (torch.arange(rows) + 0.5) * stride).sum()
        x = (weight.sum(0) * (torch.arange(columns) + 0.5) * stride).sum()
        # half a cell, of the patch grid where that is the coarser one
        tolerance = max(stride, 0 if family.is_swin else family.strides[0])
        assert abs(y - (top + side / 2)) <= tolerance / 2
        assert abs(x - (left + side / 2)) <= tolerance / 2


@pytest.mark.parametrize(
    ('name', 'arguments', 'trainable'),
    [('IVVisionTransformer', dict(arch='large', patch_size=16), 8899652),
     ('IVViTEVA02', dict(arch='large', patch_size=16,
                         sub_ln=True), 8899652),
     ('IVVisionTransformer',
      dict(
          arch='dinov2-small',
          img_size=518,
          patch_size=14,
          layer_scale_init_value=1e-5), 1882756)])
@pytest.mark.parametrize('final_norm', [True, False])
def test_trainable_parameters_of_plain_backbones(name, arguments, trainable,
                                                 final_norm):
    with torch.device('meta'):
        backbone = MODELS.build(
            dict(type=name, final_norm=final_norm, **arguments))
        stock = MODELS.build(
            dict(
                type=f'mmpretrain.{name[2:]}',
                final_norm=final_norm,
                **arguments))
    count = count_parameters(backbone)
    assert count.trainable == trainable
    assert count.total - trainable == count_parameters(stock).total


@pytest.fixture
def no_initialisation(monkeypatch):
    """Leave large weights as they are allocated."""
    for layer in (nn.Linear, nn.Conv2d):
        monkeypatch.setattr(layer, 'reset_parameters', lambda _: None)


@pytest.mark.usefixtures('no_initialisation')
@pytest.mark.parametrize('out_indices', [(3, ), (0, 1, 2, 3)])
def test_trainable_parameters_of_swin_large(out_indices):
    backbone = IVSwinTransformer(
        arch='large', window_size=12, img_size=384, out_indices=out_indices)
    assert count_parameters(backbone).trainable == 6062788
    stages = sum(
        parameter.numel() for stage in backbone.stages
        for parameter in stage.parameters() if parameter.requires_grad)
    assert stages == 6047616
    assert count_parameters(backbone.prompt_alpha).trainable == 4996


def test_input_and_arguments_are_checked(family):
    with pytest.raises(ValueError, match=r'\(B, 4, H, W\).*\(1, 3, 8, 8\)'):
        family.build()(torch.randn(1, 3, 8, 8))
    for argument, value in (('tuning', 'half'), ('infrared_init', 'zero'),
                            ('infrared_channels', 2), ('in_channels', 4),
                            ('prompt_init', 'zero')):
        with pytest.raises(ValueError, match=f'{argument} .*{value}'):
            family.build(**{argument: value})


def test_arguments_of_plain_backbones_are_checked(plain_family):
    build = plain_family.build
    with pytest.raises(ValueError, match='ascending'):
        build(out_indices=[2, 0])
    with pytest.raises(ValueError, match='less than 3 layers'):
        build(out_indices=[3])
    with pytest.raises(ValueError, match='repeats a layer'):
        build(out_indices=[2, 2])
    with pytest.raises(ValueError, match='needs 4 out_indices'):
        build(pyramid_strides=(4, 8, 16, 32))
    with pytest.raises(ValueError, match='powers of two'):
        build(pyramid_strides=(4, 6))
    with pytest.raises(ValueError, match="out_type='featmap'"):
        build(pyramid_strides=(4, 8), out_type='raw')
    with pytest.raises(ValueError, match='do not overlap'):
        build(pyramid_strides=(4, 8), patch_cfg=dict(stride=8))
    tuple_indices = build(out_indices=(0, -1))
    assert tuple(tuple_indices.out_indices) == (0, 2)
    assert isinstance(build(out_indices=-1), (IVVisionTransformer, IVViTEVA02))


def test_pyramid_of_a_plain_backbone(plain_family):
    backbone = plain_family.build(
        out_indices=(0, 1, 1, 2), pyramid_strides=(4, 8, 16, 32))
    maps = backbone.eval()(torch.randn(2, 4, 50, 71))
    assert [tuple(m.shape) for m in maps] == [(2, 32, 13, 18), (2, 32, 7, 9),
                                              (2, 32, 4, 5), (2, 32, 2, 3)]


def test_layer_depth_and_chaining(family):
    backbone = family.build()
    depth, depths = backbone.get_layer_depth(
        'backbone.infrared_embed.projection.weight', 'backbone.')
    assert depth == 0
    name = 'stages.1.blocks.0' if family.is_swin else 'layers.1'
    depth, _ = backbone.get_layer_depth(
        f'backbone.{name}.prompt_beta_attn.token_up.bias', 'backbone.')
    assert 0 < depth < depths - 1
    assert backbone.train() is backbone
    assert backbone.eval() is backbone
    assert not backbone.training
