# DINOv2-S, IV-tuned, with a small Cascade R-CNN on RoadScene.
_base_ = [
    '../../_base_/models/backbones/dinov2-s.py',
    '../../_base_/models/cascade-rcnn_fpn_small.py',
    '../../_base_/datasets/roadscene_detection.py',
    '../../_base_/schedules/schedule_12e_det.py',
    '../../_base_/default_runtime_det.py'
]
model = dict(
    data_preprocessor=dict(mean=_base_.mean, std=_base_.std),
    backbone=_base_.pretrained_backbone,
    neck=dict(in_channels=_base_.backbone_channels),
    roi_head=dict(
        bbox_head=[
            dict(head, num_classes=_base_.num_classes)
            for head in _base_.model.roi_head.bbox_head
        ]))
