# DINOv2-S, IV-tuned, with a small FCOS on crops of FLIR-aligned: a quarter of a
# pair at full resolution a step, whole pairs in the test. For a CPU.
_base_ = './dinov2-s_fcos-small_iv_12e_flir-flat-512x640.py'
train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type='RandomCrop', crop_size=(256, 320), allow_negative_crop=True),
    _base_.train_pipeline[-1]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
model = dict(backbone=dict(prompt_init='identity'))
optim_wrapper = dict(optimizer=dict(lr=5e-4))
train_cfg = dict(max_epochs=24, val_interval=8)
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=24, milestones=[16, 22])
]
