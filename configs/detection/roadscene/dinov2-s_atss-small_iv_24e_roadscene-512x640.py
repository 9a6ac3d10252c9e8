# DINOv2-S, IV-tuned, with a small FCOS on crops of RoadScene.
_base_ = [
    '../../_base_/models/backbones/dinov2-s.py',
    '../../_base_/models/fcos_fpn_small.py',
    '../../_base_/datasets/roadscene_detection.py',
    '../../_base_/schedules/schedule_24e_det.py',
    '../../_base_/default_runtime_det.py'
]
train_pipeline = [
    *_base_.train_pipeline[:-2],
    dict(type='RandomCrop', crop_size=(256, 320), allow_negative_crop=True),
    *_base_.train_pipeline[-2:]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
model = dict(
    data_preprocessor=dict(mean=_base_.mean, std=_base_.std),
    backbone=dict(_base_.pretrained_backbone, prompt_init='identity'),
    neck=dict(in_channels=_base_.backbone_channels),
    bbox_head=dict(num_classes=_base_.num_classes))
