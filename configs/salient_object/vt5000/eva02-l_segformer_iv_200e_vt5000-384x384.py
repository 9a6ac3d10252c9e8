# EVA02-L, IV-tuned, with Segformer on VT5000.
_base_ = [
    '../../_base_/models/backbones/eva02-l.py',
    '../../_base_/models/saliency_segformer_head.py',
    '../../_base_/datasets/vt_384x384.py',
    '../../_base_/schedules/schedule_200e_saliency.py',
    '../../_base_/default_runtime_saliency.py'
]
model = dict(
    data_preprocessor=dict(
        mean=_base_.mean, std=_base_.std, size=_base_.crop_size),
    backbone=_base_.pretrained_backbone,
    decode_head=dict(in_channels=_base_.backbone_channels))
log_processor = dict(by_epoch=True)
