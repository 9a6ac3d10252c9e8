# The paper's recipe for salient objects: Adam, 200 epochs, a tenth of the rate
# from epoch 100 on, gradients clamped element by element.
# The published run takes the epoch that is best on a *test* set. This one
# takes the one that is best on training pairs that were held out.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=5e-5),
    clip_grad=dict(type='value', clip_value=0.5))
param_scheduler = [
    dict(type='MultiStepLR', milestones=[100], gamma=0.1, by_epoch=True)
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=200, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook',
        interval=5,
        max_keep_ckpts=2,
        save_best='saliency/MAE',
        rule='less'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='mmivtuning.PairedVisualizationHook'))
