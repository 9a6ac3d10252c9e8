# A tiny Swin, IV-tuned, with a small DINO on the scenes.
_base_ = [
    '../../_base_/models/backbones/swin-tiny-random.py',
    '../../_base_/models/dino_5scale_small.py',
    '../../_base_/datasets/scenes_tiny_detection.py',
    '../../_base_/schedules/schedule_1e_det.py',
    '../../_base_/default_runtime_det.py'
]
model = dict(
    data_preprocessor=dict(mean=_base_.mean, std=_base_.std),
    backbone=_base_.pretrained_backbone,
    neck=dict(in_channels=_base_.backbone_channels),
    bbox_head=dict(num_classes=_base_.num_classes))
