"""What trains, what stays, and what a training step does to both."""

import copy

import pytest
import torch
from mmengine.utils import digit_version
from torch import nn

from mmivtuning.models import IVVisionTransformer, declared_parameters
from mmivtuning.models.modules import ModalPromptAlpha, ModalPromptBeta
from mmivtuning.models.saved_bytes import saved_bytes

BASELINES = ['lora', 'adaptformer', 'vpt_deep', 'bitfit']


def loss_of(backbone, inputs):
    """A loss that every value of every output enters."""
    outs = backbone(inputs)
    torch.manual_seed(3)
    return sum((out * torch.randn_like(out)).mean() for out in outs)


def trainable(backbone):
    """Names of what trains."""
    return {
        name
        for name, parameter in backbone.named_parameters()
        if parameter.requires_grad
    }


def expected_of_iv(backbone):
    """Names of what trains, by METHOD: by module, listed here once more."""
    modules = [backbone.infrared_embed, backbone.prompt_norm]
    modules += [
        module for module in backbone.modules()
        if isinstance(module, (ModalPromptAlpha, ModalPromptBeta))
    ]
    wanted = {id(p) for module in modules for p in module.parameters()}
    return {
        name
        for name, parameter in backbone.named_parameters()
        if id(parameter) in wanted
    }


@pytest.mark.parametrize(('prompt_init', 'steps'), [('paper', 1),
                                                    ('identity', 3)])
@pytest.mark.parametrize('with_cp', [False, True])
def test_a_step_changes_exactly_what_is_declared(family, prompt_init, steps,
                                                 with_cp):
    backbone = family.build(prompt_init=prompt_init, with_cp=with_cp)
    assert trainable(backbone) == expected_of_iv(backbone)
    assert trainable(backbone) == set(declared_parameters(backbone))
    before = copy.deepcopy(backbone.state_dict())
    optimiser = torch.optim.AdamW(
        [p for p in backbone.parameters() if p.requires_grad], lr=1e-3)
    had_gradient = set()
    for _ in range(steps):
        optimiser.zero_grad()
        loss_of(backbone, torch.randn(2, 4, 48, 80)).backward()
        for name, parameter in backbone.named_parameters():
            assert (parameter.grad is not None) == parameter.requires_grad
            if parameter.grad is not None and parameter.grad.any():
                had_gradient.add(name)
        optimiser.step()
    after = backbone.state_dict()
    changed = {
        name
        for name, _ in backbone.named_parameters()
        if not torch.equal(after[name], before[name])
    }
    assert changed == trainable(backbone)
    # a bias before BatchNorm has no effect, and a gradient of rounding errors
    assert {
        name
        for name in trainable(backbone) - had_gradient
        if not name.endswith('enhance.conv1.bias')
    } == set()
    statistics = [name for name in after if 'running' in name]
    assert statistics
    assert all(
        not torch.equal(after[name], before[name]) for name in statistics)


def plain_options():
    """Outputs of plain backbones that leave something unused."""
    return [
        dict(out_indices=[1]),
        dict(out_indices=[0, 1], final_norm=True),
        dict(out_indices=[2], final_norm=False),
        dict(out_indices=[2], out_type='cls_token'),
        dict(out_indices=[0, 1], out_type='cls_token'),
        dict(out_indices=[2], out_type='raw'),
        dict(out_indices=[2], out_type='avg_featmap'),
        dict(out_indices=[0, 2], with_cls_token=False),
        dict(out_indices=[1, 1], pyramid_strides=(4, 32)),
    ]


def swin_options():
    """Outputs of Swin that leave something unused."""
    return [
        dict(out_indices=(1, )),
        dict(out_indices=(0, 2)),
        dict(out_indices=(3, )),
        dict(out_indices=(0, 1), out_after_downsample=True),
        dict(out_indices=(0, 3), out_after_downsample=True),
        dict(out_indices=(0, 1), use_abs_pos_embed=True),
        dict(out_indices=(0, 1), norm_cfg=None),
    ]


@pytest.mark.parametrize('tuning', ['iv', 'full', 'frozen', *BASELINES])
def test_every_trainable_parameter_gets_a_gradient(family, tuning):
    for options in swin_options() if family.is_swin else plain_options():
        backbone = family.build(tuning=tuning, **options)
        loss_of(backbone, torch.randn(2, 4, 40, 72)).backward()
        for name, parameter in backbone.named_parameters():
            assert (parameter.grad is
                    not None) == parameter.requires_grad, (name, options)
        names = trainable(backbone)
        if tuning == 'frozen':
            assert all(name.startswith('infrared_embed.') for name in names)
        if tuning == 'full':
            assert 'patch_embed.projection.weight' in names
        else:
            assert 'patch_embed.projection.weight' not in names


def test_outputs_do_not_depend_on_what_is_left_out(family):
    """Full fine-tuning leaves out what gets no gradient, nothing else."""
    for options in swin_options() if family.is_swin else plain_options():
        backbone = family.build(tuning='full', **options)
        names = trainable(backbone)
        backbone.requires_grad_(True)
        loss_of(backbone, torch.randn(2, 4, 40, 72)).backward()
        reached = {
            name
            for name, parameter in backbone.named_parameters()
            if parameter.grad is not None
        }
        assert names == reached, options


@pytest.mark.parametrize('tuning', ['full', 'visible'])
def test_frozen_stages_work_where_stages_train(family, tuning):
    backbone = family.build(tuning=tuning, frozen_stages=1)
    names = trainable(backbone)
    first = 'stages.0.' if family.is_swin else 'layers.0.'
    assert not any(name.startswith((first, 'patch_embed.')) for name in names)
    assert (tuning == 'full') == any(
        name.startswith('infrared_embed.') for name in names)
    backbone.train()
    assert trainable(backbone) == names
    loss_of(backbone, torch.randn(2, 4, 40, 72)).backward()
    assert trainable(backbone) == {
        name
        for name, parameter in backbone.named_parameters()
        if parameter.grad is not None
    }


@pytest.mark.parametrize('tuning', ['iv', 'frozen', *BASELINES])
def test_frozen_stages_are_refused_where_every_stage_is(family, tuning):
    with pytest.raises(ValueError, match='frozen_stages=1 needs'):
        family.build(tuning=tuning, frozen_stages=1)


@pytest.mark.parametrize('tuning', ['iv', 'full', *BASELINES])
def test_checkpointing_changes_nothing(family, tuning):
    plain = family.build(tuning=tuning, drop_path_rate=0.3)
    saving = family.build(tuning=tuning, drop_path_rate=0.3, with_cp=True)
    saving.load_state_dict(plain.state_dict())
    inputs = torch.randn(2, 4, 48, 80)
    losses = []
    for backbone in (plain, saving):
        for seed in range(2):
            torch.manual_seed(seed)
            loss = loss_of(backbone, inputs)
            loss.backward()
        losses.append(loss.item())
    assert losses[0] == losses[1]
    for (name, mine), (_, expected) in zip(saving.named_parameters(),
                                           plain.named_parameters()):
        if expected.grad is not None:
            torch.testing.assert_close(
                mine.grad, expected.grad, msg=lambda m, n=name: f'{n}: {m}')
    for (name, mine), (_, expected) in zip(saving.named_buffers(),
                                           plain.named_buffers()):
        assert torch.equal(mine, expected), name
    if tuning == 'iv':
        counts = [
            buffer for name, buffer in saving.named_buffers()
            if name.endswith('num_batches_tracked')
        ]
        assert counts
        assert all(count == 2 for count in counts)


def test_checkpointing_saves_less(family):
    saved = []
    for with_cp in (False, True):
        backbone = family.build(with_cp=with_cp)
        count = []
        with torch.autograd.graph.saved_tensors_hooks(
                lambda t, count=count: count.append(t.nbytes) or t,
                lambda t: t):
            backbone(torch.randn(1, 4, 64, 64))
        saved.append(sum(count))
    assert saved[1] < 0.5 * saved[0]


def test_frozen_layers_train_as_they_did(family):
    """Stochastic depth stays active; prompts' BatchNorm and dropout too."""
    backbone = family.build(drop_path_rate=0.5)
    backbone.train()
    assert all(module.training for module in backbone.modules())
    inputs = torch.randn(4, 4, 48, 80)
    with torch.no_grad():
        assert not torch.equal(backbone(inputs)[-1], backbone(inputs)[-1])
        backbone.eval()
        assert torch.equal(backbone(inputs)[-1], backbone(inputs)[-1])


@pytest.mark.parametrize('tuning', ['iv', 'full', 'frozen', *BASELINES])
@pytest.mark.parametrize('with_cp', [False, True])
def test_mixed_precision(family, tuning, with_cp):
    options = {} if family.is_swin else dict(
        pyramid_strides=(4, 32), out_indices=[1, 2])
    backbone = family.build(tuning=tuning, with_cp=with_cp, **options)
    with torch.autocast('cpu', torch.bfloat16):
        loss = loss_of(backbone, torch.randn(2, 4, 45, 61))
    loss.backward()
    for name, parameter in backbone.named_parameters():
        if parameter.requires_grad:
            assert torch.isfinite(parameter.grad).all(), name


def test_nothing_is_kept_before_the_first_trainable_part(family):
    """The visible embedding is frozen, its input needs no gradient."""
    backbone = family.build()
    seen = []
    backbone.patch_embed.register_forward_hook(
        lambda _, __, output: seen.append(output[0]))
    backbone(torch.randn(1, 4, 48, 80))
    assert not seen[0].requires_grad


def test_sync_batch_norm_conversion(family):
    backbone = nn.SyncBatchNorm.convert_sync_batchnorm(
        family.build(with_cp=True))
    norms = [m for m in backbone.modules() if isinstance(m, nn.SyncBatchNorm)]
    assert len(norms) == 1 + sum(
        isinstance(m, ModalPromptBeta) for m in backbone.modules())
    assert trainable(backbone) == expected_of_iv(backbone)
    assert backbone.eval()(torch.randn(1, 4, 48, 80))


def test_a_copy_is_a_backbone_of_its_own(family):
    """As made for exponential moving averages."""
    backbone = family.build().eval()
    other = copy.deepcopy(backbone)
    inputs = torch.randn(1, 4, 48, 80)
    assert torch.equal(other(inputs)[-1], backbone(inputs)[-1])
    assert trainable(other) == trainable(backbone)
    nn.init.zeros_(other.infrared_embed.projection.weight)
    assert backbone.infrared_embed.projection.weight.any()
    other.load_state_dict(backbone.state_dict())
    assert torch.equal(other(inputs)[-1], backbone(inputs)[-1])


@pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version('2.4'),
    reason='torch.compile of the older stack breaks on stock constructs')
@pytest.mark.parametrize(('tuning', 'trains'), [
    (tuning, True) for tuning in ('iv', 'full', *BASELINES)
] + [('iv', False)])
def test_compilation_has_no_graph_break(family, tuning, trains):
    options = {} if family.is_swin else dict(
        pyramid_strides=(4, 32), out_indices=[1, 2])
    backbone = family.build(tuning=tuning, **options).eval()
    inputs = torch.randn(1, 4, 45, 61)
    backbone(inputs)
    torch._dynamo.reset()
    with torch.set_grad_enabled(trains):
        explained = torch._dynamo.explain(backbone)(inputs)
    assert explained.graph_break_count == 0, explained.break_reasons


@pytest.mark.parametrize('width', [192, 384])
def test_tuning_keeps_less_than_full_fine_tuning(width):
    """Prompts have one hidden width: narrow layers gain less."""
    saved = {}
    for tuning in ('iv', 'full'):
        backbone = IVVisionTransformer(
            arch=dict(
                embed_dims=width,
                num_layers=8,
                num_heads=width // 32,
                feedforward_channels=4 * width),
            img_size=64,
            layer_scale_init_value=0.1,
            tuning=tuning)
        inputs = torch.randn(1, 4, 320, 320)
        saved[tuning] = saved_bytes(backbone,
                                    lambda b=backbone, i=inputs: b(i))
    assert saved['iv'] < (0.8 if width == 384 else 0.9) * saved['full']
