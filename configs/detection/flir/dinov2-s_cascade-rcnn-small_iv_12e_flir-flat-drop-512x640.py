# DINOv2-S, IV-tuned, with a small Cascade R-CNN on FLIR-aligned pairs of which
# a modality is missing now and then.
_base_ = './dinov2-s_cascade-rcnn-small_iv_12e_flir-flat-512x640.py'
train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type='mmivtuning.RandomModalityDrop', mean=_base_.mean),
    _base_.train_pipeline[-1]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
