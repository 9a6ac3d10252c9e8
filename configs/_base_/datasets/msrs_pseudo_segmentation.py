# Test frames of MSRS with what another model, LASNet, predicts on them as labels:
# no ground truth. A score is *agreement with LASNet*, not accuracy.
# data_root holds visible/ infrared/ labels/ train.txt val.txt.
# Another folder: MMIVTUNING_DATA=/folder/of/data/sets, or data_root of each
# of the three data sets below; see configs/README.md.
dataset_type = 'mmivtuning.PairedSegDataset'
data_root = '{{$MMIVTUNING_DATA:data}}/msrs_pseudo'
num_classes = 9
metainfo = dict(
    classes=('unlabeled', 'car', 'person', 'bike', 'curve', 'car_stop',
             'guardrail', 'color_cone', 'bump'),
    palette=[[0, 0, 0], [64, 0, 128], [64, 64, 0], [0, 128, 192],
             [0, 0, 192], [128, 128, 0], [64, 64, 128], [192, 128, 128],
             [192, 64, 0]])
# R, G, B (ImageNet), infrared (of 93 frames).
mean = [123.675, 116.28, 103.53, 17.3]
std = [58.395, 57.12, 57.375, 14.8]
scale = (378, 280)  # width, height
crop_size = (280, 364)  # height, width
meta_keys = ('img_path', 'infrared_path', 'seg_map_path', 'ori_shape',
             'img_shape', 'pad_shape', 'scale_factor', 'flip',
             'flip_direction', 'reduce_zero_label')
train_pipeline = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(type='mmivtuning.LoadSegLabels'),
    dict(
        type='RandomResize',
        scale=scale,
        ratio_range=(0.75, 1.5),
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
img_ratios = [0.75, 1.0, 1.25]
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
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='train.txt',
        data_prefix=dict(
            img_path='visible',
            infrared_path='infrared',
            seg_map_path='labels'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='val.txt',
        data_prefix=dict(
            img_path='visible',
            infrared_path='infrared',
            seg_map_path='labels'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
