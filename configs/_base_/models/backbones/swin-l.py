# Swin-L, pretrained on ImageNet-21k, fine-tuned on ImageNet-1k at 384 pixels.
# The file is not fetched: see configs/README.md.
pretrained_backbone = dict(
    type='mmivtuning.IVSwinTransformer',
    tuning='iv',
    arch='large',
    img_size=384,
    window_size=12,
    pad_small_map=True,
    drop_path_rate=0.2,
    out_indices=(0, 1, 2, 3),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='pretrained/'
        'swin_large_patch4_window12_384_22kto1k-0a40944b.pth'))
backbone_channels = [192, 384, 768, 1536]
