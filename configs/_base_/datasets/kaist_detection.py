# KAIST: 7,601 pairs to train (sanitised annotations), 2,252 to test; person,
# by the log-average miss rate.
# Another folder: MMIVTUNING_DATA=/folder/of/data/sets, or data_root of each
# of the three data sets below; see configs/README.md.
dataset_type = 'mmivtuning.KAISTDataset'
data_root = '{{$MMIVTUNING_DATA:data}}/kaist'
num_classes = 1
# R, G, B (ImageNet), infrared (the paper's code for M3FD;
# measure your own with data_prep/check_pairs.py).
mean = [123.675, 116.28, 103.53, 108.375]
std = [58.395, 57.12, 57.375, 51.0]
scale = (640, 512)  # width, height
meta_keys = ('img_id', 'img_path', 'infrared_path', 'ori_shape', 'img_shape',
             'scale_factor', 'flip', 'flip_direction')
train_pipeline = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(
        type='mmivtuning.OnModality',
        modality='visible',
        transforms=[dict(type='PhotoMetricDistortion')]),
    dict(type='PackDetInputs', meta_keys=meta_keys)
]
test_pipeline = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    # The metric takes the ground truth from `instances`: no path to a json is
    # written twice.
    dict(type='PackDetInputs', meta_keys=(*meta_keys, 'instances'))
]
img_scales = [(480, 384), (640, 512), (800, 640)]
tta_pipeline = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale=size, keep_ratio=True)
                for size in img_scales
            ],
            [dict(type='RandomFlip', prob=1.),
             dict(type='RandomFlip', prob=0.)],
            [dict(type='LoadAnnotations', with_bbox=True)],
            [
                dict(
                    type='PackDetInputs', meta_keys=(*meta_keys, 'instances'))
            ],
        ])
]
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/train.json',
        data_prefix=dict(img='visible/train', infrared='infrared/train'),
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/test.json',
        data_prefix=dict(img='visible/test', infrared='infrared/test'),
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='mmivtuning.LogAverageMissRate'),
    dict(type='mmivtuning.PairedCocoMetric', metric='bbox')
]
test_evaluator = val_evaluator
