"""Checkpoints: what loads, what is refused, and with which words."""

import numpy as np
import pytest
import torch
from mmengine.model import BaseModule
from mmengine.runner.checkpoint import load_checkpoint
from torch import nn

from mmivtuning.models import load_pretrained
from mmivtuning.models.backbones.loading import (
    read_state_dict,
    resize_relative_position_bias,
)


def fill(module):
    """Give every parameter a value that no initialisation gives."""
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


def classifier(family, **kwargs):
    """The stock backbone that a classification checkpoint holds."""
    heads = (
        dict(out_indices=(3, )) if family.is_swin else dict(final_norm=True))
    return fill(family.build_stock(**{**heads, **kwargs}))


def save(path, weights, prefix='backbone.', wrap=True, **others):
    """Write weights as mmpretrain does."""
    weights = {f'{prefix}{key}': value for key, value in weights.items()}
    if prefix:
        weights['head.fc.weight'] = torch.zeros(2, 2)
    weights.update(others)
    torch.save(dict(meta={}, state_dict=weights) if wrap else weights, path)
    return str(path)


def frozen_parameters(backbone, stock):
    """Yield the pairs of parameters that a stock checkpoint has to fill."""
    theirs = dict(stock.named_parameters())
    own = dict(backbone.named_parameters())
    for name in own:
        if name in backbone.stock_keys and not backbone.may_lack(name):
            yield name, own[name], theirs[name]


WAYS = ['init_cfg', 'loader']


def load(family, checkpoint, way, **kwargs):
    """Load a checkpoint in either way."""
    if way == 'init_cfg':
        backbone = family.build(
            init_cfg=dict(type='Pretrained', checkpoint=checkpoint), **kwargs)
        backbone.init_weights()
    else:
        backbone = family.build(**kwargs)
        load_pretrained(backbone, checkpoint)
    return backbone


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('tuning', ['iv', 'full', 'frozen'])
@pytest.mark.parametrize(('prefix', 'wrap'), [('backbone.', True), ('', True),
                                              ('', False)])
def test_a_stock_checkpoint_fills_every_frozen_parameter(
        family, tmp_path, way, tuning, prefix, wrap):
    stock = classifier(family)
    file = save(tmp_path / 'stock.pth', stock.state_dict(), prefix, wrap)
    backbone = load(family, file, way, tuning=tuning)
    compared = 0
    for name, mine, expected in frozen_parameters(backbone, stock):
        assert torch.equal(mine, expected), name
        compared += 1
    assert compared > 20
    for name, mine in backbone.infrared_embed.named_parameters():
        assert torch.equal(mine, stock.patch_embed.get_parameter(name))
        assert mine.requires_grad
    if family.is_swin:
        for stage in range(3):
            norm = getattr(backbone, f'norm{stage}')
            assert (norm.weight == 1).all()
            assert not norm.bias.any()


@pytest.mark.parametrize('way', WAYS)
def test_other_initialisations_of_the_infrared_embedding(
        family, tmp_path, way):
    stock = classifier(family)
    file = save(tmp_path / 'stock.pth', stock.state_dict())
    random = load(family, file, way, infrared_init='random')
    weight = stock.patch_embed.projection.weight
    assert not torch.equal(random.infrared_embed.projection.weight, weight)
    one = load(family, file, way, infrared_channels=1)
    torch.testing.assert_close(one.infrared_embed.projection.weight,
                               weight.sum(1, keepdim=True))


@pytest.mark.parametrize('way', WAYS)
def test_missing_unexpected_and_misshapen_keys_are_named(
        family, tmp_path, way):
    weights = classifier(family).state_dict()
    key = ('stages.2.blocks.1.norm2.bias'
           if family.is_swin else 'layers.1.attn.proj.bias')

    missing = {k: v for k, v in weights.items() if k != key}
    file = save(tmp_path / 'missing.pth', missing)
    with pytest.raises(
            RuntimeError, match=f'missing.pth .*\n.*missing: {key}$'):
        load(family, file, way)

    file = save(tmp_path / 'more.pth', dict(weights, mask_token=torch.ones(1)))
    with pytest.raises(
            RuntimeError, match='more.pth .*\n.*unexpected: mask_token$'):
        load(family, file, way)

    file = save(tmp_path / 'shape.pth', dict(weights, **{key: torch.ones(3)}))
    with pytest.raises(RuntimeError, match=f'shape.pth (.*\n)*.*{key}'):
        load(family, file, way)

    bad = dict(weights, **{key: torch.full_like(weights[key], np.nan)})
    file = save(tmp_path / 'nan.pth', bad)
    with pytest.raises(RuntimeError, match=f'nan.pth .*\n.*not finite: {key}'):
        load(family, file, way)


@pytest.mark.parametrize('way', WAYS)
def test_files_that_are_no_checkpoints(family, tmp_path, way):
    file = tmp_path / 'cut.pth'
    save(file, classifier(family).state_dict())
    content = file.read_bytes()
    for length in (0, 100, len(content) // 2):
        file.write_bytes(content[:length])
        with pytest.raises(RuntimeError, match='cut.pth cannot be read'):
            load(family, str(file), way)
    torch.save(dict(meta={}), file)
    with pytest.raises(RuntimeError, match='cut.pth holds no weights'):
        load(family, str(file), way)
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        load(family, str(tmp_path / 'nowhere.pth'), way)


def test_a_backbone_of_another_family_is_refused(families, tmp_path):
    for name, other in (('swin', 'vit16'), ('vit16', 'eva02'),
                        ('eva02', 'swin')):
        file = save(tmp_path / 'other.pth',
                    classifier(families[other]).state_dict())
        with pytest.raises(RuntimeError, match='size mismatch for|missing: '):
            load(families[name], file, 'init_cfg')


def test_prefix_of_the_configuration(family, tmp_path):
    stock = classifier(family)
    file = save(
        tmp_path / 'stock.pth', stock.state_dict(), prefix='teacher.student.')
    for prefix in ('teacher.student', 'teacher.student.'):
        backbone = family.build(
            init_cfg=dict(
                type='Pretrained', checkpoint=file, prefix=prefix))
        backbone.init_weights()
        for _, mine, expected in frozen_parameters(backbone, stock):
            assert torch.equal(mine, expected)
    with pytest.raises(RuntimeError, match="no key starts with 'student.'"):
        load_pretrained(family.build(), file, prefix='student')


def test_a_wrapped_model_is_unwrapped(family, tmp_path):
    stock = classifier(family)
    file = save(
        tmp_path / 'ddp.pth', stock.state_dict(), prefix='module.backbone.')
    load_pretrained(family.build(), file)


def test_an_unused_final_norm_is_ignored(plain_family, tmp_path):
    stock = classifier(plain_family)
    file = save(tmp_path / 'stock.pth', stock.state_dict())
    for options in (dict(final_norm=False), dict(out_indices=[1])):
        load_pretrained(plain_family.build(**options), file)
    without = {
        k: v
        for k, v in stock.state_dict().items() if not k.startswith('ln1.')
    }
    file = save(tmp_path / 'bare.pth', without)
    load_pretrained(plain_family.build(out_indices=[1]), file)
    with pytest.raises(RuntimeError, match='missing: ln1.weight, ln1.bias'):
        load_pretrained(
            plain_family.build(out_indices=[2], final_norm=True), file)


def test_a_class_token_that_is_not_used(plain_family, tmp_path):
    file = save(tmp_path / 'stock.pth', classifier(plain_family).state_dict())
    load_pretrained(plain_family.build(with_cls_token=False), file)


def test_position_embeddings_are_resized_as_in_stock(plain_family, tmp_path):
    stock = classifier(plain_family, img_size=96)
    file = save(tmp_path / 'stock.pth', stock.state_dict())
    backbone = plain_family.build()
    load_pretrained(backbone, file)
    reference = plain_family.build_stock(final_norm=True)
    reference.load_state_dict(
        {
            k: v
            for k, v in stock.state_dict().items() if 'rope' not in k
        },
        strict=False)
    assert torch.equal(backbone.pos_embed, reference.pos_embed)
    assert not torch.equal(backbone.pos_embed[:, :1], torch.zeros(1))


def test_swin_of_another_window(families, tmp_path):
    swin = families['swin']
    stock = classifier(swin, window_size=7)
    file = save(tmp_path / 'stock.pth', stock.state_dict())
    backbone = load(swin, file, 'init_cfg', window_size=5)
    name = 'stages.1.blocks.1.attn.w_msa.relative_position_bias_table'
    torch.testing.assert_close(
        backbone.get_parameter(name),
        resize_relative_position_bias(stock.get_parameter(name).detach(), 81))
    index = 'stages.1.blocks.1.attn.w_msa.relative_position_index'
    assert backbone.get_buffer(index).shape == (25, 25)
    # what mmengine's own loading, of a whole model, makes of it
    other = swin.build(window_size=5)
    load_checkpoint(nn.ModuleDict(dict(backbone=other)), file)
    assert torch.equal(other.get_parameter(name), backbone.get_parameter(name))


def test_resized_tables_keep_smooth_functions():
    def table(window):
        axis = torch.arange(1 - window, window).double() / (window - 1)
        y, x = torch.meshgrid(axis, axis, indexing='ij')
        return torch.stack((y.flatten(), (y - 2 * x).flatten()), -1)

    # the known positions are spaced geometrically: mirrored, increasing,
    # with the ends at the ends
    for source, target in ((7, 12), (12, 16), (6, 11)):
        resized = resize_relative_position_bias(table(source), len(
            table(target)))
        resized = resized.reshape(2 * target - 1, 2 * target - 1, 2)
        torch.testing.assert_close(resized, -resized.flip(0, 1))
        assert (resized[1:, :, 0] > resized[:-1, :, 0]).all()
        torch.testing.assert_close(
            resized[0, 0, 0], -torch.ones(()).double(), rtol=0, atol=1e-4)
        torch.testing.assert_close(
            resized[..., 1],
            resized[..., 0] - 2 * resized[..., 0].T,
            rtol=0,
            atol=1e-9)
    with pytest.raises(ValueError, match='square windows'):
        resize_relative_position_bias(torch.zeros(12, 2), 49)


def test_early_swin_files(families, tmp_path):
    swin = families['swin']
    stock = classifier(swin)
    weights = stock.state_dict()
    weights = {k.replace('norm3.', 'norm.') if k.startswith('norm3.') else k: v
               for k, v in weights.items()}
    weights['stages.0.blocks.1.attn.attn_mask'] = torch.zeros(4, 16, 16)
    backbone = swin.build()
    load_pretrained(backbone, save(tmp_path / 'early.pth', weights))
    assert torch.equal(backbone.norm3.weight, stock.norm3.weight)


@pytest.mark.parametrize('tuning', ['iv', 'full', 'frozen'])
@pytest.mark.parametrize('infrared_init', ['copy', 'random'])
def test_a_trained_checkpoint_is_loaded_as_it_is(family, tmp_path, tuning,
                                                 infrared_init):
    """In each of the ways, and whatever input its last batch had."""
    options = dict(tuning=tuning, infrared_init=infrared_init)
    trained = fill(family.build(**options))
    trained(torch.randn(2, 4, 96, 33))
    model = nn.ModuleDict(dict(backbone=trained, decode_head=nn.Linear(2, 2)))
    file = str(tmp_path / 'iter_1.pth')
    torch.save(dict(state_dict=model.state_dict()), file)

    loaded = [load(family, file, way, **options) for way in WAYS]
    fresh = family.build(**options)
    load_checkpoint(
        nn.ModuleDict(dict(backbone=fresh, decode_head=nn.Linear(2, 2))),
        file,
        strict=True)
    plain = family.build(**options)
    plain.load_state_dict(trained.state_dict())
    for backbone in [*loaded, fresh, plain]:
        for name, parameter in trained.named_parameters():
            assert torch.equal(backbone.get_parameter(name), parameter), name
        for name, buffer in trained.named_buffers():
            if 'running' in name:
                assert torch.equal(backbone.get_buffer(name), buffer), name
        inputs = torch.randn(1, 4, 45, 61)
        assert torch.equal(
            backbone.eval()(inputs)[-1],
            trained.eval()(inputs)[-1])


def test_half_of_the_added_parameters_is_refused(family, tmp_path):
    weights = family.build().state_dict()
    del weights['prompt_alpha.up.weight']
    file = save(tmp_path / 'half.pth', weights)
    with pytest.raises(RuntimeError, match='missing: prompt_alpha.up.weight$'):
        load_pretrained(family.build(), file)
    file = save(tmp_path / 'iv.pth', family.build().state_dict())
    with pytest.raises(RuntimeError, match='unexpected: prompt_'):
        load_pretrained(family.build(tuning='full'), file)


def test_trained_infrared_weights_seed_prompts_of_another_run(
        family, tmp_path):
    trained = fill(family.build(tuning='full'))
    file = save(tmp_path / 'full.pth', trained.state_dict())
    backbone = load(family, file, 'init_cfg')
    assert torch.equal(backbone.infrared_embed.projection.weight,
                       trained.infrared_embed.projection.weight)


def test_initialisation_without_a_file(family):
    backbone = family.build(
        init_cfg=[dict(type='Normal', layer='Conv2d', std=3.)])
    backbone.init_weights()
    weight = backbone.patch_embed.projection.weight
    assert weight.std() > 1
    assert torch.equal(backbone.infrared_embed.projection.weight, weight)
    nn.init.zeros_(backbone.infrared_embed.projection.weight)
    backbone.init_weights()
    assert not backbone.infrared_embed.projection.weight.any()


def test_read_state_dict_of_both_wrappings(tmp_path):
    for content in (dict(model=dict(a=torch.ones(2))), dict(a=torch.ones(2))):
        torch.save(content, tmp_path / 'file.pth')
        assert list(read_state_dict(str(tmp_path / 'file.pth'))) == ['a']


def test_an_unknown_name_says_what_to_do(family):
    with pytest.raises((ValueError, FileNotFoundError), match='mmivtuning://'):
        load_pretrained(family.build(), 'mmivtuning://no/such')


class Segmentor(BaseModule):
    """A whole model, as stock ones are made."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone


def test_initialisation_in_a_whole_model(family, tmp_path):
    stock = classifier(family)
    file = save(tmp_path / 'stock.pth', stock.state_dict())
    init_cfg = dict(type='Pretrained', checkpoint=file)
    model = Segmentor(family.build(init_cfg=init_cfg))
    model.init_weights()
    for _, mine, expected in frozen_parameters(model.backbone, stock):
        assert torch.equal(mine, expected)
    weights = stock.state_dict()
    del weights['patch_embed.projection.bias']
    save(tmp_path / 'stock.pth', weights)
    model = Segmentor(family.build(init_cfg=init_cfg))
    with pytest.raises(RuntimeError, match='missing: patch_embed'):
        model.init_weights()
