# ViT-L, pretrained as a masked autoencoder (MAE, 1,600 epochs).
# The file is not fetched: see configs/README.md.
pretrained_backbone = dict(
    type='mmivtuning.IVVisionTransformer',
    tuning='iv',
    arch='large',
    img_size=224,
    patch_size=16,
    final_norm=False,
    drop_path_rate=0.2,
    out_type='featmap',
    # The paper's layers 10, 15, 20 and 24, counted from 1.
    out_indices=(9, 14, 19, 23),
    pyramid_strides=(4, 8, 16, 32),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='pretrained/'
        'mae_vit-large-p16_8xb512-fp16-coslr-1600e_in1k_20220825-cc7e98c9.pth'))
backbone_channels = [1024, 1024, 1024, 1024]
