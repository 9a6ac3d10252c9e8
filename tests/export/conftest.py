"""Segmentation models of a size that exports in seconds."""

from typing import Any, Callable, Dict

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

MEAN = [123.675, 116.28, 103.53, 108.375]
STD = [58.395, 57.12, 57.375, 51.0]
PLAIN = dict(arch=dict(embed_dims=16,
                       num_layers=2,
                       num_heads=2,
                       feedforward_channels=32),
             final_norm=False,
             out_indices=(0, 0, 1, 1),
             pyramid_strides=(4, 8, 16, 32))
BACKBONES = dict(vit=dict(PLAIN,
                          type='mmivtuning.IVVisionTransformer',
                          img_size=56,
                          patch_size=14,
                          layer_scale_init_value=0.5),
                 eva02=dict(PLAIN,
                            type='mmivtuning.IVViTEVA02',
                            img_size=64,
                            patch_size=16,
                            sub_ln=True,
                            rope_grid=4),
                 swin=dict(type='mmivtuning.IVSwinTransformer',
                           arch=dict(embed_dims=8,
                                     depths=[2, 1, 1, 1],
                                     num_heads=[1, 2, 2, 2]),
                           img_size=64,
                           window_size=4,
                           out_indices=(0, 1, 2, 3)))
CHANNELS = dict(vit=[16] * 4, eva02=[16] * 4, swin=[8, 16, 32, 64])
HEADS = dict(segformer=dict(type='SegformerHead', channels=8, num_classes=5),
             upernet=dict(type='UPerHead',
                          channels=8,
                          num_classes=5,
                          pool_scales=(1, 2, 3, 6)),
             progressive=dict(type='mmivtuning.ProgressiveHead',
                              stage_channels=[12, 8, 8, 8],
                              channels=4,
                              threshold=0.4))


def randomise(model: nn.Module) -> None:
    """Make every parameter and every statistic count."""
    generator = torch.Generator().manual_seed(7)

    def noise(value: torch.Tensor) -> torch.Tensor:
        return torch.randn(value.shape, generator=generator)

    with torch.no_grad():
        for parameter in model.parameters():
            scale = 0.2 if parameter.dim() == 1 else 0.1
            parameter.add_(noise(parameter), alpha=scale)
        for name, buffer in model.named_buffers():
            if name.endswith('running_mean'):
                buffer.copy_(0.5 * noise(buffer))
            elif name.endswith('running_var'):
                buffer.copy_(0.5 + noise(buffer).abs())


@pytest.fixture
def build() -> Callable[..., nn.Module]:
    """Return a function that builds a model of names of its parts."""

    def build_model(backbone: str = 'vit',
                    head: str = 'segformer',
                    test_cfg: Any = None,
                    preprocessor: Any = None,
                    dual: bool = False,
                    **options: Any) -> nn.Module:
        init_default_scope('mmseg')
        config: Dict[str, Any] = dict(BACKBONES[backbone], **options)
        if dual:
            config = dict(type='mmivtuning.DualBackbone', backbone=config)
        decode_head = dict(HEADS[head],
                           in_channels=CHANNELS[backbone],
                           in_index=[0, 1, 2, 3],
                           norm_cfg=dict(type='BN'))
        model = MODELS.build(
            dict(type='EncoderDecoder',
                 data_preprocessor=dict(
                     type='mmivtuning.PairedSegDataPreprocessor',
                     mean=MEAN,
                     std=STD,
                     bgr_to_rgb=True,
                     **(preprocessor or {})),
                 backbone=config,
                 decode_head=decode_head,
                 test_cfg=ConfigDict(test_cfg or dict(mode='whole'))))
        randomise(model)
        return model

    return build_model
