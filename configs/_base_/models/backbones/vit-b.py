# ViT-B, pretrained as a masked autoencoder (MAE, 1,600 epochs).
# The file is not fetched: see configs/README.md.
pretrained_backbone = dict(
    type='mmivtuning.IVVisionTransformer',
    tuning='iv',
    arch='base',
    img_size=224,
    patch_size=16,
    final_norm=False,
    drop_path_rate=0.1,
    out_type='featmap',
    # ViT-L's layers at half the depth.
    out_indices=(4, 7, 9, 11),
    pyramid_strides=(4, 8, 16, 32),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='pretrained/'
        'mae_vit-base-p16_8xb512-fp16-coslr-1600e_in1k_20220825-f7569ca2.pth'))
backbone_channels = [768, 768, 768, 768]
