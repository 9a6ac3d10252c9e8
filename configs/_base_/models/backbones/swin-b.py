# Swin-B, pretrained on ImageNet-21k, fine-tuned on ImageNet-1k at 384 pixels.
# The file is not fetched: see configs/README.md.
pretrained_backbone = dict(
    type='mmivtuning.IVSwinTransformer',
    tuning='iv',
    arch='base',
    img_size=384,
    window_size=12,
    pad_small_map=True,
    drop_path_rate=0.2,
    out_indices=(0, 1, 2, 3),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='pretrained/'
        'swin_base_patch4_window12_384_22kto1k-d59b0d1d.pth'))
backbone_channels = [128, 256, 512, 1024]
