"""A bright square is found where it is, in pixels of the original image.

Images are resized to a quarter by the stock transforms; stock mmseg and mmdet
map what they predict back. The backbones have random weights and layers that
pass tokens through, so that a map shows where it looks.
"""

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from torch.optim import Adam

from mmivtuning.registry import MODELS, TRANSFORMS

SIZES = [(480, 640), (512, 640), (333, 517)]
FAMILIES = ['vit-14', 'vit-16', 'swin']
SIDE = 96
STATISTICS = dict(
    mean=[123.675, 116.28, 103.53, 108.375],
    std=[58.395, 57.12, 57.375, 51.0],
    bgr_to_rgb=True)
# Half of a cell of the finest level, in pixels of the original image.
TOLERANCE = 8
STEPS = 100


def backbone_of(family):
    """Return the config of a small backbone with strides 4 to 32."""
    if family == 'swin':
        return dict(
            type='mmivtuning.IVSwinTransformer',
            arch=dict(
                embed_dims=16, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 4]),
            window_size=4,
            drop_path_rate=0.,
            out_indices=(0, 1, 2, 3),
            tuning='frozen'), [16, 32, 64, 128]
    patch_size = int(family.split('-')[1])
    return dict(
        type='mmivtuning.IVVisionTransformer',
        arch=dict(
            embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64),
        img_size=16 * patch_size,
        patch_size=patch_size,
        out_indices=(0, 1, 1, 1),
        pyramid_strides=(4, 8, 16, 32),
            tuning='frozen'), [32] * 4


def image_of(size):
    """Return a dim noisy pair with a bright square, and its box."""
    generator = np.random.default_rng(0)
    image = generator.integers(0, 60, (*size, 4), dtype=np.uint8)
    top, left = round(size[0] * 0.55), round(size[1] * 0.2)
    image[top:top + SIDE, left:left + SIDE] += 170
    return image, np.array(
        [[left, top, left + SIDE, top + SIDE]], dtype=np.float32)


def silence_branches(model):
    """Make the layers of the backbone pass tokens through."""
    for name, parameter in model.backbone.named_parameters():
        if {'attn', 'ffn'} & set(name.split('.')):
            parameter.data.zero_()


def learn(model, modules, results):
    """Train modules on one image; return what is then predicted for it."""
    model.init_weights()
    silence_branches(model)
    data = dict(
        inputs=[results['inputs']], data_samples=[results['data_samples']])
    optimiser = Adam(
        [value for module in modules for value in module.parameters()], 5e-3)
    model.train()
    for _ in range(STEPS):
        losses = model(**model.data_preprocessor(data, True), mode='loss')
        optimiser.zero_grad()
        model.parse_losses(losses)[0].backward()
        optimiser.step()
    model.eval()
    with torch.no_grad():
        return model.test_step(data)[0]


def quarter_of(size):
    """Return the size that the images are resized into, width first."""
    return size[1] // 4, size[0] // 4


@pytest.mark.parametrize('size', SIZES, ids=str)
@pytest.mark.parametrize('family', FAMILIES)
def test_predicted_mask_lies_on_the_square(family, size):
    DefaultScope.get_instance(
        f'geometry-seg-{family}-{size}', scope_name='mmseg')
    backbone, channels = backbone_of(family)
    model = MODELS.build(
        ConfigDict(
            type='mmseg.EncoderDecoder',
            data_preprocessor=dict(
                type='mmivtuning.PairedSegDataPreprocessor',
                size_divisor=1,
                **STATISTICS),
            backbone=backbone,
            decode_head=dict(
                type='SegformerHead',
                in_channels=channels,
                in_index=[0, 1, 2, 3],
                channels=16,
                dropout_ratio=0.,
                num_classes=2,
                norm_cfg=dict(type='BN'),
                align_corners=False,
                loss_decode=dict(
                    type='CrossEntropyLoss', class_weight=[0.2, 1.])),
            train_cfg=dict(),
            test_cfg=dict(mode='whole')))
    image, boxes = image_of(size)
    left, top, right, bottom = boxes[0].astype(int)
    square = np.zeros(size, bool)
    square[top:bottom, left:right] = True
    results = dict(
        img=image,
        img_path='a.png',
        ori_shape=size,
        img_shape=size,
        gt_seg_map=square.astype(np.uint8),
        seg_fields=['gt_seg_map'])
    for transform in (dict(
            type='mmseg.Resize', scale=quarter_of(size), keep_ratio=True),
                      dict(type='mmseg.PackSegInputs')):
        results = TRANSFORMS.build(transform)(results)
    sample = learn(model, [model.decode_head], results)
    found = sample.pred_sem_seg.data[0].bool().numpy()
    assert found.shape == size
    rows, columns = np.nonzero(found)
    # Half of a cell of the coarser grid: a mask is no finer than its tokens.
    tolerance = 2 * model.backbone.patch_embed.projection.stride[0]
    assert abs(rows.mean() - (top + bottom - 1) / 2) < tolerance
    assert abs(columns.mean() - (left + right - 1) / 2) < tolerance
    assert (found & square).sum() / (found | square).sum() > 0.4


@pytest.mark.parametrize('size', SIZES, ids=str)
@pytest.mark.parametrize('family', FAMILIES)
def test_predicted_box_lies_on_the_square(family, size):
    from mmdet.structures.bbox import HorizontalBoxes
    DefaultScope.get_instance(
        f'geometry-det-{family}-{size}', scope_name='mmdet')
    backbone, channels = backbone_of(family)
    model = MODELS.build(
        ConfigDict(
            type='mmdet.FCOS',
            data_preprocessor=dict(
                type='mmivtuning.PairedDetDataPreprocessor',
                pad_size_divisor=32,
                **STATISTICS),
            backbone=backbone,
            neck=dict(
                type='FPN',
                in_channels=channels,
                out_channels=16,
                num_outs=4),
            bbox_head=dict(
                type='FCOSHead',
                num_classes=1,
                in_channels=16,
                feat_channels=16,
                stacked_convs=1,
                strides=[4, 8, 16, 32],
                regress_ranges=((-1, 32), (32, 64), (64, 128), (128, 1e8)),
                norm_cfg=dict(type='GN', num_groups=4)),
            test_cfg=dict(
                nms_pre=100,
                min_bbox_size=0,
                score_thr=0.05,
                nms=dict(type='nms', iou_threshold=0.5),
                max_per_img=10)))
    image, boxes = image_of(size)
    results = dict(
        img=image,
        img_id=1,
        img_path='a.png',
        ori_shape=size,
        img_shape=size,
        gt_bboxes=HorizontalBoxes(boxes),
        gt_bboxes_labels=np.zeros(1, np.int64),
        gt_ignore_flags=np.zeros(1, bool))
    for transform in (dict(
            type='mmdet.Resize', scale=quarter_of(size), keep_ratio=True),
                      dict(type='mmdet.PackDetInputs')):
        results = TRANSFORMS.build(transform)(results)
    found = learn(model, [model.neck, model.bbox_head],
                  results).pred_instances
    best = found.bboxes[found.scores.argmax()].numpy()
    centre = (best[:2] + best[2:]) / 2
    expected = (boxes[0, :2] + boxes[0, 2:]) / 2
    assert np.abs(centre - expected).max() < TOLERANCE
    assert np.abs(best - boxes[0]).max() < 4 * TOLERANCE
