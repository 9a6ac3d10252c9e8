# Swin-L, IV-tuned, with DINO on M3FD.
_base_ = [
    '../../_base_/models/backbones/swin-l.py',
    '../../_base_/models/dino_5scale.py',
    '../../_base_/datasets/m3fd_detection.py',
    '../../_base_/schedules/schedule_50e_dino.py',
    '../../_base_/default_runtime_det.py'
]
model = dict(
    data_preprocessor=dict(mean=_base_.mean, std=_base_.std),
    backbone=dict(_base_.pretrained_backbone, with_cp=True),
    neck=dict(in_channels=_base_.backbone_channels),
    bbox_head=dict(num_classes=_base_.num_classes))
