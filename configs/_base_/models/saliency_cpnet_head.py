# The progressive decoder of CPNet on a pyramid of strides 4, 8, 16, 32.
# The paper's code takes the maps of Swin elsewhere: x0 itself at stride 4, and
# those after merging. These are the usual four, of the same widths.
# The file of a model adds the backbone and its channels.
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='mmivtuning.PairedSegDataPreprocessor',
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255),
    decode_head=dict(
        type='mmivtuning.ProgressiveHead',
        in_index=[0, 1, 2, 3],
        stage_channels=[768, 384, 192, 96],
        channels=48,
        norm_cfg=norm_cfg,
        threshold=0.5,
        loss_decode=dict(type='mmivtuning.SaliencyLoss')),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
