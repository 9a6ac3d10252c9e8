"""Names of weights in published files, turned into mmpretrain's.

Files of mmpretrain, mmdet and mmseg need nothing: they are loaded as they
are. Others are told apart by their keys:

- ``timm``: ViT, DeiT, AugReg and MAE in timm's names, and Meta's DINOv2;
- ``huggingface``: DINOv2 of transformers;
- ``microsoft``: official Swin, and timm's;
- ``baai``: official EVA-02, classified or masked-image pretrained.

Weights that are heads, decoders or computed are dropped; any other unknown
key is an error. Register tokens and distillation tokens are refused: the
stock backbones have none.
"""

import re
from typing import Callable, Dict, List, Optional, Tuple

import torch
from torch import Tensor

Weights = Dict[str, Tensor]
Rules = List[Tuple[str, Optional[str]]]

# (pattern of the whole key, its replacement or None to drop it)
_TIMM: Rules = [
    (r'(cls_token|pos_embed)', r'\1'),
    (r'patch_embed\.proj\.(.+)', r'patch_embed.projection.\1'),
    (r'blocks\.(\d+)\.norm([12])\.(.+)', r'layers.\1.ln\2.\3'),
    (r'blocks\.(\d+)\.attn\.(qkv|proj)\.(.+)', r'layers.\1.attn.\2.\3'),
    (r'blocks\.(\d+)\.mlp\.fc1\.(.+)', r'layers.\1.ffn.layers.0.0.\2'),
    (r'blocks\.(\d+)\.mlp\.fc2\.(.+)', r'layers.\1.ffn.layers.1.\2'),
    (r'blocks\.(\d+)\.mlp\.(w12|w3)\.(.+)', r'layers.\1.ffn.\2.\3'),
    (r'blocks\.(\d+)\.ls1\.gamma', r'layers.\1.attn.gamma1.weight'),
    (r'blocks\.(\d+)\.ls2\.gamma', r'layers.\1.ffn.gamma2.weight'),
    (r'norm\.(.+)', r'ln1.\1'),
    (r'fc_norm\.(.+)', r'ln2.\1'),
    (r'(head|decoder_\w+|pre_logits)\..+|mask_token|decoder_pos_embed', None),
]
_HUGGINGFACE: Rules = [
    (r'embeddings\.cls_token', 'cls_token'),
    (r'embeddings\.position_embeddings', 'pos_embed'),
    (r'embeddings\.patch_embeddings\.projection\.(.+)',
     r'patch_embed.projection.\1'),
    (r'encoder\.layer\.(\d+)\.norm([12])\.(.+)', r'layers.\1.ln\2.\3'),
    (r'encoder\.layer\.(\d+)\.attention\.qkv\.(.+)',
     r'layers.\1.attn.qkv.\2'),
    (r'encoder\.layer\.(\d+)\.attention\.output\.dense\.(.+)',
     r'layers.\1.attn.proj.\2'),
    (r'encoder\.layer\.(\d+)\.mlp\.fc1\.(.+)',
     r'layers.\1.ffn.layers.0.0.\2'),
    (r'encoder\.layer\.(\d+)\.mlp\.fc2\.(.+)', r'layers.\1.ffn.layers.1.\2'),
    (r'encoder\.layer\.(\d+)\.mlp\.weights_in\.(.+)',
     r'layers.\1.ffn.w12.\2'),
    (r'encoder\.layer\.(\d+)\.mlp\.weights_out\.(.+)',
     r'layers.\1.ffn.w3.\2'),
    (r'encoder\.layer\.(\d+)\.layer_scale1\.lambda1',
     r'layers.\1.attn.gamma1.weight'),
    (r'encoder\.layer\.(\d+)\.layer_scale2\.lambda1',
     r'layers.\1.ffn.gamma2.weight'),
    (r'layernorm\.(.+)', r'ln1.\1'),
    (r'embeddings\.mask_token|classifier\..+', None),
]
_MICROSOFT: Rules = [
    (r'absolute_pos_embed', 'absolute_pos_embed'),
    (r'patch_embed\.proj\.(.+)', r'patch_embed.projection.\1'),
    (r'patch_embed\.norm\.(.+)', r'patch_embed.norm.\1'),
    (r'.*\.(attn_mask|relative_position_index)|head\..+', None),
    (r'layers\.(\d+)\.blocks\.(\d+)\.norm([12])\.(.+)',
     r'stages.\1.blocks.\2.norm\3.\4'),
    (r'layers\.(\d+)\.blocks\.(\d+)\.attn\.(.+)',
     r'stages.\1.blocks.\2.attn.w_msa.\3'),
    (r'layers\.(\d+)\.blocks\.(\d+)\.mlp\.fc1\.(.+)',
     r'stages.\1.blocks.\2.ffn.layers.0.0.\3'),
    (r'layers\.(\d+)\.blocks\.(\d+)\.mlp\.fc2\.(.+)',
     r'stages.\1.blocks.\2.ffn.layers.1.\3'),
    (r'layers\.(\d+)\.downsample\.(.+)', r'stages.\1.downsample.\2'),
    (r'norm\.(.+)', r'norm{last}.\1'),
]
_BAAI: Rules = [
    (r'(cls_token|pos_embed)', r'\1'),
    (r'patch_embed\.proj\.(.+)', r'patch_embed.projection.\1'),
    (r'blocks\.(\d+)\.norm([12])\.(.+)', r'layers.\1.norm\2.\3'),
    (r'blocks\.(\d+)\.attn\.(qkv|proj)\.(.+)', r'layers.\1.attn.\2.\3'),
    (r'blocks\.(\d+)\.mlp\.(ffn_ln|norm)\.(.+)', r'layers.\1.mlp.norm.\3'),
    (r'blocks\.(\d+)\.mlp\.(w12|w3)\.(.+)', r'layers.\1.mlp.\2.\3'),
    (r'norm\.(.+)', r'ln1.\1'),
    (r'fc_norm\.(.+)', r'ln2.\1'),
    (r'(head|lm_head)\..+|mask_token|(.*\.)?rope\..+', None),
]


def _rename(weights: Weights, rules: Rules) -> Weights:
    """Rename by the first rule that fits a whole key."""
    renamed, unknown = {}, []
    for key, value in weights.items():
        for pattern, target in rules:
            match = re.fullmatch(pattern, key)
            if match:
                if target is not None:
                    renamed[match.expand(target)] = value
                break
        else:
            unknown.append(key)
    if unknown:
        raise ValueError(f'unknown keys: {", ".join(unknown)}')
    return renamed


def _joined(weights: Weights, pattern: str, parts: Tuple[str, ...],
            target: str) -> Weights:
    """Concatenate weights of parts, whose name is the pattern's last group.

    Args:
        weights (dict): Weights.
        pattern (str): Of the whole key, with a group for each part's name
            called ``part``, and for what comes before and after.
        parts (tuple[str]): Names of the parts, in order.
        target (str): The name of the whole.
    """
    groups: Dict[str, Weights] = {}
    rest = {}
    for key, value in weights.items():
        match = re.fullmatch(pattern, key)
        if match is None:
            rest[key] = value
        else:
            name = f'{match["before"]}{target}{match["after"]}'
            groups.setdefault(name, {})[match['part']] = value
    for name, found in groups.items():
        if set(found) != set(parts):
            raise ValueError(f'{name} needs {parts}, found {sorted(found)}')
        rest[name] = torch.cat([found[part] for part in parts])
    return rest


def _from_timm(weights: Weights) -> Weights:
    return _rename(weights, _TIMM)


def _from_huggingface(weights: Weights) -> Weights:
    weights = {
        key[len('dinov2.'):] if key.startswith('dinov2.') else key: value
        for key, value in weights.items()
    }
    weights = _joined(
        weights,
        r'(?P<before>.*attention\.)attention\.(?P<part>query|key|value)'
        r'(?P<after>\..+)', ('query', 'key', 'value'), 'qkv')
    return _rename(weights, _HUGGINGFACE)


def _from_microsoft(weights: Weights) -> Weights:
    stages = 1 + max(
        int(key.split('.')[1]) for key in weights if key.startswith('layers.'))
    # timm gives the merging to the stage that follows it
    later = any(
        key.startswith(f'layers.{stages - 1}.downsample.') for key in weights)
    if later:
        weights = {
            re.sub(r'^layers\.(\d+)(?=\.downsample\.)',
                   lambda m: f'layers.{int(m[1]) - 1}', key): value
            for key, value in weights.items()
        }
    rules = [(pattern, target and target.format(last=stages - 1)
              if target and '{last}' in target else target)
             for pattern, target in _MICROSOFT]
    renamed = _rename(weights, rules)
    for key, value in renamed.items():
        if '.downsample.' in key:
            # there by pixels (0, 0), (1, 0), (0, 1), (1, 1), then channels;
            # here torch's unfold: by channels, then pixels row by row
            pixels = value.unflatten(-1, (4, -1))[..., [0, 2, 1, 3], :]
            renamed[key] = pixels.transpose(-1, -2).flatten(-2).contiguous()
    return renamed


def _from_baai(weights: Weights) -> Weights:
    weights = _joined(
        weights, r'(?P<before>.*\.attn\.)(?P<part>[qkv])_proj'
        r'(?P<after>\.weight)', ('q', 'k', 'v'), 'qkv')
    for key in [k for k in weights if k.endswith('.attn.q_bias')]:
        # there is no bias of keys
        weights[key[:-6] + 'k_bias'] = torch.zeros_like(weights[key])
    weights = _joined(
        weights, r'(?P<before>.*\.attn\.)(?P<part>[qkv])_(?P<after>bias)',
        ('q', 'k', 'v'), 'qkv.')
    weights = _joined(
        weights, r'(?P<before>.*\.mlp\.)w(?P<part>[12])(?P<after>\..+)',
        ('1', '2'), 'w12')
    return _rename(weights, _BAAI)


_SCHEMES: Dict[str, Tuple[str, Callable[[Weights], Weights]]] = dict(
    mmpretrain=(r'stages\.0\.blocks\..+|layers\.0\.(ln1|norm1)\..+', dict),
    huggingface=(r'(dinov2\.)?encoder\.layer\.0\.attention\.attention\..+',
                 _from_huggingface),
    microsoft=(r'layers\.0\.blocks\.0\.attn\..+', _from_microsoft),
    baai=(r'blocks\.0\.attn\.q_(proj\.weight|bias)', _from_baai),
    timm=(r'blocks\.0\.attn\.qkv\.weight', _from_timm))


def scheme_of(weights: Weights) -> str:
    """Tell in which scheme the keys of a file are.

    Args:
        weights (dict[str, Tensor]): The weights.

    Returns:
        str: 'mmpretrain', 'huggingface', 'microsoft', 'baai' or 'timm'.

    Raises:
        ValueError: If it is none of these.
    """
    for name, (pattern, _) in _SCHEMES.items():
        if any(re.fullmatch(pattern, key) for key in weights):
            return name
    raise ValueError(f'keys of an unknown scheme, such as '
                     f'{", ".join(sorted(weights)[:5])}: expected those of '
                     f'{", ".join(_SCHEMES)}')


def to_mmpretrain(weights: Weights) -> Weights:
    """Rename the weights of a backbone to mmpretrain's names.

    Args:
        weights (dict[str, Tensor]): Weights as published.

    Returns:
        dict[str, Tensor]: Weights that the backbones load.

    Raises:
        ValueError: If the scheme or a key is unknown, or the stock backbones
            have no such part.
    """
    tokens = sorted(key for key in weights if re.search(
        r'(^|\.)(reg_token|register_tokens|dist_token)$', key))
    if tokens:
        raise ValueError(f'{", ".join(tokens)}: the stock backbones have '
                         'neither register nor distillation tokens')
    return _SCHEMES[scheme_of(weights)][1](weights)
