"""The backbone families at a size that runs in milliseconds."""

from typing import Any, Dict, NamedTuple, Type

import mmpretrain.models as mmpretrain
import pytest
from torch import nn

from mmivtuning.models import (
    IVSwinTransformer,
    IVVisionTransformer,
    IVViTEVA02,
)

PLAIN = dict(
    arch=dict(
        embed_dims=32, num_layers=3, num_heads=2, feedforward_channels=64),
    img_size=64)


class Family(NamedTuple):
    """One of our backbones, the stock one and what both are built with."""
    ours: Type[nn.Module]
    stock: Type[nn.Module]
    arguments: Dict[str, Any]
    stock_only: Dict[str, Any]
    strides: tuple

    def build(self, **kwargs: Any) -> nn.Module:
        """Build our backbone."""
        return self.ours(**{**self.arguments, **kwargs})

    def build_stock(self, **kwargs: Any) -> nn.Module:
        """Build the stock backbone."""
        return self.stock(**{**self.arguments, **self.stock_only, **kwargs})

    @property
    def is_swin(self) -> bool:
        """Whether maps come in stages."""
        return self.ours is IVSwinTransformer


FAMILIES = dict(
    swin=Family(
        IVSwinTransformer, mmpretrain.SwinTransformer,
        dict(
            arch=dict(
                embed_dims=16, depths=[2, 2, 2, 2], num_heads=[2, 2, 4, 4]),
            img_size=64,
            window_size=4,
            out_indices=(0, 1, 2, 3)), dict(pad_small_map=True),
        (4, 8, 16, 32)),
    vit14=Family(
        IVVisionTransformer, mmpretrain.VisionTransformer,
        dict(
            PLAIN,
            patch_size=14,
            out_indices=[0, 2],
            layer_scale_init_value=0.5), dict(out_type='featmap'), (14, 14)),
    vit16=Family(
        IVVisionTransformer, mmpretrain.VisionTransformer,
        dict(PLAIN, patch_size=16, out_indices=[1, 2], final_norm=False),
        dict(out_type='featmap'), (16, 16)),
    eva02=Family(
        IVViTEVA02, mmpretrain.ViTEVA02,
        dict(PLAIN, patch_size=16, out_indices=[0, 2], sub_ln=True),
        dict(out_type='featmap'), (16, 16)))


@pytest.fixture(params=FAMILIES)
def family(request) -> Family:
    """Each of the families."""
    return FAMILIES[request.param]


@pytest.fixture(params=['vit14', 'vit16', 'eva02'])
def plain_family(request) -> Family:
    """Each of the families without stages."""
    return FAMILIES[request.param]


@pytest.fixture
def families() -> Dict[str, Family]:
    """All families by name."""
    return FAMILIES
