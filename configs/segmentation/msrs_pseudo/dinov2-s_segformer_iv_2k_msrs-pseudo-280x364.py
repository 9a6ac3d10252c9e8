# DINOv2-S, IV-tuned, with Segformer on MSRS with LASNet's labels.
_base_ = [
    '../../_base_/models/backbones/dinov2-s.py',
    '../../_base_/models/segformer_head.py',
    '../../_base_/datasets/msrs_pseudo_segmentation.py',
    '../../_base_/schedules/schedule_2k_seg.py',
    '../../_base_/default_runtime_seg.py'
]
model = dict(
    data_preprocessor=dict(
        mean=_base_.mean, std=_base_.std, size=_base_.crop_size),
    backbone=_base_.pretrained_backbone,
    decode_head=dict(
        in_channels=_base_.backbone_channels,
        num_classes=_base_.num_classes))
