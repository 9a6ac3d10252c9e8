# DINOv2-S, IV-tuned, with Segformer on eight pairs of TNO.
_base_ = [
    '../../_base_/models/backbones/dinov2-s.py',
    '../../_base_/models/saliency_segformer_head.py',
    '../../_base_/datasets/tno_saliency.py',
    '../../_base_/schedules/schedule_200i_seg.py',
    '../../_base_/default_runtime_saliency.py'
]
# Few steps do not repair what the paper's start of the prompts disturbs.
pretrained_backbone = _base_.pretrained_backbone
pretrained_backbone.update(dict(prompt_init='identity'))
model = dict(
    data_preprocessor=dict(
        mean=_base_.mean, std=_base_.std, size=_base_.crop_size),
    backbone=pretrained_backbone,
    decode_head=dict(in_channels=_base_.backbone_channels))
