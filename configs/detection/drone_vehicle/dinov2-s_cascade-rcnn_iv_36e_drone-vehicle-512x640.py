# DINOv2-S, IV-tuned, with Cascade R-CNN on DroneVehicle.
_base_ = [
    '../../_base_/models/backbones/dinov2-s.py',
    '../../_base_/models/cascade-rcnn_fpn.py',
    '../../_base_/datasets/drone_vehicle_detection.py',
    '../../_base_/schedules/schedule_36e_det.py',
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
