"""Options of a tuning: what is refused, and the ablations of IV-tuning."""

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmivtuning.models import IVVisionTransformer, IVViTEVA02, count_parameters
from mmivtuning.models.backbones.tuning import TUNINGS
from mmivtuning.models.modules import ModalPromptBeta, SimAM, SplitFuseEnhancer
from mmivtuning.registry import MODELS


def tiny(**kwargs):
    """A ViT that is built in no time."""
    return IVVisionTransformer(
        arch=dict(
            embed_dims=16, num_layers=2, num_heads=2,
            feedforward_channels=16),
        img_size=32,
        **kwargs)


def trainable(backbone):
    """Names of what trains."""
    return {
        name
        for name, parameter in backbone.named_parameters()
        if parameter.requires_grad
    }


@pytest.mark.parametrize('tuning', TUNINGS)
def test_no_options_are_none_and_empty(tuning):
    counts = {
        count_parameters(tiny(tuning=tuning, tuning_options=options))
        for options in (None, {})
    }
    assert len(counts) == 1


@pytest.mark.parametrize(('tuning', 'options', 'message'), [
    ('iw', None, "tuning must be one of .*'iv', .*'bitfit'.*, found 'iw'"),
    (['iv'], None, r"tuning must be one of .*, found \['iv'\]"),
    ('lora', 'rank=4', "must be a dict or None, found 'rank=4'"),
    ('lora', dict(rnak=4, alpha=1), r"'lora' has no tuning_options \['rnak'\]"
     r"; it has \['rank', 'alpha', 'drop_rate', 'targets'\]"),
    ('full', dict(rank=4), r"\['rank'\]; it has none at all"),
    ('bitfit', dict(rank=4), 'it has none at all'),
    ('vpt_deep', {1: 2}, r"no tuning_options \[1\]"),
    ('lora', dict(rank=0), 'rank must be an integer of at least 1, found 0'),
    ('lora', dict(rank=2.), 'rank must be an integer of at least 1'),
    ('lora', dict(rank=True), 'rank must be .* found True'),
    ('lora', dict(alpha=-1), 'alpha must be a number above 0, found -1'),
    ('lora', dict(alpha=0), 'alpha must be a number above 0, found 0'),
    ('lora', dict(alpha=float('nan')), 'alpha must be .* found nan'),
    ('lora', dict(drop_rate=1), 'drop_rate must be a number from 0 to below 1'
     ', found 1'),
    ('lora', dict(targets='query'), "targets must list .* found 'query'"),
    ('lora', dict(targets=()), 'targets must list some of'),
    ('lora', dict(targets=('query', 'query')), 'targets must list some of'),
    ('lora', dict(targets=('qkv', )), r"targets must list .* \('qkv',\)"),
    ('lora', dict(targets=[['key']]), 'targets must list some of'),
    ('lora', dict(targets=3), 'targets must list some of .* found 3'),
    ('adaptformer', dict(hidden_dims=0), 'hidden_dims must be an integer'),
    ('adaptformer', dict(scale='s'), "scale must be a number .* found 's'"),
    ('adaptformer', dict(scale=0.), 'scale must be a number above 0, found 0'),
    ('adaptformer', dict(normalised=1), 'normalised must be True or False'),
    ('vpt_deep', dict(num_tokens=-5), 'num_tokens must be .* found -5'),
    ('iv', dict(token_dims=66), 'split_ratio must divide token_dims=66'),
    ('iv', dict(split_ratio=16), 'split_ratio must divide prompt_dims=8'),
    ('iv', dict(infrared_path='conv'), "infrared_path must be one of "
     r"\('linear', 'convolution'\), found 'conv'"),
    ('iv', dict(prompt_update='never'), 'prompt_update must be one of'),
    ('iv', dict(betas='none'), "betas must be one of .* found 'none'"),
    ('iv', dict(prompted_tokens='both'), "prompted_tokens must be one of "
     r"\('visible', 'mean'\), found 'both'"),
    ('iv', dict(num_prompted_layers=3), 'from -2 to 2, found 3'),
    ('iv', dict(num_prompted_layers=True), 'num_prompted_layers must be'),
    ('iv', dict(num_prompted_layers=1.), 'num_prompted_layers must be'),
])
def test_what_does_not_fit_is_named(tuning, options, message):
    with pytest.raises(ValueError, match=message):
        tiny(tuning=tuning, tuning_options=options)


@pytest.mark.parametrize('tuning', TUNINGS)
def test_one_key_of_a_config_chooses(root, tuning):
    """Whatever options the config has for prompts."""
    config = Config.fromfile(root / 'configs/segmentation/scenes/'
                             'vit-tiny-random_segformer_iv_4i_scenes-56x70.py')
    config.merge_from_dict({
        'model.backbone.tuning': tuning,
        'model.backbone.prompt_init': 'identity'
    })
    assert MODELS.build(config.model.backbone).tuning == tuning


def test_options_from_the_command_line(root):
    config = Config.fromfile(root / 'configs/segmentation/scenes/'
                             'vit-tiny-random_segformer_iv_4i_scenes-56x70.py')
    config.merge_from_dict({
        'model.backbone.tuning': 'lora',
        'model.backbone.tuning_options.rank': 2,
        'model.backbone.tuning_options.targets': ['value']
    })
    backbone = MODELS.build(config.model.backbone)
    update = backbone.layers[0].attn.qkv.lora
    assert list(update) == ['value']
    assert update['value'].down.out_features == 2


def test_lora_targets_of_choice():
    backbone = tiny(
        tuning='lora', tuning_options=dict(targets=['key'], rank=3))
    assert {name for name in trainable(backbone) if 'layers.0' in name} == {
        f'layers.0.attn.qkv.lora.key.{way}.weight' for way in ('down', 'up')
    }


# Ablations of IV-tuning.


def enhancer_count(dims, ratio=4):
    """An SFE: depth-wise convolution, two 1x1 ones and BatchNorm."""
    return dims // ratio * 10 + 2 * (dims * dims + dims) + 2 * dims


def alpha_count(width, dims=8, ratio=4, convolution=False):
    """MP-alpha."""
    return (3 * width * dims + 2 * dims + width +
            (1 + convolution) * enhancer_count(dims, ratio))


def beta_count(width, dims=64, prompt_dims=8, ratio=4, convolution=False):
    """MP-beta: three SFT, two of them with a norm, and four projections."""
    return (10 * width + 2 * width * (dims + prompt_dims) + dims +
            prompt_dims + 2 * width + enhancer_count(dims, ratio) +
            (enhancer_count(prompt_dims, ratio) if convolution else 0))


@pytest.mark.parametrize(('options', 'sizes', 'betas'), [
    (dict(), dict(), 2),
    (dict(token_dims=32), dict(dims=32), 2),
    (dict(prompt_dims=16), dict(prompt_dims=16), 2),
    (dict(split_ratio=2), dict(ratio=2), 2),
    (dict(infrared_path='convolution'), dict(convolution=True), 2),
    (dict(betas='shared'), dict(), 1),
    (dict(betas='attention'), dict(), 1),
    (dict(betas='ffn'), dict(), 1),
    (dict(prompt_update='layer', drop_rate=0.3), dict(), 2),
    (dict(prompted_tokens='mean'), dict(), 2),
])
def test_counts_of_ablations(family, options, sizes, betas):
    backbone = family.build(tuning_options=options)
    layers = backbone.tuned_layers()
    shared = dict(
        dims=sizes.get('prompt_dims', 8),
        ratio=sizes.get('ratio', 4),
        convolution=sizes.get('convolution', False))
    infrared = sum(p.numel() for p in backbone.infrared_embed.parameters())
    expected = infrared + 2 * backbone.embed_dims + alpha_count(
        backbone.embed_dims, **shared) + sum(
            betas * beta_count(width, **sizes) for _, width in layers)
    assert count_parameters(backbone).trainable == expected
    # and each of those has a part in the outputs
    loss = sum(
        out.square().mean() for out in backbone(torch.randn(2, 4, 40, 72)))
    loss.backward()
    for name, parameter in backbone.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


def test_counts_of_eva02_large():
    """One MP-beta a layer: the count of the released code's last state."""
    for options, trainable_count in (
        (dict(), 8899652),
        (dict(betas='shared'), 4857476),
        (dict(num_prompted_layers=12), 8899652 - 12 * 336848),
        (dict(num_prompted_layers=0), 8899652 - 24 * 336848)):
        with torch.device('meta'):
            backbone = IVViTEVA02(
                arch='large',
                patch_size=16,
                sub_ln=True,
                tuning_options=options)
        assert count_parameters(backbone).trainable == trainable_count


@pytest.mark.parametrize('number', [0, 1, 2, -1, -2])
def test_prompted_layers_are_the_first_or_the_last(family, number):
    backbone = family.build(tuning_options=dict(num_prompted_layers=number))
    layers = [layer for layer, _ in backbone.tuned_layers()]
    prompted = [
        index for index, layer in enumerate(layers)
        if any(isinstance(m, ModalPromptBeta) for m in layer.modules())
    ]
    everything = list(range(len(layers)))
    assert prompted == (
        everything[:number] if number >= 0 else everything[number:])
    sum(out.mean()
        for out in backbone(torch.randn(2, 4, 40, 72))).backward()
    for name, parameter in backbone.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


def seen_prompts(backbone):
    """What each MP-beta gets: tokens and prompt, in order."""
    seen = []
    for module in backbone.modules():
        if isinstance(module, ModalPromptBeta):
            module.register_forward_pre_hook(
                lambda _, args: seen.append(args[:2]))
    backbone.eval()(torch.randn(1, 4, 48, 80))
    return seen


@pytest.mark.parametrize('betas', ['both', 'shared'])
def test_a_constant_prompt_is_the_initial_one(plain_family, betas):
    backbone = plain_family.build(
        tuning_options=dict(prompt_update='constant', betas=betas))
    initial = []
    backbone.prompt_alpha.register_forward_hook(
        lambda _, __, output: initial.append(output))
    prompts = [prompt for _, prompt in seen_prompts(backbone)]
    assert len(prompts) == 2 * len(backbone.layers)
    assert all(prompt is initial[0] for prompt in prompts)


def test_a_prompt_of_each_layer(families):
    """As published for plain backbones; an option for Swin."""
    for name in ('swin', 'vit14'):
        backbone = families[name].build(
            tuning_options=dict(prompt_update='layer'))
        entering = []
        for layer, _ in backbone.tuned_layers():
            layer.register_forward_pre_hook(
                lambda _, args, seen=entering: seen.append(args[0]))
        prompts = [prompt for _, prompt in seen_prompts(backbone)]
        for index, tokens in enumerate(entering):
            assert prompts[2 * index] is prompts[2 * index + 1]
            if index:
                assert prompts[2 * index] is tokens


def test_swin_has_no_constant_prompt(families):
    with pytest.raises(ValueError, match=r"'constant' needs .* \[16, 32, "):
        families['swin'].build(tuning_options=dict(prompt_update='constant'))


@pytest.mark.parametrize('betas', ['shared', 'attention', 'ffn'])
def test_one_block_a_layer(family, betas):
    backbone = family.build(tuning_options=dict(betas=betas)).eval()
    layer, width = backbone.tuned_layers()[0]
    blocks = [m for m in layer.modules() if isinstance(m, ModalPromptBeta)]
    assert len(blocks) == 1
    hw = (4, 5)
    x, prompt = torch.randn(2, 2, 20, width).unbind(0)
    expected = layer.attend(x, hw)
    if betas != 'ffn':
        expected = blocks[0](expected, prompt, hw)
    expected = layer.feed(expected)
    if betas != 'attention':
        expected = blocks[0](expected, prompt, hw)
    assert torch.equal(layer(x, hw, prompt), expected)


@pytest.mark.parametrize('with_simam', [True, False])
def test_a_convolutional_infrared_path(family, with_simam):
    """Infrared goes through an SFE, then through SimAM, as visible does."""
    backbone = family.build(
        with_simam=with_simam,
        tuning_options=dict(infrared_path='convolution'))
    for module in backbone.modules():
        if hasattr(module, 'attention') and hasattr(module, 'enhance'):
            enhancer, attention = module.attention
            assert isinstance(enhancer, SplitFuseEnhancer)
            assert isinstance(attention,
                              SimAM if with_simam else nn.Identity)
    stock = family.build(tuning='frozen').eval()
    identity = family.build(
        prompt_init='identity',
        tuning_options=dict(infrared_path='convolution')).eval()
    identity.load_state_dict(stock.state_dict(), strict=False)
    inputs = torch.randn(1, 4, 45, 61)
    inputs[:, :3] = inputs[:, 3:]
    for mine, expected in zip(identity(inputs), stock(inputs)):
        torch.testing.assert_close(mine, expected, rtol=0, atol=1e-5)


def embedded(backbone, inputs):
    """Tokens, prompt, and the raw tokens of both modalities."""
    backbone.eval()
    tokens, prompt, _ = backbone.embed_pair(inputs)
    visible, _ = backbone.patch_embed(inputs[:, :3])
    infrared, _ = backbone.infrared_embed(inputs[:, 3:].expand(-1, 3, -1, -1))
    return tokens, prompt, visible, infrared


def test_the_prompt_is_added_to_visible_tokens_or_to_the_mean(family):
    inputs = torch.randn(2, 4, 45, 61, dtype=torch.float64)
    for options, share in ((None, 0.), (dict(prompted_tokens='mean'), 0.5)):
        backbone = family.build(tuning_options=options).double()
        tokens, prompt, visible, infrared = embedded(backbone, inputs)
        expected = (1 - share) * visible + share * infrared + prompt
        torch.testing.assert_close(tokens, expected, rtol=0, atol=1e-12)
        assert prompt.abs().max() > 0


def test_the_mean_starts_where_the_frozen_backbone_does(family):
    """With the identity start; on the visible tokens infrared is unseen."""
    frozen = family.build(tuning='frozen').eval()
    inputs = torch.randn(1, 4, 45, 61)
    expected = frozen(inputs)
    for options, equal in ((dict(prompted_tokens='mean'), True),
                           (dict(prompted_tokens='visible'), False)):
        backbone = family.build(
            prompt_init='identity', tuning_options=options).eval()
        backbone.load_state_dict(frozen.state_dict(), strict=False)
        for mine, theirs in zip(backbone(inputs), expected):
            close = torch.allclose(mine, theirs, rtol=0, atol=1e-5)
            assert close == equal


def test_adapters_tell_to_what_the_prompt_is_added():
    """Those of before it was an option say nothing, and fit the default."""
    assert tiny().tuning_settings() == dict(
        tuning='iv', prompt_update='paper', with_simam=True)
    mean = tiny(tuning_options=dict(prompted_tokens='mean'))
    assert mean.tuning_settings()['prompted_tokens'] == 'mean'


@pytest.mark.parametrize('options', [
    dict(infrared_path='convolution'),
    dict(prompted_tokens='mean'),
    dict(betas='shared'),
    dict(prompt_update='layer', split_ratio=2, token_dims=16),
    dict(num_prompted_layers=-1)
])
def test_checkpointing_of_ablations_changes_nothing(family, options):
    plain = family.build(tuning_options=options)
    saving = family.build(tuning_options=options, with_cp=True)
    saving.load_state_dict(plain.state_dict())
    inputs = torch.randn(2, 4, 48, 80)
    for backbone in (plain, saving):
        torch.manual_seed(1)
        sum(out.square().mean() for out in backbone(inputs)).backward()
    for (name, mine), (_, expected) in zip(saving.named_parameters(),
                                           plain.named_parameters()):
        if expected.grad is not None:
            torch.testing.assert_close(
                mine.grad, expected.grad, msg=lambda m, n=name: f'{n}: {m}')
    for (name, mine), (_, expected) in zip(saving.named_buffers(),
                                           plain.named_buffers()):
        assert torch.equal(mine, expected), name
