# DINOv2-S, IV-tuned, with the decoder of CPNet on the salient objects of the scenes.
_base_ = [
    '../../_base_/models/backbones/dinov2-s.py',
    '../../_base_/models/saliency_cpnet_head.py',
    '../../_base_/datasets/scenes_saliency.py',
    '../../_base_/schedules/schedule_2k_seg.py',
    '../../_base_/default_runtime_saliency.py'
]
model = dict(
    data_preprocessor=dict(
        mean=_base_.mean, std=_base_.std, size=_base_.crop_size),
    backbone=_base_.pretrained_backbone,
    decode_head=dict(in_channels=_base_.backbone_channels,
        stage_channels=[192, 96, 48, 24],
        channels=12))
