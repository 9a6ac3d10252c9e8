"""LoRA, AdaptFormer's adapter and prompt tokens against their formulas."""

import pytest
import torch
from mmpretrain.models.peft.lora import LoRALinear as StockLoRALinear
from torch import nn

from mmivtuning.models.modules import (
    LoRALinear,
    LowRankUpdate,
    ParallelAdapter,
    PromptTokens,
)

QKV = ('query', 'key', 'value')


def randomise(module):
    """Give every parameter a value that matters, in double precision."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.double()


@pytest.mark.parametrize('targets', [('query', 'value'), ('key', ), QKV])
@pytest.mark.parametrize('bias', [True, False])
def test_lora_is_the_equation(targets, bias):
    """W x + b + alpha / r B A x; the stock LoRA agrees, output by output."""
    width, rank, alpha = 6, 3, 5.
    module = randomise(
        LoRALinear(
            nn.Linear(width, 3 * width, bias), QKV, targets, rank, alpha))
    x = torch.randn(2, 7, width).double()
    out = module(x).chunk(3, -1)
    for index, name in enumerate(QKV):
        rows = slice(index * width, (index + 1) * width)
        single = nn.Linear(width, width, bias).double()
        single.weight.data = module.weight.data[rows]
        if bias:
            single.bias.data = module.bias.data[rows]
        expected = single(x)
        if name in targets:
            update = module.lora[name]
            expected = expected + alpha / rank * (
                x @ update.down.weight.T @ update.up.weight.T)
            stock = StockLoRALinear(single, alpha=alpha, rank=rank).double()
            stock.lora_down.weight.data = update.down.weight.data
            stock.lora_up.weight.data = update.up.weight.data
            torch.testing.assert_close(stock(x), expected)
        torch.testing.assert_close(out[index], expected, rtol=1e-12, atol=0)


def test_lora_takes_over_the_layer_and_starts_without_effect():
    linear = nn.Linear(4, 12)
    module = LoRALinear(linear, QKV, ('query', 'value'), 2, 2.)
    assert module.weight is linear.weight
    assert module.bias is linear.bias
    assert set(linear.state_dict()) == {'weight', 'bias'}
    assert set(module.state_dict()) == {
        'weight', 'bias', *module.tuned_parameters()
    }
    x = torch.randn(3, 4)
    assert torch.equal(module(x), linear(x))
    assert set(module.tuned_parameters()) == {
        f'lora.{target}.{way}.weight'
        for target in ('query', 'value') for way in ('down', 'up')
    }
    weight = module.weight.clone()
    nn.init.ones_(module.lora['query'].up.weight)
    module.init_weights()
    assert not module.lora['query'].up.weight.any()
    assert module.lora['query'].down.weight.any()
    assert torch.equal(module.weight, weight)


def test_dropout_of_lora_is_before_both_factors():
    update = LowRankUpdate(5, 5, 2, 2., drop_rate=0.5)
    nn.init.normal_(update.up.weight)
    x = torch.ones(1, 5)
    torch.manual_seed(3)
    out = update(x)
    torch.manual_seed(3)
    dropped = nn.functional.dropout(x, 0.5)
    expected = dropped @ update.down.weight.T @ update.up.weight.T
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize('training', [True, False])
def test_adapter_is_the_equation(training):
    module = randomise(ParallelAdapter(6, 4, scale=0.3)).train(training)
    x = torch.randn(2, 7, 6).double()
    hidden = (x @ module.down.weight.T + module.down.bias).clamp(min=0)
    if training:
        torch.manual_seed(1)
        hidden = nn.functional.dropout(hidden, 0.1)
    expected = 0.3 * (hidden @ module.up.weight.T + module.up.bias)
    torch.manual_seed(1)
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-14)


def test_adapter_starts_without_effect():
    module = ParallelAdapter(6)
    assert not module(torch.randn(2, 3, 6)).any()
    assert module.down.out_features == 64
    assert not module.down.bias.any()
    assert module.down.weight.any()
    assert set(module.tuned_parameters()) == {
        name
        for name, _ in module.named_parameters()
    }


def test_prompt_tokens_are_drawn_within_their_bound():
    module = PromptTokens(50, 40, 0.2)
    tokens = module()
    assert tokens.shape == (1, 50, 40)
    assert 0.19 < tokens.abs().max() <= 0.2
    assert abs(tokens.mean()) < 0.02
    dropping = PromptTokens(50, 40, 0.2, drop_rate=0.5)
    assert 0.3 < (dropping() == 0).float().mean() < 0.7
    assert (dropping.eval()() != 0).float().mean() > 0.99
