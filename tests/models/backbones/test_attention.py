"""Fused attention against the stock layers, and what is kept of it."""

import copy
import io
import pickle

import pytest
import torch
from mmpretrain.models.backbones.vit_eva02 import AttentionWithRoPE
from mmpretrain.models.utils import WindowMSA

from mmivtuning.models.backbones.attention import (
    FusedRoPEAttention,
    FusedWindowMSA,
    ResolutionCache,
)
from mmivtuning.models.saved_bytes import saved_bytes

SIZES = [(48, 80), (80, 48), (45, 61)]


@pytest.fixture(params=['swin', 'eva02'])
def pair(request, families):
    """A stock backbone of random weights, and ours with those."""
    family = families[request.param]
    options = dict(drop_path_rate=0.)
    if family.is_swin:
        options['use_abs_pos_embed'] = True
    stock = family.build_stock(**options)
    generator = torch.Generator().manual_seed(0)
    for parameter in stock.parameters():
        parameter.data.normal_(0, 0.1, generator=generator)
    return stock, lambda **kwargs: load(family, stock, **options, **kwargs)


def load(family, stock, **options):
    """Build ours with a stock one's weights."""
    ours = family.build(**options)
    ours.load_state_dict(stock.state_dict(), strict=False)
    return ours


def planes(*size):
    """A pair of equal planes, and the stock input."""
    plane = torch.randn(2, 1, *size)
    return plane.expand(-1, 4, -1, -1), plane.expand(-1, 3, -1, -1)


def fused(backbone):
    """The attention layers that were replaced."""
    return [
        module for module in backbone.modules()
        if isinstance(module, (FusedRoPEAttention, FusedWindowMSA))
    ]


def stock_attention(backbone):
    """Those that were not."""
    return [
        module for module in backbone.modules()
        if type(module) in (AttentionWithRoPE, WindowMSA)
    ]


@pytest.mark.parametrize('tuning', ['full', 'frozen'])
def test_results_and_keys_are_those_of_the_stock_layers(pair, tuning):
    stock, build = pair
    ours = build(tuning=tuning)
    assert len(fused(ours)) == len(stock_attention(stock))
    assert not stock_attention(ours)
    assert set(stock.state_dict()) == {
        key
        for key in ours.state_dict() if not key.startswith('infrared_embed.')
    }
    for _ in range(2):  # from a cache the second time
        for size in SIZES:
            mine, theirs = planes(*size)
            for a, b in zip(ours(mine), stock(theirs)):
                torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


def test_gradients_are_those_of_the_stock_layers(pair):
    stock, build = pair
    ours = build(tuning='full')
    for size in SIZES[:2]:
        mine, theirs = planes(*size)
        for backbone, inputs in ((ours, mine), (stock, theirs)):
            backbone.zero_grad()
            sum(out.square().mean() for out in backbone(inputs)).backward()
        gradients = dict(ours.named_parameters())
        for name, parameter in stock.named_parameters():
            if parameter.grad is not None and 'patch_embed' not in name:
                torch.testing.assert_close(
                    gradients[name].grad, parameter.grad, rtol=1e-3,
                    atol=1e-5)


def count_computations(monkeypatch, backbone):
    """Count what caches compute."""
    counts = []
    get = ResolutionCache.get

    def counting(self, key, sources, compute):
        return get(self, key, sources, lambda: counts.append(key) or compute())

    monkeypatch.setattr(ResolutionCache, 'get', counting)
    return counts


def test_nothing_is_computed_twice_for_a_resolution(pair, monkeypatch):
    _, build = pair
    ours = build(tuning='iv').eval()
    counts = count_computations(monkeypatch, ours)
    inputs = torch.randn(1, 4, 48, 80)
    ours(inputs)
    first = len(counts)
    assert first
    ours(inputs)
    assert len(counts) == first
    ours(torch.randn(1, 4, 80, 48))
    again = len(counts)
    assert again > first
    ours(inputs)
    assert len(counts) == again


def test_nothing_that_trains_is_kept(pair, monkeypatch):
    """Every step of full fine-tuning sees the parameters as they are."""
    stock, build = pair
    ours = build(tuning='full')
    mine, theirs = planes(48, 80)
    ours(mine)
    state = stock.state_dict()
    for value in state.values():
        if value.is_floating_point():
            value += 0.05
    state = {k: v for k, v in state.items() if 'rope' not in k}
    for name, parameter in ours.named_parameters():
        key = name.replace('infrared_embed', 'patch_embed')
        parameter.data.copy_(state[key])
    for a, b in zip(ours(mine), stock(theirs)):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize('way', ['load', 'in place', 'data', 'double'])
def test_what_is_kept_is_never_stale(pair, way):
    stock, build = pair
    ours = build(tuning='frozen').eval()
    mine, theirs = planes(48, 80)
    ours(mine)
    generator = torch.Generator().manual_seed(1)
    for parameter in stock.parameters():
        parameter.data.normal_(0, 0.1, generator=generator)
    if way == 'double':
        stock, ours = stock.double(), ours.double()
        mine, theirs = mine.double(), theirs.double()
    if way in ('load', 'double'):
        ours.load_state_dict(stock.state_dict(), strict=False)
    else:
        values = stock.state_dict()
        for name, parameter in ours.named_parameters():
            value = values[name.replace('infrared_embed', 'patch_embed')]
            if way == 'data':
                parameter.data = value.clone()
            else:
                with torch.no_grad():
                    parameter.copy_(value)
    stock.eval()
    for a, b in zip(ours(mine), stock(theirs)):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


def test_copies_and_pickles_start_without_what_was_kept(pair):
    _, build = pair
    ours = build(tuning='iv').eval()
    inputs = torch.randn(1, 4, 48, 80)
    expected = ours(inputs)
    saved = io.BytesIO()
    torch.save(ours.state_dict(), saved)
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert not other.position_cache.entries
        assert all(not module.cache.entries for module in fused(other))
        for layer in other.modules():
            if isinstance(layer, FusedRoPEAttention):
                assert layer.rope is other.rope
        for a, b in zip(other(inputs), expected):
            assert torch.equal(a, b)
    after = {name: value for name, value in ours.state_dict().items()}
    saved.seek(0)
    assert set(after) == set(torch.load(saved))


def test_training_after_inference_mode(pair):
    """Tensors made in inference mode cannot be kept for a backward pass."""
    _, build = pair
    ours = build(tuning='iv')
    inputs = torch.randn(2, 4, 48, 80)
    with torch.inference_mode():
        ours(inputs)
    sum(out.mean() for out in ours(inputs)).backward()
    with torch.inference_mode():
        ours(inputs)


def test_attention_of_eva02_keeps_nothing_quadratic(families):
    layer = families['eva02'].build().layers[0].attn
    per_token = []
    for side in (8, 16):
        x = torch.randn(1, 1 + side * side, 32, requires_grad=True)
        kept = saved_bytes(layer, lambda x=x, s=side: layer(x, (s, s)))
        per_token.append(kept / x.shape[1])
    assert per_token[1] < 1.1 * per_token[0]


def test_a_cache_forgets_the_oldest():
    cache = ResolutionCache(2)
    source = torch.zeros(3)
    made = []
    for key in (1, 2, 1, 3, 1):
        cache.get(key, (source, ), lambda k=key: made.append(k) or source + k)
    assert made == [1, 2, 3, 1]
    assert len(cache.entries) == 2
    source.requires_grad_()
    cache.get(3, (source, ), lambda: made.append('new') or source + 3)
    assert made[-1] == 'new'


def test_a_frozen_ffn_of_eva02_keeps_half(families):
    """Where its weights train, it is the stock layer."""
    kept = {}
    x = torch.randn(1, 50, 32, requires_grad=True)
    for tuning in ('frozen', 'full'):
        ffn = families['eva02'].build(tuning=tuning).layers[0].mlp
        kept[tuning] = saved_bytes(ffn, lambda f=ffn: f(x))
    assert kept['frozen'] < 0.6 * kept['full']
