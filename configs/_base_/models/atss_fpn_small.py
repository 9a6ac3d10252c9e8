# ATSS with a narrow neck, one convolution a branch and three levels: it learns
# from few pairs in few steps, see docs/evidence/README.md.
# The file of a model adds the backbone, its channels and the classes.
channels = 96
norm_cfg = dict(type='GN', num_groups=32)
# An early layer shows where things end, the last one what they are.
layers = (2, 5, 11)
strides = (8, 16, 32)
model = dict(
    type='ATSS',
    data_preprocessor=dict(
        type='mmivtuning.PairedDetDataPreprocessor',
        bgr_to_rgb=True,
        pad_size_divisor=32),
    neck=dict(
        # mmdet's FPN, after the maps of a plain transformer are standardised.
        type='mmivtuning.StandardizedFPN',
        norm_cfg=norm_cfg,
        out_channels=channels,
        num_outs=3),
    bbox_head=dict(
        type='ATSSHead',
        in_channels=channels,
        feat_channels=channels,
        stacked_convs=1,
        norm_cfg=norm_cfg,
        anchor_generator=dict(
            type='AnchorGenerator',
            ratios=[1.0],
            octave_base_scale=4,
            scales_per_octave=1,
            strides=strides),
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder',
            target_means=[0., 0., 0., 0.],
            target_stds=[0.1, 0.1, 0.2, 0.2]),
        loss_cls=dict(
            type='FocalLoss',
            use_sigmoid=True,
            gamma=2.0,
            alpha=0.25,
            loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
        loss_centerness=dict(
            type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)),
    train_cfg=dict(
        assigner=dict(type='ATSSAssigner', topk=9),
        allowed_border=-1,
        pos_weight=-1,
        debug=False),
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.02,
        nms=dict(type='nms', iou_threshold=0.6),
        max_per_img=100))
