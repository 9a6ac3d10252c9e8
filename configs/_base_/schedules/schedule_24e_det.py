# 24 epochs of AdamW for a small ATSS: the rate is the backbone's, and what
# starts at random learns at five and ten times as much.
_base_ = './schedule_12e_det.py'
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={
        'neck': dict(lr_mult=10.),
        'bbox_head': dict(lr_mult=5.)
    }))
train_cfg = dict(max_epochs=24, val_interval=8)
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=24, milestones=[16, 22])
]
