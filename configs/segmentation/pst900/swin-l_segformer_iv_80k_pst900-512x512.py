# Swin-L, IV-tuned, with Segformer on PST900.
_base_ = [
    '../../_base_/models/backbones/swin-l.py',
    '../../_base_/models/segformer_head.py',
    '../../_base_/datasets/pst900_720x1280.py',
    '../../_base_/schedules/schedule_80k_seg.py',
    '../../_base_/default_runtime_seg.py'
]
model = dict(
    data_preprocessor=dict(
        mean=_base_.mean, std=_base_.std, size=_base_.crop_size),
    backbone=_base_.pretrained_backbone,
    decode_head=dict(
        in_channels=_base_.backbone_channels,
        num_classes=_base_.num_classes))
