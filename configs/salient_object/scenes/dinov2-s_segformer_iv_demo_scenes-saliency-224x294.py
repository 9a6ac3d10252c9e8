# DINOv2-S, IV-tuned, with Segformer on the salient objects of the scenes:
# 80 steps of it at a higher rate, as the demo takes.
_base_ = './dinov2-s_segformer_iv_2k_scenes-saliency-224x294.py'
# The paper's start disturbs the features, and so few steps do not repair that.
model = dict(backbone=dict(prompt_init='identity'))
optim_wrapper = dict(optimizer=dict(lr=5e-4), clip_grad=dict(max_norm=1.))
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=10),
    dict(
        type='PolyLR',
        eta_min=0.,
        power=1.,
        begin=10,
        end=80,
        by_epoch=False)
]
train_cfg = dict(max_iters=80, val_interval=80)
default_hooks = dict(checkpoint=dict(interval=80))
train_dataloader = dict(num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
