"""What cannot be exported says why, before anything is traced."""

import pytest
import torch
from torch import nn

from mmivtuning.export import export_onnx
from mmivtuning.export.requirements import (
    check_model,
    pretraining_size,
    sizes_to_trace,
)


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Return a function that exports and matches the error."""

    def never(*_, **__):
        raise AssertionError('traced, though it cannot be exported')

    monkeypatch.setattr(torch.onnx, 'export', never)

    def check(model, match, error=ValueError, **options):
        with pytest.raises(error, match=match):
            export_onnx(model, tmp_path / 'model.onnx', **options)
        assert not list(tmp_path.iterdir())

    return check


def test_detection(refused):
    detector = type('FasterRCNN', (nn.Module, ),
                    dict(__module__='mmdet.models.detectors.faster_rcnn'))
    refused(detector(), 'FasterRCNN is a detector.*mmdeploy', size=(28, 42))


def test_other_models(refused):
    refused(nn.Linear(2, 2), 'EncoderDecoder, found Linear', size=(28, 42))


def test_sizes(build, refused):
    model = build()
    refused(model, 'a fixed size needs')
    for size in ((28, ), (28, 0), (28., 42), (True, 42)):
        refused(model, 'two positive integers', size=size)


def test_slide(build, refused):
    model = build(
        test_cfg=dict(mode='slide', crop_size=(28, 42), stride=(14, 14)))
    refused(model, 'export one window', size=(56, 42))
    refused(model, 'export one window', dynamic=True)
    check_model(model, (28, 42), False, True)


def test_padding_of_the_preprocessor(build, refused):
    model = build(preprocessor=dict(test_cfg=dict(size_divisor=32)))
    refused(model, 'test_cfg=.*pads', size=(28, 42))
    check_model(model, (28, 42), False, with_preprocessing=False)


def test_a_preprocessor_without_pairs(build, refused):
    from mmseg.models import SegDataPreProcessor
    model = build()
    model.data_preprocessor = SegDataPreProcessor()
    refused(model, 'needs a data preprocessor of pairs', size=(28, 42))


def test_small_maps(build, refused):
    """The same for one size, but no file of any size can decide."""
    model = build('swin', pad_small_map=False)
    refused(model, 'backbone.*pad_small_map=False', dynamic=True)
    check_model(model, (64, 64), False, True)


def test_a_backbone_that_is_not_ours(build, refused):
    model = build()
    model.backbone = nn.Conv2d(4, 4, 1)
    refused(model, 'Conv2d is no backbone of mmivtuning', dynamic=True)


def test_types(build, refused):
    refused(build().half(), 'is torch.float16 on cpu', size=(28, 42))


def test_outputs(build, refused):
    refused(build(), 'one logit.*has 5', size=(28, 42), output='saliency')
    refused(build(), "one of .* found 'boxes'", size=(28, 42), output='boxes')


def test_opset(build, refused):
    refused(build(), 'opset must be 17 or more', size=(28, 42), opset=11)


def test_places(build, tmp_path):
    with pytest.raises(FileNotFoundError, match='is no folder'):
        export_onnx(build(), tmp_path / 'absent' / 'model.onnx', (28, 42))
    with pytest.raises(ValueError, match='is a folder'):
        export_onnx(build(), tmp_path, (28, 42))


@pytest.mark.parametrize('backbone', ['vit', 'eva02', 'swin'])
def test_traced_sizes(build, backbone):
    """Every stage is padded, and no side is that of pretraining."""
    model = build(backbone)
    sizes = sizes_to_trace(model)
    sides = [side for size in sizes for side in size]
    assert len(set(sides)) == 4
    stride = model.backbone.patch_embed.projection.stride[0]
    for side in sides:
        grid = -(-side // stride)
        assert grid * stride not in pretraining_size(model)
        for _ in range(4 if backbone == 'swin' else 0):
            assert grid % 4
            grid = -(-grid // 2)
