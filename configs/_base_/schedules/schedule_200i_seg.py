# 200 iterations for a handful of pairs: the 2k recipe, a tenth as long.
_base_ = './schedule_2k_seg.py'
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=20),
    dict(
        type='PolyLR',
        eta_min=0.,
        power=1.,
        begin=20,
        end=200,
        by_epoch=False)
]
train_cfg = dict(max_iters=200, val_interval=200)
default_hooks = dict(checkpoint=dict(interval=200))
