# DINOv2-S, IV-tuned, with a small FCOS on FLIR-aligned.
_base_ = [
    '../../_base_/models/backbones/dinov2-s.py',
    '../../_base_/models/fcos_fpn_small.py',
    '../../_base_/datasets/flir_flat_detection.py',
    '../../_base_/schedules/schedule_12e_det.py',
    '../../_base_/default_runtime_det.py'
]
model = dict(
    data_preprocessor=dict(mean=_base_.mean, std=_base_.std),
    backbone=_base_.pretrained_backbone,
    neck=dict(in_channels=_base_.backbone_channels),
    bbox_head=dict(num_classes=_base_.num_classes))
