"""The progressive decoder: counts, shapes, what is trained."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.nn import functional as F

from mmivtuning.seg.heads import ProgressiveHead
from mmivtuning.seg.heads.progressive_head import ConvNeXtBlock
from mmivtuning.seg.losses import SaliencyLoss

WIDTHS = (8, 12, 16, 20)


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmseg')


def small_head(**kwargs) -> ProgressiveHead:
    kwargs = dict(
        dict(in_channels=WIDTHS, stage_channels=(16, 12, 8, 6), channels=4),
        **kwargs)
    return ProgressiveHead(**kwargs)


def pyramid(height: int, width: int, batch: int = 2):
    """Maps of strides 4, 8, 16, 32, as our backbones give them."""
    return [
        torch.randn(batch, channels, -(-height // stride), -(-width // stride))
        for channels, stride in zip(WIDTHS, (4, 8, 16, 32))
    ]


def samples(height: int, width: int, batch: int = 2):
    truth = torch.randint(0, 2, (batch, 1, height, width))
    return [SegDataSample(gt_sem_seg=PixelData(data=one)) for one in truth]


@pytest.mark.parametrize(('in_channels', 'expected'), [
    ((1024, 1024, 1024, 1024), 18_398_932),
    ((192, 384, 768, 1536), 19_228_372),
])
def test_published_number_of_parameters(in_channels, expected):
    head = ProgressiveHead(in_channels)
    assert sum(p.numel() for p in head.parameters()) == expected
    widths = [stage.conv.in_channels for stage in head.stages]
    assert widths == ([1024, 1792, 1408, 1216]
                      if in_channels[0] == 1024 else [1536, 1536, 768, 384])


def test_published_number_of_the_whole_model(root):
    """The log of the paper's EVA02-L model with this decoder."""
    cfg = Config.fromfile(
        root / 'configs/salient_object/vt5000' /
        'eva02-l_cpnet_iv_200e_vt5000-384x384.py')
    del cfg.model.backbone['init_cfg']
    # the size of the paper's table of positions
    cfg.model.backbone.img_size = 384
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    # mmpretrain keeps a bias of the keys, zero and frozen, in 24 layers
    count = sum(p.numel() for p in model.parameters()) - 24 * 1024
    assert count == 331_077_336
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert count == 18_398_932 + 8_899_652


@pytest.mark.parametrize('size', [(64, 96), (96, 64), (60, 76), (37, 53)])
def test_shapes(size):
    head = small_head().eval()
    maps = pyramid(*size)
    outputs = head.forward_all(maps)
    assert torch.equal(head(maps), outputs[0])
    height, width = maps[0].shape[2:]
    assert outputs[0].shape == (2, 1, 4 * height, 4 * width)
    sizes = [output.shape[2:] for output in outputs[1:]]
    assert sizes == [one.shape[2:] for one in maps[:3]]
    losses = head.loss(maps, samples(*size), {})
    assert list(losses) == [
        'loss_saliency', 'loss_saliency_side1', 'loss_saliency_side2',
        'loss_saliency_side3'
    ]
    metas = [dict(img_shape=size, pad_shape=size)] * 2
    assert head.predict(maps, metas, {}).shape == (2, 1, *size)


def test_losses_are_those_of_each_output():
    head = small_head().eval()
    maps = pyramid(48, 80)
    truth = samples(48, 80)
    losses = head.loss(maps, truth, {})
    labels = torch.stack([sample.gt_sem_seg.data[0] for sample in truth])
    for loss, logits in zip(losses.values(), head.forward_all(maps)):
        logits = F.interpolate(
            logits, (48, 80), mode='bilinear', align_corners=True)
        assert torch.isclose(loss, SaliencyLoss()(logits, labels))


def test_every_parameter_is_trained():
    head = small_head()
    for block in head.refinements[1:]:
        # the scale of the block starts next to zero
        block.gamma.data.fill_(1.)
    sum(head.loss(pyramid(64, 64), samples(64, 64), {}).values()).backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_a_stage_by_the_facts():
    head = small_head().eval()
    maps = pyramid(64, 64)
    first = head.stages[0]
    x = F.conv2d(maps[3], first.conv.weight, padding=1)
    x = F.batch_norm(x, first.bn.running_mean, first.bn.running_var,
                     first.bn.weight, first.bn.bias)
    x = F.interpolate(
        F.gelu(x), scale_factor=2, mode='bilinear', align_corners=True)
    side = F.conv2d(x, head.sides[2].weight, head.sides[2].bias, padding=1)
    assert torch.allclose(head.forward_all(maps)[3], side, atol=1e-5)


def test_convnext_block():
    block = ConvNeXtBlock(6)
    x = torch.randn(2, 6, 9, 11)
    assert torch.allclose(block(x), x, atol=1e-4)
    block.gamma.data.fill_(2.)
    branch = F.conv2d(
        x, block.depthwise.weight, block.depthwise.bias, padding=3, groups=6)
    branch = branch.movedim(1, -1)
    mean = branch.mean(-1, keepdim=True)
    variance = branch.var(-1, unbiased=False, keepdim=True)
    branch = (branch - mean) / (variance + 1e-6).sqrt()
    branch = F.gelu(branch @ block.widen.weight.T + block.widen.bias)
    branch = branch @ block.narrow.weight.T + block.narrow.bias
    expected = x + 2 * branch.movedim(-1, 1)
    assert torch.allclose(block(x), expected, atol=1e-5)


def test_a_prediction_computes_no_side_outputs():
    head = small_head().eval()
    for side in head.sides:
        side.register_forward_hook(
            lambda *_: pytest.fail('a side output was computed'))
    head(pyramid(32, 32))


def test_head_builds_from_a_config_and_reloads():
    cfg = dict(
        type='mmivtuning.ProgressiveHead',
        in_channels=WIDTHS,
        stage_channels=(16, 12, 8, 6),
        channels=4)
    head = MODELS.build(copy.deepcopy(cfg)).eval()
    other = MODELS.build(copy.deepcopy(cfg)).eval()
    other.load_state_dict(head.state_dict())
    maps = pyramid(32, 40)
    assert torch.equal(head(maps), other(maps))
    assert head.threshold == .5


@pytest.mark.parametrize(('kwargs', 'match'), [
    (dict(stage_channels=(16, 8)), '4, 4 and 2'),
    (dict(out_channels=2), 'one logit.*2'),
])
def test_errors(kwargs, match):
    with pytest.raises(ValueError, match=match):
        small_head(**kwargs)
