# DINOv2-S, IV-tuned, with a small ATSS on RoadScene.
_base_ = [
    '../../_base_/models/backbones/dinov2-s.py',
    '../../_base_/models/atss_fpn_small.py',
    '../../_base_/datasets/roadscene_detection.py',
    '../../_base_/schedules/schedule_24e_det.py',
    '../../_base_/default_runtime_det.py'
]
model = dict(
    data_preprocessor=dict(mean=_base_.mean, std=_base_.std),
    backbone=dict(
        _base_.pretrained_backbone,
        prompt_init='identity',
        out_indices=_base_.layers,
        pyramid_strides=_base_.strides),
    neck=dict(in_channels=_base_.backbone_channels[:3]),
    bbox_head=dict(num_classes=_base_.num_classes))
