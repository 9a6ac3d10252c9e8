# A tiny Swin, IV-tuned, with the decoder of CPNet on the salient objects of the scenes.
_base_ = [
    '../../_base_/models/backbones/swin-tiny-random.py',
    '../../_base_/models/saliency_cpnet_head.py',
    '../../_base_/datasets/scenes_tiny_saliency.py',
    '../../_base_/schedules/schedule_4i_seg.py',
    '../../_base_/default_runtime_saliency.py'
]
model = dict(
    data_preprocessor=dict(
        mean=_base_.mean, std=_base_.std, size=_base_.crop_size),
    backbone=_base_.pretrained_backbone,
    decode_head=dict(in_channels=_base_.backbone_channels,
        stage_channels=[16, 12, 8, 8],
        channels=4))
