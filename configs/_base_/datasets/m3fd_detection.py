# M3FD: 4,200 pairs, six classes, split 80/20 by data_prep/m3fd.py (there is no
# official split). Sizes and augmentation are the paper's: no colour changes.
# Another folder: MMIVTUNING_DATA=/folder/of/data/sets, or data_root of each
# of the three data sets below; see configs/README.md.
dataset_type = 'mmivtuning.M3FDDataset'
data_root = '{{$MMIVTUNING_DATA:data}}/m3fd'
num_classes = 6
# The long side is capped: 1024 x 768 images become 640 x 480 to 800 x 600.
train_scales = [(side, 800) for side in range(480, 801, 32)]
# R, G, B (ImageNet), infrared (the paper's code).
mean = [123.675, 116.28, 103.53, 108.375]
std = [58.395, 57.12, 57.375, 51.0]
scale = (640, 640)  # width, height
meta_keys = ('img_id', 'img_path', 'infrared_path', 'ori_shape', 'img_shape',
             'scale_factor', 'flip', 'flip_direction')
train_pipeline = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandomChoice',
        transforms=[
            [
                dict(
                    type='RandomChoiceResize',
                    scales=train_scales,
                    keep_ratio=True)
            ],
            [
                dict(
                    type='RandomChoiceResize',
                    scales=[(400, 4200), (500, 4200), (600, 4200)],
                    keep_ratio=True),
                dict(
                    type='RandomCrop',
                    crop_type='absolute_range',
                    crop_size=(384, 600),
                    allow_negative_crop=True),
                dict(
                    type='RandomChoiceResize',
                    scales=train_scales,
                    keep_ratio=True)
            ],
        ]),
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
img_scales = [(640, 640), (800, 800), (960, 960)]
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
        ann_file='annotations/val.json',
        data_prefix=dict(img='visible/val', infrared='infrared/val'),
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='mmivtuning.PairedCocoMetric', metric='bbox')
test_evaluator = val_evaluator
