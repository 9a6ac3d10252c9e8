"""Each block against METHOD's equations, written again in float64."""

import math

import pytest
import torch

from mmivtuning.models import count_parameters
from mmivtuning.models.modules import (
    ModalPromptAlpha,
    ModalPromptBeta,
    ScaleShift,
    SimAM,
    SplitFuseEnhancer,
)

SIZES = [(5, 7), (1, 6), (8, 3)]


def randomise(module):
    """Give every parameter and statistic a value that shows in results."""
    module.double()
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data.normal_(0, 0.5, generator=generator)
    for name, buffer in module.named_buffers():
        if 'running' in name:
            buffer.uniform_(0.5, 2, generator=generator)
    return module


# The reference works on single cells and channels, with loops.


def affine(values, linear):
    return torch.stack([
        sum(linear.weight.reshape(len(linear.weight), -1)[i, j] *
            values[..., j]
            for j in range(values.shape[-1])) + linear.bias[i]
        for i in range(len(linear.weight))
    ], -1)


def layer_norm(values, norm):
    mean = values.mean(-1, keepdim=True)
    var = ((values - mean)**2).mean(-1, keepdim=True)
    return (values - mean) / torch.sqrt(var + 1e-5) * norm.weight + norm.bias


def gelu(values):
    return values * 0.5 * (1 + torch.erf(values / math.sqrt(2)))


def sft(values, module):
    if module.norm is not None:
        values = layer_norm(values, module.norm)
    return module.gamma * values + module.beta


def grid(tokens, hw):
    """Tokens (B, N, D) as cells (B, h, w, D), cell by cell."""
    cells = tokens.new_zeros(len(tokens), *hw, tokens.shape[-1])
    for i in range(hw[0]):
        for j in range(hw[1]):
            cells[:, i, j] = tokens[:, i * hw[1] + j]
    return cells


def sfe(cells, module):
    """SFE of cells (B, h, w, D)."""
    _, rows, columns, channels = cells.shape
    part = channels // 4
    local = torch.zeros_like(cells[..., :part])
    for i in range(rows):
        for j in range(columns):
            for di in (-1, 0, 1):
                for dj in (-1, 0, 1):
                    if 0 <= i + di < rows and 0 <= j + dj < columns:
                        local[:, i, j] += (
                            module.depthwise.weight[:, 0, di + 1, dj + 1] *
                            cells[:, i + di, j + dj, :part])
    local = local + module.depthwise.bias
    y = torch.cat((local, cells[..., part:]), -1) + cells
    z = affine(y, module.conv1)
    if module.training:
        mean = z.mean((0, 1, 2))
        var = ((z - mean)**2).mean((0, 1, 2))
    else:
        mean, var = module.norm.running_mean, module.norm.running_var
    z = (z - mean) / torch.sqrt(var + module.norm.eps)
    z = (z * module.norm.weight + module.norm.bias).clamp(min=0)
    return y + affine(z, module.conv2)


def simam(cells):
    mean = cells.mean((1, 2), keepdim=True)
    square = (cells - mean)**2
    cell_count = cells.shape[1] * cells.shape[2]
    var = square.sum((1, 2), keepdim=True) / (cell_count - 1)
    return cells / (1 + torch.exp(-(square / (4 * (var + 1e-4)) + 0.5)))


def alpha(module, visible, infrared, hw):
    left = sfe(grid(affine(visible, module.visible_down), hw), module.enhance)
    right = grid(affine(infrared, module.infrared_down), hw)
    if isinstance(module.attention, SimAM):
        right = simam(right)
    return affine(left + right, module.up).reshape(visible.shape)


def beta(module, tokens, prompt, hw):
    left = grid(affine(sft(tokens, module.token_norm), module.token_down), hw)
    left = affine(gelu(sfe(left, module.enhance)), module.token_up)
    right = grid(
        affine(sft(prompt, module.prompt_norm), module.prompt_down), hw)
    if isinstance(module.attention, SimAM):
        right = simam(right)
    right = affine(gelu(right), module.prompt_up)
    right = gelu(sft(right, module.prompt_scale))
    return tokens + (left + right).reshape(tokens.shape)


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('hw', SIZES)
@pytest.mark.parametrize('with_simam', [True, False])
def test_alpha_is_the_equation(hw, training, with_simam):
    module = randomise(ModalPromptAlpha(12, with_simam=with_simam))
    module.train(training)
    visible, infrared = torch.randn(2, 3, hw[0] * hw[1], 12).double()
    expected = alpha(module, visible, infrared, hw)
    torch.testing.assert_close(module(visible, infrared, hw), expected)


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('hw', SIZES)
@pytest.mark.parametrize('with_simam', [True, False])
def test_beta_is_the_equation(hw, training, with_simam):
    module = randomise(
        ModalPromptBeta(12, drop_rate=0., with_simam=with_simam))
    module.train(training)
    tokens, prompt = torch.randn(2, 3, hw[0] * hw[1], 12).double()
    expected = beta(module, tokens, prompt, hw)
    torch.testing.assert_close(module(tokens, prompt, hw), expected)


def test_gradients_are_those_of_the_equation():
    hw = (3, 5)
    module = randomise(ModalPromptBeta(12, 8, drop_rate=0.))
    inputs = torch.randn(2, 2, 15, 12).double().requires_grad_()
    wanted = [inputs, *module.parameters()]
    weights = torch.randn(2, 15, 12).double()
    ours = torch.autograd.grad((module(*inputs, hw) * weights).sum(), wanted)
    theirs = torch.autograd.grad((beta(module, *inputs, hw) * weights).sum(),
                                 wanted)
    for mine, expected in zip(ours, theirs):
        torch.testing.assert_close(mine, expected)


def test_enhancer_and_simam_on_maps_in_both_memory_formats():
    module = randomise(SplitFuseEnhancer(8)).eval()
    x = torch.randn(2, 8, 4, 6).double()
    expected = sfe(x.permute(0, 2, 3, 1), module).permute(0, 3, 1, 2)
    torch.testing.assert_close(module(x), expected)
    last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(module(last), expected)
    assert module(last).is_contiguous(memory_format=torch.channels_last)
    expected = simam(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(SimAM()(x), expected)


def test_simam_of_one_cell_and_of_half_precision():
    assert torch.isfinite(SimAM()(torch.ones(1, 2, 1, 1))).all()
    x = torch.randn(1, 4, 6, 5) * 1000
    half = SimAM()(x.half())
    assert half.dtype is torch.half
    torch.testing.assert_close(half.float(), SimAM()(x), rtol=2e-3, atol=1.)


def test_dropout_is_in_the_token_branch_alone():
    module = randomise(ModalPromptBeta(12))
    tokens, prompt = torch.randn(2, 1, 6, 12).double()
    module.token_up.weight.data.zero_()
    module.token_up.bias.data.zero_()
    assert module.dropout.p == 0.1
    torch.testing.assert_close(
        module(tokens, prompt, (2, 3)), module(tokens, prompt, (2, 3)))


@pytest.mark.parametrize(('build', 'width', 'count'), [
    (ModalPromptAlpha, 192, 4996),
    (ModalPromptAlpha, 1024, 25796),
    (ModalPromptAlpha, 384, 9796),
    (ModalPromptBeta, 384, 137168 // 2),
    (ModalPromptBeta, 1024, 336848 // 2),
])
def test_parameter_counts(build, width, count):
    with torch.device('meta'):
        module = build(width)
    assert count_parameters(module) == (count, count)
    assert len(module.tuned_parameters()) == len(list(module.parameters()))


def test_initialisation_of_the_paper():
    module = ModalPromptBeta(384)
    for linear in (module.token_down, module.token_up, module.prompt_down,
                   module.prompt_up):
        assert linear.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert not linear.bias.any()
    for scale in (module.token_norm, module.prompt_norm, module.prompt_scale):
        assert (scale.gamma == 1).all()
        assert not scale.beta.any()
    module.eval()
    tokens = torch.randn(2, 192, 384)
    branch = module.enhance(
        module.token_down(module.token_norm(tokens)).transpose(1, 2).reshape(
            2, 64, 12, 16))
    branch = module.token_up(
        torch.nn.functional.gelu(branch).flatten(2).transpose(1, 2))
    assert 0.06 <= branch.square().mean().sqrt().item() <= 0.16

    module = ModalPromptAlpha(384)
    for weight in (module.visible_down.weight, module.infrared_down.weight,
                   module.up.weight, module.enhance.conv1.weight,
                   module.enhance.depthwise.weight):
        fan_in = weight[0].numel()
        fan_out = weight.numel() // weight.shape[1]
        bound = math.sqrt(6 / (fan_in + fan_out))
        assert bound * 0.6 < weight.abs().max().item() <= bound
    assert module.visible_down.bias.any()


def test_identity_initialisation():
    hw = (3, 4)
    tokens, other = torch.randn(2, 2, 12, 16)
    module = ModalPromptBeta(16, prompt_init='identity')
    assert torch.equal(module(tokens, other, hw), tokens)
    assert not ModalPromptAlpha(
        16, prompt_init='identity')(tokens, other, hw).any()
    module(tokens, other, hw).square().sum().backward()
    moved = {
        name
        for name, parameter in module.named_parameters()
        if parameter.grad.any()
    }
    assert moved == {
        'token_up.weight', 'token_up.bias', 'prompt_up.weight',
        'prompt_up.bias', 'prompt_scale.beta'
    }


def test_errors_say_what_does_not_fit():
    tokens = torch.randn(1, 12, 16)
    with pytest.raises(ValueError, match=r'patch tokens .*\(B, 20, 16\)'):
        ModalPromptBeta(16)(tokens, tokens, (4, 5))
    with pytest.raises(ValueError, match='prompt tokens'):
        ModalPromptBeta(16)(tokens, tokens[:, 1:], (3, 4))
    with pytest.raises(ValueError, match='infrared tokens'):
        ModalPromptAlpha(16)(tokens, tokens[..., 1:], (3, 4))
    with pytest.raises(ValueError, match='must divide channels'):
        SplitFuseEnhancer(6)
    with pytest.raises(ValueError, match='lambda_'):
        SimAM(0)
    with pytest.raises(ValueError, match="found 'zero'"):
        ModalPromptBeta(16, prompt_init='zero')


def test_scale_shift_without_norm():
    module = randomise(ScaleShift(6, with_norm=False))
    x = torch.randn(2, 3, 6).double()
    torch.testing.assert_close(module(x), sft(x, module))


@pytest.mark.parametrize('batch', [1, 2])
def test_gradient_that_comes_permuted(batch):
    """Torch 2.1 on CPU reads memory it did not write, in a plain GELU."""
    tokens, prompt = torch.randn(2, batch, 15, 64)
    module = ModalPromptBeta(64, drop_rate=0.)
    permuted = torch.randn(batch, 64, 15).transpose(1, 2)
    weights = list(module.parameters())
    out = module(tokens, prompt, (3, 5))
    ours = torch.autograd.grad(out, weights, permuted, retain_graph=True)
    theirs = torch.autograd.grad(out, weights, permuted.contiguous())
    for mine, expected in zip(ours, theirs):
        torch.testing.assert_close(mine, expected)
