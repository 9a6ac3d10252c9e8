# A handful of pairs with masks in three flat folders, here 11 of TNO: every
# fourth one is left out and tested on. Another choice is another list of
# positions in the sorted names, or an ann_file of names.
# Another folder: MMIVTUNING_DATA=/folder/of/data/sets, or data_root of each
# of the three data sets below; see configs/README.md.
dataset_type = 'mmivtuning.VTSaliencyDataset'
data_root = '{{$MMIVTUNING_DATA:data}}/saliency'
# R, G, B (ImageNet); the paper scales infrared to 0 to 1 only.
mean = [123.675, 116.28, 103.53, 0.]
std = [58.395, 57.12, 57.375, 255.]
scale = (294, 294)  # width, height
crop_size = (294, 294)  # height, width
meta_keys = ('img_path', 'infrared_path', 'seg_map_path', 'dataset_name',
             'ori_shape', 'img_shape', 'pad_shape', 'scale_factor', 'flip',
             'flip_direction', 'reduce_zero_label')
train_pipeline = [
    dict(type='mmivtuning.LoadPairedImage'),
    dict(type='mmivtuning.LoadSaliencyMask'),
    dict(
        type='RandomResize',
        scale=scale,
        ratio_range=(1.0, 1.3),
        keep_ratio=False),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
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
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        indices=[0, 1, 3, 4, 5, 7, 8, 9],
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        indices=[2, 6, 10],
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='mmivtuning.SaliencyMetric')
test_evaluator = val_evaluator
