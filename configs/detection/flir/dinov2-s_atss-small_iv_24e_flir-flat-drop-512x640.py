# DINOv2-S, IV-tuned, with a small ATSS on pairs of FLIR-aligned of which a
# modality is missing now and then.
_base_ = './dinov2-s_atss-small_iv_24e_flir-flat-512x640.py'
train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type='mmivtuning.RandomModalityDrop', mean=_base_.mean),
    _base_.train_pipeline[-1]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
