# Salient objects: fitted to 2,250 training pairs of VT5000, selected by the
# 250 others, tested on VT821, VT1000 and VT5000-Test in one run.
# data_prep/vt_saliency.py makes data/vt5000, data/vt1000 and data/vt821.
# Another folder that holds the three: MMIVTUNING_DATA=/folder, or data_root of
# each of the three data sets below.
dataset_type = 'mmivtuning.VTSaliencyDataset'
data_root = '{{$MMIVTUNING_DATA:data}}'
# R, G, B (ImageNet); the paper scales infrared to 0 to 1 only.
mean = [123.675, 116.28, 103.53, 0.]
std = [58.395, 57.12, 57.375, 255.]
scale = (384, 384)  # width, height
crop_size = (384, 384)  # height, width
meta_keys = ('img_path', 'infrared_path', 'seg_map_path', 'dataset_name',
             'ori_shape', 'img_shape', 'pad_shape', 'scale_factor', 'flip',
             'flip_direction', 'reduce_zero_label')
train_pipeline = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(type='mmivtuning.LoadSaliencyMask'),
    # Cuts up to 30 of 480 rows and as large a share of the columns.
    dict(
        type='RandomResize',
        scale=scale,
        ratio_range=(1.0, 480 / 450),
        keep_ratio=False),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    # The corners that a rotation leaves empty are not learned from.
    dict(
        type='RandomRotate', prob=0.2, degree=15., pad_val=0,
        seg_pad_val=255),
    dict(
        type='mmivtuning.OnModality',
        modality='visible',
        transforms=[dict(type='PhotoMetricDistortion')]),
    dict(type='PackSegInputs', meta_keys=meta_keys)
]
test_pipeline = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(type='Resize', scale=scale, keep_ratio=False),
    # After `Resize`: measures are taken at the original size.
    dict(type='mmivtuning.LoadSaliencyMask'),
    dict(type='PackSegInputs', meta_keys=meta_keys)
]
tta_pipeline = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale=scale, keep_ratio=False)],
            [
                dict(type='RandomFlip', prob=0., direction='horizontal'),
                dict(type='RandomFlip', prob=1., direction='horizontal')
            ],
            [dict(type='mmivtuning.LoadSaliencyMask')],
            [dict(type='PackSegInputs', meta_keys=meta_keys)],
        ])
]
train_prefix = dict(
    img_path='vt5000/visible/train',
    infrared_path='vt5000/infrared/train',
    seg_map_path='vt5000/masks/train')
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        name='VT5000',
        data_root=data_root,
        ann_file='vt5000/splits/fit.txt',
        data_prefix=train_prefix,
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        name='VT5000',
        data_root=data_root,
        ann_file='vt5000/splits/holdout.txt',
        data_prefix=train_prefix,
        pipeline=test_pipeline))
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmivtuning.SaliencyBenchmarks',
        data_root=data_root,
        datasets=[
            dict(
                type=dataset_type,
                name='VT821',
                data_prefix=dict(
                    img_path='vt821/visible/test',
                    infrared_path='vt821/infrared/test',
                    seg_map_path='vt821/masks/test')),
            dict(
                type=dataset_type,
                name='VT1000',
                data_prefix=dict(
                    img_path='vt1000/visible/test',
                    infrared_path='vt1000/infrared/test',
                    seg_map_path='vt1000/masks/test')),
            dict(
                type=dataset_type,
                name='VT5000',
                data_prefix=dict(
                    img_path='vt5000/visible/test',
                    infrared_path='vt5000/infrared/test',
                    seg_map_path='vt5000/masks/test')),
        ],
        pipeline=test_pipeline))
val_evaluator = dict(type='mmivtuning.SaliencyMetric')
test_evaluator = val_evaluator
