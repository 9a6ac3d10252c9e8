# A tiny EVA-02, IV-tuned, with Segformer on the scenes.
_base_ = [
    '../../_base_/models/backbones/eva02-tiny-random.py',
    '../../_base_/models/segformer_head.py',
    '../../_base_/datasets/scenes_tiny_segmentation.py',
    '../../_base_/schedules/schedule_4i_seg.py',
    '../../_base_/default_runtime_seg.py'
]
model = dict(
    data_preprocessor=dict(
        mean=_base_.mean, std=_base_.std, size=_base_.crop_size),
    backbone=_base_.pretrained_backbone,
    decode_head=dict(
        in_channels=_base_.backbone_channels,
        num_classes=_base_.num_classes))
