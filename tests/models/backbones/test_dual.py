"""The reference of two backbones."""

import pytest
import torch

from mmivtuning.models.backbones import DualBackbone


def test_two_stock_backbones_added(family):
    stock = family.build_stock()
    config = dict(family.arguments, type=f'mmivtuning.{family.ours.__name__}')
    dual = DualBackbone(config)
    for backbone in (dual.visible_backbone, dual.infrared_backbone):
        missing, unexpected = backbone.load_state_dict(
            stock.state_dict(), strict=False)
        assert not unexpected
        assert all(name.startswith('infrared_embed.') for name in missing)
    stock.eval()
    dual.eval()
    x = torch.randn(2, 4, 48, 80)
    expected = [
        a + b for a, b in zip(
            stock(x[:, :3]), stock(x[:, 3:].expand(-1, 3, -1, -1)))
    ]
    for mine, value in zip(dual(x), expected):
        torch.testing.assert_close(mine, value, rtol=0, atol=2e-5)


def test_everything_trains_but_what_is_not_used(family):
    dual = DualBackbone(
        dict(family.arguments, type=f'mmivtuning.{family.ours.__name__}'))
    sum(out.square().mean()
        for out in dual(torch.randn(2, 4, 48, 80))).backward()
    for name, parameter in dual.named_parameters():
        assert parameter.requires_grad == (parameter.grad is not None), name
    state = dual.state_dict()
    for name, value in state.items():
        if name.startswith('visible_backbone.'):
            other = name.replace('visible_', 'infrared_', 1)
            assert torch.equal(state[other], value)


def test_neither_embeds_what_it_does_not_see(family):
    dual = DualBackbone(
        dict(family.arguments, type=f'mmivtuning.{family.ours.__name__}'))
    for backbone in (dual.visible_backbone, dual.infrared_backbone):
        backbone.infrared_embed.register_forward_hook(
            lambda *_: pytest.fail('embeds infrared'))
    dual(torch.randn(1, 4, 48, 80))


def test_another_tuning_is_refused(family):
    with pytest.raises(ValueError, match="found tuning='lora'"):
        DualBackbone(
            dict(
                family.arguments,
                type=f'mmivtuning.{family.ours.__name__}',
                tuning='lora'))
