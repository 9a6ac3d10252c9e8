# EVA02-B, pretrained by its authors and resized from patch 14 to 16.
# The grid of 16 x 16 patches is the one that its rotary positions were
# trained on. The file is not fetched: see configs/README.md.
pretrained_backbone = dict(
    type='mmivtuning.IVViTEVA02',
    tuning='iv',
    arch='base',
    img_size=256,
    patch_size=16,
    sub_ln=True,
    rope_grid=16,
    final_norm=False,
    drop_path_rate=0.1,
    out_type='featmap',
    # EVA02-L's layers at half the depth.
    out_indices=(3, 5, 7, 11),
    pyramid_strides=(4, 8, 16, 32),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='pretrained/eva02_B_pt_in21k_p14to16.pth'))
backbone_channels = [768, 768, 768, 768]
