# PST900: 597 pairs to train, 288 to test, five classes. It has no validation
# split: take no checkpoint by its score on the test split.
# Another folder: MMIVTUNING_DATA=/folder/of/data/sets, or data_root of each
# of the three data sets below; see configs/README.md.
dataset_type = 'mmivtuning.PST900Dataset'
data_root = '{{$MMIVTUNING_DATA:data}}/pst900'
num_classes = 5
# R, G, B (ImageNet), infrared (the paper's code for M3FD;
# measure your own with data_prep/check_pairs.py).
mean = [123.675, 116.28, 103.53, 108.375]
std = [58.395, 57.12, 57.375, 51.0]
scale = (1280, 720)  # width, height
crop_size = (512, 512)  # height, width
meta_keys = ('img_path', 'infrared_path', 'seg_map_path', 'ori_shape',
             'img_shape', 'pad_shape', 'scale_factor', 'flip',
             'flip_direction', 'reduce_zero_label')
train_pipeline = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(type='mmivtuning.LoadSegLabels'),
    dict(
        type='RandomResize',
        scale=scale,
        ratio_range=(0.5, 2.0),
        keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='mmivtuning.OnModality',
        modality='visible',
        transforms=[dict(type='PhotoMetricDistortion')]),
    dict(type='PackSegInputs', meta_keys=meta_keys)
]
test_pipeline = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    # After `Resize`: the ground truth keeps its size.
    dict(type='mmivtuning.LoadSegLabels'),
    dict(type='PackSegInputs', meta_keys=meta_keys)
]
img_ratios = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75]
tta_pipeline = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(
                    type='Resize',
                    scale=(int(scale[0] * ratio), int(scale[1] * ratio)),
                    keep_ratio=True) for ratio in img_ratios
            ],
            [
                dict(type='RandomFlip', prob=0., direction='horizontal'),
                dict(type='RandomFlip', prob=1., direction='horizontal')
            ],
            [dict(type='mmivtuning.LoadSegLabels')],
            [dict(type='PackSegInputs', meta_keys=meta_keys)],
        ])
]
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path='visible/train',
            infrared_path='infrared/train',
            seg_map_path='labels/train'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path='visible/test',
            infrared_path='infrared/test',
            seg_map_path='labels/test'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
