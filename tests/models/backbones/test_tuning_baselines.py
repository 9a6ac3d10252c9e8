"""LoRA, AdaptFormer, VPT-Deep and BitFit: formulas, training, files."""

import copy
import math
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmivtuning.engine.adapter import adapter_state, load_adapter, save_adapter
from mmivtuning.models import (
    count_parameters,
    declared_parameters,
    load_pretrained,
)
from mmivtuning.models.backbones.tuning import TUNINGS
from mmivtuning.models.modules import LoRALinear, ParallelAdapter, PromptTokens
from mmivtuning.registry import MODELS

BASELINES = ['lora', 'adaptformer', 'vpt_deep', 'bitfit']


def trainable(backbone):
    """Names of what trains."""
    return {
        name
        for name, parameter in backbone.named_parameters()
        if parameter.requires_grad
    }


def pair_of_planes(*size, dtype=torch.float64):
    """Equal planes, for ours and for a stock backbone."""
    plane = torch.randn(2, 1, *size, dtype=dtype)
    return plane.expand(-1, 4, -1, -1), plane.expand(-1, 3, -1, -1)


def randomised(family, tuning, options=None, **kwargs):
    """A stock backbone and ours, of random weights that are the same.

    In double precision; the rotary tables of both are the stock ones.
    """
    ours = family.build(tuning=tuning, tuning_options=options, **kwargs)
    generator = torch.Generator().manual_seed(0)
    for parameter in ours.parameters():
        parameter.data.normal_(0, 0.15, generator=generator)
    ours.infrared_embed.load_state_dict(ours.patch_embed.state_dict())
    stock = family.build_stock(**kwargs)
    stock.load_state_dict({
        key: value
        for key, value in ours.state_dict().items() if key in ours.stock_keys
    })
    stock.eval()  # returns nothing
    return ours.double().eval(), stock.double()


def layers_of(backbone):
    """The layers of a backbone, ours or a stock one, in order."""
    if hasattr(backbone, 'stages'):
        return [block for stage in backbone.stages for block in stage.blocks]
    return list(backbone.layers)


def compare(ours, stock, size):
    """Compare what two backbones make of equal planes."""
    mine, theirs = pair_of_planes(*size)
    with torch.no_grad():
        for a, b in zip(ours(mine), stock(theirs)):
            assert b.abs().max() > 0.1
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def attention_of(layer):
    """The module that projects to queries, keys and values."""
    return getattr(layer.attn, 'w_msa', layer.attn)


SIZES = [(64, 64), (45, 61)]


@pytest.mark.parametrize('size', SIZES)
def test_lora_is_a_stock_backbone_of_other_weights(family, size):
    """W + alpha / r B A for queries and values, through fused attention."""
    ours, stock = randomised(family, 'lora', dict(rank=3, alpha=2))
    for mine, theirs in zip(layers_of(ours), layers_of(stock)):
        qkv, weight = attention_of(mine).qkv, attention_of(theirs).qkv.weight
        assert torch.equal(qkv.weight, weight)
        width = weight.shape[1]
        with torch.no_grad():
            for first, target in ((0, 'query'), (2 * width, 'value')):
                update = qkv.lora[target]
                weight[first:first + width] += 2 / 3 * (
                    update.up.weight @ update.down.weight)
    compare(ours, stock, size)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('normalised', [True, False])
def test_adaptformer_is_the_equation(family, size, normalised):
    """x' + FFN(LN(x')) + s W_2 ReLU(W_1 LN(x')); x' itself in the code."""
    ours, stock = randomised(
        family, 'adaptformer',
        dict(hidden_dims=5, scale=0.7, normalised=normalised))
    for mine, theirs in zip(layers_of(ours), layers_of(stock)):
        seen = []
        adapter = mine.adapter

        def add(_, inputs, output, adapter=adapter, seen=seen):
            x = inputs[0] if normalised else seen.pop()
            hidden = (x @ adapter.down.weight.T + adapter.down.bias).relu()
            return output + 0.7 * (
                hidden @ adapter.up.weight.T + adapter.up.bias)

        theirs.norm2.register_forward_pre_hook(
            lambda _, inputs, seen=seen: seen.append(inputs[0]))
        feed = theirs.mlp if hasattr(theirs, 'mlp') else theirs.ffn
        feed.register_forward_hook(add)
    compare(ours, stock, size)


class UnrotatedFirst(nn.Module):
    """Rotary embedding that leaves the first tokens as they are."""

    def __init__(self, rope, number):
        super().__init__()
        self.rope, self.number = rope, number

    def forward(self, x, hw):
        n = self.number
        return torch.cat((x[:, :, :n], self.rope(x[:, :, n:], hw)), 2)


def attend_with_prompts(attention, x, mask, prompts):
    """Window attention as the authors of VPT write it."""
    heads, number = attention.num_heads, prompts.shape[0]
    x = torch.cat((prompts.expand(len(x), -1, -1), x), 1)
    batch, length, width = x.shape
    query, key, value = attention.qkv(x).reshape(
        batch, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    scores = query * attention.scale @ key.transpose(-2, -1)
    side = length - number
    bias = attention.relative_position_bias_table[
        attention.relative_position_index.view(-1)].view(side, side, -1)
    scores = scores + F.pad(bias.permute(2, 0, 1), (number, 0, number, 0))
    if mask is not None:
        mask = F.pad(mask, (number, 0, number, 0))[:, None]
        scores = (scores.view(-1, len(mask), heads, length, length) +
                  mask).view(-1, heads, length, length)
    x = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
    return attention.proj(x)[:, number:]


def prompt_stock_layer(layer, prompts, is_swin):
    """Make a stock layer see prompts, that it returns no more."""
    number = len(prompts)
    if is_swin:
        attention = layer.attn.w_msa
        attention.forward = lambda x, mask=None: attend_with_prompts(
            attention, x, mask, layer.norm1(prompts)).contiguous()
        return
    forward = layer.forward
    if getattr(layer.attn, 'rope', None) is not None:
        layer.attn.rope = UnrotatedFirst(layer.attn.rope, number)

    def prompted(x, *args):  # after the class token, as published
        x = torch.cat((x[:, :1], prompts.expand(len(x), -1, -1), x[:, 1:]), 1)
        x = forward(x, *args)
        return torch.cat((x[:, :1], x[:, 1 + number:]), 1)

    layer.forward = prompted


@pytest.mark.parametrize('size', SIZES)
def test_vpt_deep_is_the_equation(family, size):
    ours, stock = randomised(family, 'vpt_deep', dict(num_tokens=3))
    expected = ours(pair_of_planes(*size)[0])[0].shape
    for mine, theirs in zip(layers_of(ours), layers_of(stock)):
        assert mine.prompt_tokens.tokens.shape[1] == 3
        prompt_stock_layer(theirs, mine.prompt_tokens.tokens[0],
                           family.is_swin)
    compare(ours, stock, size)
    assert ours(pair_of_planes(*size)[0])[0].shape == expected
    with torch.no_grad():  # every layer's tokens matter
        mine, _ = pair_of_planes(*size)
        for layer in layers_of(ours):
            before = ours(mine)[-1]
            layer.prompt_tokens.tokens.normal_()
            assert not torch.allclose(ours(mine)[-1], before)


def test_vpt_deep_of_odd_maps_and_other_outputs(family):
    """Prompts never enter a map: smaller ones than a window, too."""
    kinds = [dict()] if family.is_swin else [
        dict(out_indices=[2], out_type=kind)
        for kind in ('raw', 'cls_token', 'avg_featmap')
    ]
    for size in ((7, 9), (33, 130)):
        for kind in kinds:
            frozen = family.build(tuning='frozen', **kind)
            ours = family.build(tuning='vpt_deep', **kind)
            inputs = torch.randn(1, 4, *size)
            for a, b in zip(ours(inputs), frozen(inputs)):
                assert a.shape == b.shape
                assert torch.isfinite(a).all()
    if not family.is_swin:
        ours = family.build(tuning='vpt_deep', with_cls_token=False)
        assert ours(torch.randn(1, 4, 48, 80))


def test_vpt_deep_starts_as_published(family):
    backbone = family.build(
        tuning='vpt_deep', tuning_options=dict(num_tokens=40))
    conv = backbone.patch_embed.projection
    bound = math.sqrt(
        6 / (3 * math.prod(conv.kernel_size) + backbone.embed_dims))
    for layer in layers_of(backbone):
        assert 0.95 * bound < layer.prompt_tokens.tokens.abs().max() <= bound


@pytest.mark.parametrize('tuning', ['lora', 'adaptformer', 'bitfit'])
@pytest.mark.parametrize('size', [(64, 64), (61, 45), (20, 37)])
def test_the_start_is_the_frozen_backbone(family, tuning, size):
    frozen = family.build(tuning='frozen').eval()
    backbone = family.build(tuning=tuning).eval()
    backbone.load_state_dict(frozen.state_dict(), strict=False)
    inputs = torch.randn(2, 4, *size)
    for mine, expected in zip(backbone(inputs), frozen(inputs)):
        torch.testing.assert_close(mine, expected, rtol=0, atol=1e-5)


def expected_names(backbone, tuning):
    """Names of what trains, listed here once more, by module."""
    kinds = dict(
        lora=LoRALinear, adaptformer=ParallelAdapter, vpt_deep=PromptTokens)
    added = kinds.get(tuning, ())
    names = set()
    for path, module in backbone.named_modules():
        for name, _ in module.named_parameters(recurse=False):
            if path.startswith('infrared_embed') or (
                    tuning == 'bitfit' and name == 'bias'):
                names.add(f'{path}.{name}')
        if added and isinstance(module, added):
            names |= {
                f'{path}.{name}'
                for name, _ in module.named_parameters()
                if tuning != 'lora' or name.startswith('lora.')
            }
    return names


@pytest.mark.parametrize('tuning', BASELINES)
def test_what_trains_is_what_the_papers_train(family, tuning):
    backbone = family.build(tuning=tuning)
    names = trainable(backbone)
    assert names == expected_names(backbone, tuning)
    assert names == set(declared_parameters(backbone))
    assert any(name.startswith('infrared_embed.') for name in names)
    assert 'patch_embed.projection.weight' not in names
    backbone.train()
    assert trainable(backbone) == names
    backbone.eval()
    assert trainable(backbone) == names


def regress(backbone, steps=50, size=(32, 48)):
    """Train a backbone and a head to predict fixed maps; return losses."""
    torch.manual_seed(0)
    inputs = torch.randn(2, 4, *size)
    with torch.no_grad():
        last = backbone(inputs)[-1]
    head = nn.Conv2d(last.shape[1], 2, 1)
    target = torch.randn(2, 2, *last.shape[2:])
    optimiser = torch.optim.AdamW([
        p for module in (backbone, head) for p in module.parameters()
        if p.requires_grad
    ], lr=3e-3)
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        maps = backbone(inputs)
        loss = F.mse_loss(head(maps[-1]), target)
        # so that every map has a part in it
        loss = loss + 1e-3 * sum(out.square().mean() for out in maps)
        loss.backward()
        for name, parameter in backbone.named_parameters():
            assert (parameter.grad is
                    not None) == parameter.requires_grad, name
        optimiser.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(('tuning', 'options'), [
    *((tuning, dict()) for tuning in [*TUNINGS, 'dual']),
    ('iv', dict(prompt_init='identity')),
    ('iv', dict(prompt_init='identity',
                tuning_options=dict(prompted_tokens='mean'))),
])
def test_fifty_steps_move_exactly_what_trains(family, tuning, options):
    if tuning == 'dual':
        backbone = MODELS.build(
            dict(
                type='DualBackbone',
                backbone=dict(family.arguments, type=family.ours.__name__)))
    else:
        backbone = family.build(tuning=tuning, **options)
    before = copy.deepcopy(backbone.state_dict())
    names = trainable(backbone)
    losses = regress(backbone)
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5]), losses
    assert trainable(backbone) == names
    moved = {
        name
        for name, value in backbone.state_dict().items()
        if not torch.equal(value, before[name])
    }
    statistics = {
        name
        for name in before
        if name.endswith(('running_mean', 'running_var',
                          'num_batches_tracked'))
    }
    assert moved == names | statistics
    assert bool(statistics) == (tuning == 'iv')


def saved_stock(family, path):
    """Write a classifier of the stock backbone, of random weights."""
    heads = (
        dict(out_indices=(3, )) if family.is_swin else dict(final_norm=True))
    stock = family.build_stock(**heads)
    for parameter in stock.parameters():
        nn.init.normal_(parameter)
    weights = {f'backbone.{k}': v for k, v in stock.state_dict().items()}
    torch.save(dict(state_dict=weights), path)
    return stock, str(path)


@pytest.mark.parametrize('tuning', BASELINES)
def test_stock_files_load_strictly(family, tuning, tmp_path):
    stock, file = saved_stock(family, tmp_path / 'stock.pth')
    theirs = dict(stock.named_parameters())
    backbone = family.build(
        tuning=tuning, init_cfg=dict(type='Pretrained', checkpoint=file))
    backbone.init_weights()
    compared = 0
    for name, mine in backbone.named_parameters():
        if name in backbone.stock_keys and not backbone.may_lack(name):
            assert torch.equal(mine, theirs[name]), name
            compared += 1
    assert compared > 20
    content = torch.load(file)
    key = next(k for k in content['state_dict'] if k.endswith('qkv.weight'))
    del content['state_dict'][key]
    torch.save(content, file)
    with pytest.raises(
            RuntimeError, match=f'missing: {key[len("backbone."):]}$'):
        load_pretrained(family.build(tuning=tuning), file)


@pytest.mark.parametrize('tuning', ['lora', 'adaptformer', 'vpt_deep'])
def test_trained_files_load_whole_or_not_at_all(family, tuning, tmp_path):
    trained = family.build(tuning=tuning).eval()
    for parameter in trained.parameters():
        nn.init.normal_(parameter, std=0.1)
    file = str(tmp_path / 'trained.pth')
    torch.save(trained.state_dict(), file)
    other = family.build(tuning=tuning).eval()
    load_pretrained(other, file)
    inputs = torch.randn(1, 4, 45, 61)
    assert torch.equal(other(inputs)[-1], trained(inputs)[-1])
    with pytest.raises(RuntimeError, match='unexpected: '):
        load_pretrained(family.build(tuning='iv'), file)
    weights = trained.state_dict()
    key = sorted(set(weights) - trained.stock_keys)[-1]
    assert not key.startswith('infrared_embed')
    del weights[key]
    torch.save(weights, file)
    with pytest.raises(RuntimeError, match=f'missing: {key}$'):
        load_pretrained(family.build(tuning=tuning), file)


@pytest.mark.parametrize('tuning', BASELINES)
def test_adapters_hold_what_trains(family, tuning, tmp_path):
    trained = family.build(tuning=tuning)
    other = copy.deepcopy(trained).eval()
    regress(trained, steps=2)
    trained.eval()
    assert set(adapter_state(trained)) == trainable(trained)
    file = save_adapter(trained, tmp_path / 'adapter.safetensors')
    inputs = torch.randn(1, 4, 45, 61)
    assert not torch.equal(other(inputs)[-1], trained(inputs)[-1])
    load_adapter(other, file)
    assert torch.equal(other(inputs)[-1], trained(inputs)[-1])
    with pytest.raises(RuntimeError, match='missing: '):
        load_adapter(family.build(tuning='iv'), file)


@pytest.mark.parametrize(('tuning', 'options', 'other'), [
    ('lora', dict(alpha=16), dict()),
    ('adaptformer', dict(scale=1), dict()),
    ('adaptformer', dict(normalised=False), dict()),
    ('iv', dict(prompt_update='layer'), dict()),
    ('iv', dict(), dict(with_simam=False)),
])
def test_adapters_fit_what_computes_the_same(family, tuning, options, other,
                                             tmp_path):
    """No name and no shape tells these apart."""
    trained = family.build(tuning=tuning)
    file = save_adapter(trained, tmp_path / 'adapter.safetensors')
    backbone = family.build(tuning=tuning, tuning_options=options, **other)
    backbone.load_state_dict(trained.state_dict())
    with pytest.raises(RuntimeError, match='made for .*, the model has '):
        load_adapter(backbone, file)
    backbone = family.build(tuning=tuning, tuning_options=dict(drop_rate=0.5))
    backbone.load_state_dict(trained.state_dict())
    load_adapter(backbone, file)


@pytest.mark.parametrize('tuning', BASELINES)
def test_copies_and_pickles_work(family, tuning):
    backbone = family.build(tuning=tuning).eval()
    inputs = torch.randn(1, 4, 48, 80)
    expected = backbone(inputs)[-1]
    for other in (copy.deepcopy(backbone),
                  pickle.loads(pickle.dumps(backbone))):
        assert torch.equal(other(inputs)[-1], expected)
        assert trainable(other) == trainable(backbone)
        for parameter in other.parameters():
            parameter.data.add_(0.3)
        assert not torch.equal(other(inputs)[-1], expected)
    assert torch.equal(backbone(inputs)[-1], expected)


@pytest.mark.parametrize('tuning', ['lora', 'adaptformer', 'vpt_deep'])
def test_an_init_cfg_leaves_added_parts_as_they_start(family, tuning):
    """One that names linear layers, as those of stock backbones may."""
    backbone = family.build(
        tuning=tuning, init_cfg=dict(type='Normal', layer='Linear', std=9.))
    backbone.init_weights()
    stock = [
        value for name, value in backbone.named_parameters()
        if name.endswith('qkv.weight')
    ]
    assert stock[0].std() > 5
    for layer in layers_of(backbone):
        if tuning == 'lora':
            for update in attention_of(layer).qkv.lora.values():
                assert not update.up.weight.any()
                assert 0 < update.down.weight.abs().max() < 1
        elif tuning == 'adaptformer':
            assert not layer.adapter.up.weight.any()
            assert 0 < layer.adapter.down.weight.abs().max() < 1
        else:
            tokens = layer.prompt_tokens
            assert tokens.tokens.abs().max() <= tokens.bound


@pytest.mark.parametrize('tuning', BASELINES)
def test_layer_depths_are_those_of_the_layers(family, tuning):
    """For layer-wise learning rates."""
    backbone = family.build(tuning=tuning)
    layer = 'stages.0.blocks.1.' if family.is_swin else 'layers.1.'
    stock = next(n for n in backbone.stock_keys if n.startswith(layer))
    for name in trainable(backbone):
        if name.startswith(layer):
            assert backbone.get_layer_depth(
                name) == backbone.get_layer_depth(stock)


# Per layer, of width C, with the published options.
ADDED = dict(
    lora=lambda c: 2 * 2 * 8 * c,
    adaptformer=lambda c: 2 * 64 * c + 64 + c,
    vpt_deep=lambda c: 10 * c)


def infrared_count(backbone):
    """Weights and biases of the infrared embedding."""
    conv = backbone.patch_embed.projection
    count = (3 * math.prod(conv.kernel_size) + 1) * conv.out_channels
    return count + (0 if backbone.patch_embed.norm is None else 2 *
                    conv.out_channels)


@pytest.mark.parametrize('tuning', ADDED)
def test_counts_follow_the_formulas(family, tuning):
    backbone = family.build(tuning=tuning)
    expected = infrared_count(backbone) + sum(
        ADDED[tuning](embed_dims)
        for _, embed_dims in backbone.tuned_layers())
    assert count_parameters(backbone).trainable == expected


DINOV2_S = dict(
    type='IVVisionTransformer',
    arch='dinov2-small',
    img_size=518,
    patch_size=14,
    layer_scale_init_value=1e-5)
EVA02_L = dict(type='IVViTEVA02', arch='large', patch_size=16, sub_ln=True)
SWIN_L = dict(
    type='IVSwinTransformer',
    arch='large',
    img_size=384,
    window_size=12,
    out_indices=(0, 1, 2, 3))

# docs/tuning_modes.md has this table.
COUNTS = dict(
    iv=(1882756, 8899652, 6062788),
    full=(22282368, 304203712, 195210996),
    visible=(22056192, 303416256, 195201204),
    frozen=(226176, 787456, 9792),
    lora=(373632, 1573888, 587328),
    adaptformer=(821376, 3959296, 2339520),
    vpt_deep=(272256, 1033216, 190272),
    bitfit=(277632, 1158096, 216960))


@pytest.mark.parametrize('tuning', COUNTS)
@pytest.mark.parametrize('index', [0, 1])
def test_counts_of_large_plain_backbones(tuning, index):
    with torch.device('meta'):
        backbone = MODELS.build(
            dict((DINOV2_S, EVA02_L)[index], tuning=tuning))
    assert count_parameters(backbone).trainable == COUNTS[tuning][index]


@pytest.mark.parametrize('tuning', COUNTS)
def test_counts_of_swin_large(tuning, monkeypatch):
    """Weights stay as they are allocated: the meta device cannot build it."""
    for layer in (nn.Linear, nn.Conv2d):
        monkeypatch.setattr(layer, 'reset_parameters', lambda _: None)
    backbone = MODELS.build(dict(SWIN_L, tuning=tuning))
    assert count_parameters(backbone).trainable == COUNTS[tuning][2]
