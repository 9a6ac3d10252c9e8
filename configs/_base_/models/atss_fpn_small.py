# FCOS with a narrow neck and small towers: every cell of every map learns in
# each step, so that few steps on few images find something.
# The file of a model adds the backbone, its channels and the classes.
channels = 96
norm_cfg = dict(type='GN', num_groups=32)
model = dict(
    type='FCOS',
    data_preprocessor=dict(
        type='mmivtuning.PairedDetDataPreprocessor',
        bgr_to_rgb=True,
        pad_size_divisor=32),
    neck=dict(
        # mmdet's FPN, after the maps of a plain transformer are standardised.
        type='mmivtuning.StandardizedFPN',
        norm_cfg=norm_cfg,
        out_channels=channels,
        num_outs=4),
    bbox_head=dict(
        type='FCOSHead',
        in_channels=channels,
        feat_channels=channels,
        stacked_convs=2,
        strides=[4, 8, 16, 32],
        regress_ranges=((-1, 24), (24, 48), (48, 96), (96, 1e8)),
        center_sampling=True,
        norm_on_bbox=True,
        centerness_on_reg=True,
        norm_cfg=norm_cfg,
        loss_cls=dict(
            type='FocalLoss',
            use_sigmoid=True,
            gamma=2.0,
            alpha=0.25,
            loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=1.0),
        loss_centerness=dict(
            type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)),
    test_cfg=dict(
        nms_pre=500,
        min_bbox_size=0,
        score_thr=0.02,
        nms=dict(type='nms', iou_threshold=0.6),
        max_per_img=100))
