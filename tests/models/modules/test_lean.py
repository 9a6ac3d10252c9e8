"""What a prompt block keeps, and that its short cuts change nothing."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.utils import digit_version
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmivtuning.models.modules import (
    ModalPromptBeta,
    ScaleShift,
    SimAM,
    SplitFuseEnhancer,
    lean,
    simam,
    split_fuse_enhancer,
)
from mmivtuning.models.modules.lean import add_branches
from mmivtuning.models.saved_bytes import saved_bytes


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('whole_prompt', [False, True])
def test_extra_tokens_pass_by(training, whole_prompt):
    block = ModalPromptBeta(16, drop_rate=0.).double().train(training)
    tokens, prompt = torch.randn(2, 2, 14, 16).double()
    ours = block(tokens, prompt if whole_prompt else prompt[:, 2:], (3, 4), 2)
    theirs = copy.deepcopy(block)(tokens[:, 2:], prompt[:, 2:], (3, 4))
    assert torch.equal(ours[:, :2], tokens[:, :2])
    torch.testing.assert_close(ours[:, 2:], theirs)


def test_gradients_with_extra_tokens_and_dropout():
    tokens, prompt = torch.randn(2, 2, 13, 16).double().requires_grad_()
    block = ModalPromptBeta(16, 8).double()
    block.token_up.weight.data.normal_()
    block.prompt_up.weight.data.normal_()

    def run(*values):
        torch.manual_seed(0)
        return block(*values, (3, 4), 1)

    assert torch.autograd.gradcheck(run, (tokens, prompt), fast_mode=True)
    leaves = [block.token_norm.gamma, block.token_down.bias,
              block.prompt_down.weight, block.enhance.depthwise.weight,
              block.token_up.weight, block.prompt_scale.gamma]
    loss = run(tokens, prompt).square().sum()
    for leaf, grad in zip(leaves, torch.autograd.grad(loss, leaves)):
        step = torch.randn_like(leaf) * 1e-6
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                leaf += sign * step
                ends.append(run(tokens, prompt).square().sum())
                leaf -= sign * step
        torch.testing.assert_close(
            (grad * step).sum() * 2, ends[0] - ends[1], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize('exporting', [False, True])
def test_dropout_keeps_the_expectation_and_is_off_in_evaluation(
        exporting, monkeypatch):
    """Where a trace keeps nothing, too: who compiles a model that trains."""
    monkeypatch.setattr(lean, 'is_exporting', lambda: exporting)
    x = torch.zeros(1, 2000, 4)
    hidden = torch.full((1, 2000, 8), 2.)
    zero = torch.zeros(1, 2000, 8)
    linear = nn.Linear(8, 4)
    nn.init.eye_(linear.weight)
    nn.init.zeros_(linear.bias)
    ones, zeros = torch.tensor([[1.], [0.]]).expand(2, 4)

    def run(rate):
        return add_branches(x, hidden, linear, zero, ones, zeros, linear, rate)

    value = F.gelu(torch.tensor(2.))
    assert torch.allclose(run(0.), value)
    dropped = run(0.25)
    assert (dropped == 0).float().mean().item() == pytest.approx(
        0.25, abs=0.03)
    assert torch.allclose(dropped[dropped != 0], value / 0.75)


def test_a_large_mean_costs_no_accuracy():
    """In float32 the gradient is that of the norm written out."""
    module = ScaleShift(32)
    linear = nn.Linear(32, 8)
    x = (torch.randn(2, 5, 32) + 30).requires_grad_()
    weight = torch.randn(2, 5, 8)
    wanted = [x, *module.parameters(), *linear.parameters()]
    ours = torch.autograd.grad((module.project(x, linear) * weight).sum(),
                               wanted)
    theirs = torch.autograd.grad((linear(module(x)) * weight).sum(), wanted)
    for mine, expected in zip(ours, theirs):
        torch.testing.assert_close(mine, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('dtype', [torch.bfloat16, None])
def test_autocast_decides_the_type_of_products(dtype):
    block = ModalPromptBeta(32, drop_rate=0.)
    tokens, prompt = torch.randn(2, 1, 12, 32)
    expected = copy.deepcopy(block)(tokens, prompt, (3, 4))
    with torch.autocast('cpu', dtype or torch.bfloat16, dtype is not None):
        hidden = block.token_norm.project(tokens, block.token_down)
        out = block(tokens, prompt, (3, 4))
    assert hidden.dtype is (dtype or torch.float32)
    assert out.dtype is torch.float32
    tolerance = 0.02 if dtype else 1e-6
    torch.testing.assert_close(out, expected, rtol=tolerance, atol=tolerance)
    out.square().sum().backward()
    assert all(p.grad.dtype is torch.float32 for p in block.parameters())


def test_tokens_of_half_precision():
    """As after a convolution under autocast."""
    block = ModalPromptBeta(32, drop_rate=0.)
    tokens, prompt = torch.randn(2, 2, 13, 32)
    grads = []
    for dtype in (torch.float32, torch.bfloat16):
        x = tokens.to(dtype).requires_grad_()
        p = prompt.to(dtype).requires_grad_()
        with torch.autocast('cpu', torch.bfloat16):
            out = block(x, p, (3, 4), 1)
        assert out.dtype is dtype
        grads.append(
            torch.autograd.grad(out.float().square().sum(),
                                [x, p, *block.parameters()]))
    names = ['x', 'p', *dict(block.named_parameters())]
    for name, half, full in zip(names, grads[1], grads[0]):
        if name != 'enhance.conv1.bias':  # rounding errors, before a norm
            error = (half.float() - full).norm() / full.norm()
            assert error < 0.1, (name, error)


def enhancer(mode):
    """An enhancer whose norm has statistics of its own, or none."""
    module = SplitFuseEnhancer(8).double()
    if mode == 'without statistics':
        module.norm = nn.BatchNorm2d(8, track_running_stats=False).double()
        return module.eval()
    norm = module.norm
    for value in (norm.running_mean, norm.weight.data, norm.bias.data):
        nn.init.normal_(value)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    return module.train(mode == 'training')


@pytest.mark.parametrize('channels_last', [False, True])
@pytest.mark.parametrize(('build', 'mode'), [
    (enhancer, 'training'), (enhancer, 'evaluation'),
    (enhancer, 'without statistics'), (lambda mode: SimAM().double(), 'SimAM')
])
def test_gradients_of_maps_are_those_of_autograd(build, mode, channels_last,
                                                 monkeypatch):
    ours = build(mode)
    theirs = copy.deepcopy(ours)
    x = torch.randn(2, 8, 3, 5).double()
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    grad = torch.randn_like(x)
    found = []
    for module, compiling in ((ours, False), (theirs, True)):
        for place in (simam, split_fuse_enhancer):
            monkeypatch.setattr(place, 'is_compiling',
                                lambda answer=compiling: answer)
        out = module(x)
        grads = torch.autograd.grad(out, [x, *module.parameters()], grad)
        found.append([out, *grads, *module.buffers()])
        by_hand = ('_EnhanceBackward', '_SimAMBackward')
        assert (type(out.grad_fn).__name__ in by_hand) is not compiling
    for mine, expected in zip(*found):
        torch.testing.assert_close(mine, expected)


@pytest.mark.parametrize('norm', [
    nn.BatchNorm2d(8, momentum=None), nn.BatchNorm2d(8, affine=False),
    nn.GroupNorm(2, 8)
], ids=['cumulative', 'plain', 'another'])
def test_other_norms_have_their_own_gradients(norm):
    module = SplitFuseEnhancer(8).double()
    module.norm = norm.double()
    x = torch.randn(2, 8, 3, 5).double().requires_grad_()
    assert type(module(x).grad_fn).__name__ == 'AddBackward0'
    assert torch.autograd.gradcheck(module, (x, ), fast_mode=True)


def test_in_evaluation_the_gradient_is_asked_as_gpus_allow():
    """There, what an evaluation does not save must be empty, not None."""
    asked = []

    class Spy(TorchDispatchMode):

        def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
            if 'native_batch_norm_backward' in str(operator):
                asked.extend(args[5:7])
            return operator(*args, **(kwargs or {}))

    module = enhancer('evaluation')
    out = module(torch.randn(2, 8, 3, 5).double())
    with Spy():
        out.sum().backward()
    assert [value.numel() for value in asked] == [0, 0]


def test_everything_may_be_dropped():
    block = ModalPromptBeta(16, drop_rate=1.)
    tokens, prompt = torch.randn(2, 2, 12, 16).requires_grad_()
    block(tokens, prompt, (3, 4)).sum().backward()
    assert all(p.grad.isfinite().all() for p in block.parameters())
    assert not block.token_up.weight.grad.any()


def test_a_single_cell_has_no_statistics_to_train_with():
    module = SplitFuseEnhancer(8)
    x = torch.randn(1, 8, 1, 1)
    with pytest.raises(ValueError, match='more than 1 value per channel'):
        module(x)
    assert module.norm.running_var.isfinite().all()
    assert module.eval()(x).isfinite().all()


@pytest.mark.parametrize('module', [SplitFuseEnhancer(64), SimAM()],
                         ids=['SFE', 'SimAM'])
def test_what_looks_at_the_grid_keeps_its_input(module):
    x = torch.randn(2, 64, 20, 20, requires_grad=True)
    kept = saved_bytes(module, lambda: module(x))
    assert x.nbytes <= kept < 1.1 * x.nbytes


def test_what_a_block_keeps():
    """Tokens and prompt, and less than half of that for all the rest."""
    block = ModalPromptBeta(384)
    tokens = torch.randn(2, 401, 384, requires_grad=True)
    prompt = torch.randn(2, 401, 384)
    kept = saved_bytes(block, lambda: block(tokens, prompt, (20, 20), 1))
    assert kept / tokens.nbytes < 2.6


def test_statistics_are_updated_once_whatever_is_called():
    block = ModalPromptBeta(16)
    tokens, prompt = torch.randn(2, 2, 12, 16).requires_grad_()
    norm = block.enhance.norm
    out = block(tokens, prompt, (3, 4))
    after = norm.running_mean.clone()
    out.sum().backward(retain_graph=True)
    out.sum().backward()
    assert torch.equal(norm.running_mean, after)
    assert norm.num_batches_tracked == 1
    # twice in one forward pass, as a shared block or two views would
    out = block(block(tokens, prompt, (3, 4)), prompt, (3, 4))
    out.sum().backward()
    assert norm.num_batches_tracked == 3
    block.eval()(tokens, prompt, (3, 4)).sum().backward()
    assert norm.num_batches_tracked == 3


COMPILES = digit_version(torch.__version__) >= digit_version('2.5')


@pytest.mark.skipif(COMPILES, reason='of an older torch')
def test_compilation_needs_a_newer_torch():
    with pytest.raises(ValueError, match='needs torch 2.5 or newer, found'):
        ModalPromptBeta(16, compile_training=True)


@pytest.mark.skipif(not COMPILES, reason='an older torch does not compile')
def test_compiled_block_trains_as_the_other_does():
    plain = ModalPromptBeta(32, 16, drop_rate=0.)
    nn.init.normal_(plain.token_up.weight)
    nn.init.normal_(plain.prompt_up.weight)
    compiled = ModalPromptBeta(32, 16, drop_rate=0., compile_training=True)
    compiled.load_state_dict(plain.state_dict())
    tokens, prompt = torch.randn(2, 2, 13, 32).requires_grad_()
    weights = torch.randn(2, 13, 32)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    found = []
    for block in (plain, compiled):
        out = block(tokens, prompt, (3, 4), 1)
        leaves = [tokens, prompt, *(
            value for name, value in block.named_parameters()
            # batch normalisation takes it out again: its gradient is noise
            if name != 'enhance.conv1.bias')]
        grads = torch.autograd.grad((out * weights).sum(), leaves)
        found.append([out, *grads, *block.buffers()])
    for mine, expected in zip(*reversed(found)):
        torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-4)
    counters = torch._dynamo.utils.counters
    assert counters['stats']['unique_graphs'] == 1
    assert not counters['graph_break']
    with torch.no_grad():  # evaluation is as it was
        out = compiled.eval()(tokens, prompt, (3, 4), 1)
    torch.testing.assert_close(
        out, plain.eval()(tokens, prompt, (3, 4), 1), rtol=1e-4, atol=1e-4)
    assert counters['stats']['unique_graphs'] == 1
