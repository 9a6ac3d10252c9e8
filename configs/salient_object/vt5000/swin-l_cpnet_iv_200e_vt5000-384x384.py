# Swin-L, IV-tuned, with the decoder of CPNet on VT5000.
_base_ = [
    '../../_base_/models/backbones/swin-l.py',
    '../../_base_/models/saliency_cpnet_head.py',
    '../../_base_/datasets/vt_384x384.py',
    '../../_base_/schedules/schedule_200e_saliency.py',
    '../../_base_/default_runtime_saliency.py'
]
# The paper's stochastic depth for salient objects.
pretrained_backbone = _base_.pretrained_backbone
pretrained_backbone.update(dict(drop_path_rate=0.1))
model = dict(
    data_preprocessor=dict(
        mean=_base_.mean, std=_base_.std, size=_base_.crop_size),
    backbone=pretrained_backbone,
    decode_head=dict(in_channels=_base_.backbone_channels))
log_processor = dict(by_epoch=True)
