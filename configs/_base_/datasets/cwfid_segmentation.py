# CWFID (Haug & Ostermann, 2014), a carrot field: visible is one red band, infrared
# is *near* infrared, in which nothing is warm. For research that is not
# commercial. data_root holds visible/ infrared/ labels/ train.txt val.txt.
# Another folder: MMIVTUNING_DATA=/folder/of/data/sets, or data_root of each
# of the three data sets below; see configs/README.md.
dataset_type = 'mmivtuning.PairedSegDataset'
data_root = '{{$MMIVTUNING_DATA:data}}/cwfid'
num_classes = 3
metainfo = dict(
    classes=('soil', 'crop', 'weed'),
    palette=[[110, 80, 50], [60, 180, 75], [230, 25, 75]])
# R, G, B (ImageNet), infrared (of 53 frames).
mean = [123.675, 116.28, 103.53, 79.2]
std = [58.395, 57.12, 57.375, 25.7]
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
