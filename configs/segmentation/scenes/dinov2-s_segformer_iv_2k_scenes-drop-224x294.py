# DINOv2-S, IV-tuned, with Segformer on scenes of which a modality is missing
# now and then.
_base_ = './dinov2-s_segformer_iv_2k_scenes-224x294.py'
train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type='mmivtuning.RandomModalityDrop', mean=_base_.mean),
    _base_.train_pipeline[-1]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
