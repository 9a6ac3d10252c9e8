"""Every tensor of a published file goes where it belongs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mmivtuning.models import (
    IVSwinTransformer,
    IVVisionTransformer,
    IVViTEVA02,
    load_pretrained,
)
from mmivtuning.models.converters.key_schemes import scheme_of, to_mmpretrain

ROOT = Path(__file__).parents[2]
DIMS = dict(
    embed_dims=8, num_layers=2, num_heads=2, feedforward_channels=16)
COMPUTED = ('relative_position_index', 'freqs_cos', 'freqs_sin')


def weights_of(backbone):
    """What a file has of a backbone: every value different."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(value.shape, generator=generator)
        for name, value in backbone.state_dict().items()
        if name in backbone.stock_keys and not name.endswith(COMPUTED)
        and not re.match('norm[012]', name)
    }


def vit(scale=0.):
    return IVVisionTransformer(
        arch=DIMS, img_size=32, layer_scale_init_value=scale)


def swin():
    return IVSwinTransformer(
        arch=dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2]),
        img_size=32,
        window_size=4)


def eva():
    return IVViTEVA02(arch=DIMS, img_size=32, sub_ln=True)


def rename(weights, *rules):
    """Rename keys the other way round, rule by rule."""
    for pattern, target in rules:
        weights = {
            re.sub(pattern, target, key): value
            for key, value in weights.items()
        }
    return weights


def timm(weights):
    return rename(weights, ('projection', 'proj'), (r'^layers', 'blocks'),
                  (r'^ln1', 'norm'), (r'\.ln', '.norm'),
                  (r'ffn\.layers\.0\.0', 'mlp.fc1'),
                  (r'ffn\.layers\.1', 'mlp.fc2'),
                  (r'attn\.gamma1\.weight', 'ls1.gamma'),
                  (r'ffn\.gamma2\.weight', 'ls2.gamma'))


def huggingface(weights):
    weights = rename(
        weights, (r'^(cls_token)', r'embeddings.\1'),
        (r'^pos_embed', 'embeddings.position_embeddings'),
        (r'^patch_embed', 'embeddings.patch_embeddings'),
        (r'^layers', 'encoder.layer'), (r'^ln1', 'layernorm'),
        (r'\.ln', '.norm'), (r'ffn\.layers\.0\.0', 'mlp.fc1'),
        (r'ffn\.layers\.1', 'mlp.fc2'),
        (r'attn\.gamma1\.weight', 'layer_scale1.lambda1'),
        (r'ffn\.gamma2\.weight', 'layer_scale2.lambda1'),
        (r'attn\.proj', 'attention.output.dense'))
    for key in [key for key in weights if '.attn.qkv.' in key]:
        for name, part in zip(('query', 'key', 'value'),
                              weights[key].chunk(3)):
            weights[key.replace('attn.qkv',
                                f'attention.attention.{name}')] = part
        del weights[key]
    return {f'dinov2.{key}': value for key, value in weights.items()}


def microsoft(weights, later=False):
    weights = rename(weights, (r'^stages', 'layers'), ('projection', 'proj'),
                     (r'w_msa\.', ''), (r'ffn\.layers\.0\.0', 'mlp.fc1'),
                     (r'ffn\.layers\.1', 'mlp.fc2'), (r'^norm3', 'norm'))
    if later:
        weights = {
            re.sub(r'layers\.(\d)\.downsample',
                   lambda m: f'layers.{int(m[1]) + 1}.downsample', key): value
            for key, value in weights.items()
        }
    for key, value in weights.items():
        if 'downsample' in key:
            # channel c of the pixel in row i and column j
            channels = value.shape[-1] // 4
            columns = [
                c * 4 + i * 2 + j for j in (0, 1) for i in (0, 1)
                for c in range(channels)
            ]
            weights[key] = value[..., columns]
    weights['layers.0.blocks.0.attn.relative_position_index'] = torch.zeros(1)
    return weights


def baai(weights, split=True):
    weights = rename(weights, ('projection', 'proj'), (r'^layers', 'blocks'),
                     (r'^ln1', 'norm'), (r'mlp\.norm', 'mlp.ffn_ln'))
    for key in list(weights):
        if key.endswith('attn.qkv.bias'):
            query, key_bias, value = weights.pop(key).chunk(3)
            key_bias.zero_()
            weights[key[:-8] + 'q_bias'] = query
            weights[key[:-8] + 'v_bias'] = value
        elif split and key.endswith('attn.qkv.weight'):
            for name, part in zip('qkv', weights.pop(key).chunk(3)):
                weights[f'{key[:-10]}{name}_proj.weight'] = part
        elif split and '.w12.' in key:
            for name, part in zip('12', weights.pop(key).chunk(2)):
                weights[key.replace('w12', f'w{name}')] = part
    weights['blocks.0.attn.rope.freqs_cos'] = torch.zeros(2)
    weights['mask_token'] = weights['lm_head.weight'] = torch.zeros(2)
    return weights


CASES = dict(
    mae=('timm', vit, timm),
    dinov2_meta=('timm', lambda: vit(0.1), timm),
    dinov2_huggingface=('huggingface', lambda: vit(0.1), huggingface),
    swin_microsoft=('microsoft', swin, microsoft),
    swin_timm=('microsoft', swin, lambda w: microsoft(w, later=True)),
    eva02_large=('baai', eva, baai),
    eva02_small=('baai', eva, lambda w: baai(w, split=False)),
    vit_mmpretrain=('mmpretrain', vit, dict),
    swin_mmdet=('mmpretrain', swin, dict),
    eva02_mmpretrain=('mmpretrain', eva, dict))


@pytest.mark.parametrize('case', CASES)
def test_every_tensor_arrives(case, tmp_path):
    scheme, build, publish = CASES[case]
    backbone = build()
    expected = weights_of(backbone)
    published = publish({k: v.clone() for k, v in expected.items()})
    if scheme == 'baai':
        for key, value in expected.items():
            if key.endswith('qkv.bias'):  # keys have no bias there
                value.chunk(3)[1].zero_()
    assert scheme_of(published) == scheme
    renamed = to_mmpretrain(published)
    assert set(renamed) == set(expected)
    file = tmp_path / 'renamed.safetensors'
    save_file({k: v.contiguous() for k, v in renamed.items()}, file)
    load_pretrained(backbone, str(file))
    loaded = backbone.state_dict()
    for name, value in expected.items():
        assert torch.equal(loaded[name], value), name


def test_what_the_stock_backbones_lack_is_refused():
    weights = timm(weights_of(vit()))
    with pytest.raises(ValueError, match='reg_token: the stock'):
        to_mmpretrain({**weights, 'reg_token': torch.zeros(1)})
    with pytest.raises(ValueError, match='unknown keys: blocks.0.gate'):
        to_mmpretrain({**weights, 'blocks.0.gate': torch.zeros(1)})
    with pytest.raises(ValueError, match='unknown scheme, such as conv1'):
        to_mmpretrain({'conv1.weight': torch.zeros(1)})


def test_the_command_line(tmp_path):
    weights = timm(weights_of(vit()))
    # as in the files of MAE
    torch.save(dict(model=weights, epoch=3), tmp_path / 'mae.pth')
    command = [
        sys.executable, ROOT / 'tools' / 'convert_backbone.py', 'keys',
        tmp_path / 'mae.pth', '--out'
    ]
    done = subprocess.run([*command, tmp_path / 'out.pth'],
                          capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    load_pretrained(vit(), str(tmp_path / 'out.pth'))
    assert sorted(p.name for p in tmp_path.iterdir()) == ['mae.pth', 'out.pth']
