"""A user's own config, in another directory, on stock or on our bases."""

from importlib.util import find_spec
from pathlib import Path

import pytest

IMPORTS = """
custom_imports = dict(imports=['mmivtuning'], allow_failed_imports=False)
"""

BACKBONE = """dict(
    _delete_=True,
    type='mmivtuning.IVVisionTransformer',
    arch=dict(
        embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=64),
    img_size=112,
    patch_size=14,
    out_type='featmap',
    out_indices=(0, 1, 2, 3),
    pyramid_strides=(4, 8, 16, 32),
    final_norm=False,
    tuning='iv')"""

SEGMENTATION = IMPORTS + """
_base_ = [
    '{mmseg}/_base_/models/segformer_mit-b0.py',
    '{mmseg}/_base_/default_runtime.py',
    '{mmseg}/_base_/schedules/schedule_20k.py',
]
classes = ('background', 'car', 'person', 'sign', 'cone')
palette = [[0, 0, 0], [0, 0, 255], [255, 0, 0], [255, 255, 0], [255, 128, 0]]
model = dict(
    data_preprocessor=dict(
        _delete_=True,
        type='mmivtuning.PairedSegDataPreprocessor',
        mean=[123.675, 116.28, 103.53, 108.375],
        std=[58.395, 57.12, 57.375, 51.0],
        bgr_to_rgb=True,
        size=(112, 140),
        seg_pad_val=255),
    backbone={backbone},
    decode_head=dict(
        in_channels=[32, 32, 32, 32],
        channels=32,
        num_classes=5,
        norm_cfg=dict(type='BN')))
meta_keys = ('img_path', 'infrared_path', 'seg_map_path', 'ori_shape',
             'img_shape', 'pad_shape', 'scale_factor', 'flip',
             'flip_direction', 'reduce_zero_label')
pipeline = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(type='LoadAnnotations'),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='mmivtuning.OnModality',
        modality='visible',
        transforms=[dict(type='PhotoMetricDistortion')]),
    dict(type='PackSegInputs', meta_keys=meta_keys),
]
test_pipeline = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs', meta_keys=meta_keys),
]
dataset = dict(
    type='mmivtuning.PairedSegDataset',
    metainfo=dict(classes=classes, palette=palette),
    data_root='{scenes}')
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        data_prefix=dict(
            img_path='visible/train',
            infrared_path='infrared/train',
            seg_map_path='labels/train'),
        pipeline=pipeline,
        **dataset))
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        data_prefix=dict(
            img_path='visible/val',
            infrared_path='infrared/val',
            seg_map_path='labels/val'),
        pipeline=test_pipeline,
        **dataset))
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2)
default_hooks = dict(checkpoint=dict(interval=2))
"""

DETECTION = IMPORTS + """
_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50_fpn.py',
    'mmdet::_base_/default_runtime.py',
    'mmdet::_base_/schedules/schedule_1x.py',
]
model = dict(
    data_preprocessor=dict(
        _delete_=True,
        type='mmivtuning.PairedDetDataPreprocessor',
        mean=[123.675, 116.28, 103.53, 108.375],
        std=[58.395, 57.12, 57.375, 51.0],
        bgr_to_rgb=True,
        pad_size_divisor=32),
    backbone={backbone},
    neck=dict(in_channels=[32, 32, 32, 32], out_channels=32),
    rpn_head=dict(in_channels=32, feat_channels=32),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=32),
        bbox_head=dict(in_channels=32, fc_out_channels=32, num_classes=4)),
    train_cfg=dict(rpn_proposal=dict(nms_pre=50, max_per_img=50)),
    test_cfg=dict(rpn=dict(nms_pre=50, max_per_img=50)))
meta_keys = ('img_id', 'img_path', 'infrared_path', 'ori_shape', 'img_shape',
             'scale_factor', 'flip', 'flip_direction')
pipeline = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(140, 112), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs', meta_keys=meta_keys),
]
test_pipeline = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(type='Resize', scale=(140, 112), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=meta_keys),
]
dataset = dict(
    type='mmivtuning.PairedDetDataset',
    metainfo=dict(classes=('car', 'person', 'sign', 'cone')),
    data_root='{scenes}')
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(
        ann_file='annotations/train.json',
        data_prefix=dict(img='visible/train', infrared='infrared/train'),
        pipeline=pipeline,
        indices=4,
        **dataset))
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        ann_file='annotations/val.json',
        data_prefix=dict(img='visible/val', infrared='infrared/val'),
        test_mode=True,
        pipeline=test_pipeline,
        **dataset))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='CocoMetric',
    ann_file='{scenes}/annotations/val.json',
    metric='bbox')
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1)
"""


@pytest.fixture
def project(tmp_path):
    """Return the folder of a project that is not this checkout."""
    folder = tmp_path / 'project'
    folder.mkdir()
    return folder


def test_segmentation_on_stock_bases(mim, project, scenes):
    # By path: `mmseg::` is found under another name on the onedl stack.
    mmseg = Path(find_spec('mmseg').origin).parent / '.mim/configs'
    text = SEGMENTATION.replace('{backbone}', BACKBONE)
    text = text.replace('{mmseg}', str(mmseg))
    (project / 'mine.py').write_text(text.replace('{scenes}', str(scenes)))
    printed = mim('train', 'mmseg', 'mine.py', cwd=project)
    assert 'mIoU' in printed
    printed = mim(
        'test',
        'mmseg',
        'mine.py',
        '--checkpoint',
        'work_dirs/mine/iter_2.pth',
        cwd=project)
    assert 'mIoU' in printed


def test_detection_on_stock_bases(mim, project, scenes, detection_toolbox):
    text = DETECTION.replace('{backbone}', BACKBONE)
    (project / 'mine.py').write_text(text.replace('{scenes}', str(scenes)))
    printed = mim('train', detection_toolbox, 'mine.py', cwd=project)
    assert 'bbox_mAP' in printed
    printed = mim(
        'test',
        detection_toolbox,
        'mine.py',
        '--checkpoint',
        'work_dirs/mine/epoch_1.pth',
        cwd=project)
    assert 'bbox_mAP' in printed


def test_a_config_that_inherits_ours_by_path(mim, root, project, scenes):
    base = (
        root / 'configs/segmentation/scenes' /
        'vit-tiny-random_segformer_iv_4i_scenes-56x70.py')
    (project / 'child.py').write_text(f"""
_base_ = '{base}'
model = dict(backbone=dict(prompt_init='identity'))
train_cfg = dict(max_iters=2, val_interval=2)
""" + ''.join(f"""
{name}_dataloader = dict(dataset=dict(data_root='{scenes}'))
""" for name in ('train', 'val', 'test')))
    printed = mim('train', 'mmseg', 'child.py', cwd=project)
    assert 'mIoU' in printed
    assert "prompt_init='identity'" in printed
