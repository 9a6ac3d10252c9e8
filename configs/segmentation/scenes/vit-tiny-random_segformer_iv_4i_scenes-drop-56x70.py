# A tiny ViT, IV-tuned, with Segformer on scenes of which a modality is missing
# now and then; for tests.
_base_ = './vit-tiny-random_segformer_iv_4i_scenes-56x70.py'
train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type='mmivtuning.RandomModalityDrop', mean=_base_.mean),
    _base_.train_pipeline[-1]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
