# EVA02-L, pretrained by its authors and resized from patch 14 to 16.
# The grid of 16 x 16 patches is the one that its rotary positions were
# trained on. The file is not fetched: see configs/README.md.
pretrained_backbone = dict(
    type='mmivtuning.IVViTEVA02',
    tuning='iv',
    arch='large',
    img_size=256,
    patch_size=16,
    sub_ln=True,
    rope_grid=16,
    final_norm=False,
    drop_path_rate=0.2,
    out_type='featmap',
    # The paper's layers 8, 12, 16 and 24, counted from 1.
    out_indices=(7, 11, 15, 23),
    pyramid_strides=(4, 8, 16, 32),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='pretrained/eva02_L_pt_m38m_p14to16.pth'))
backbone_channels = [1024, 1024, 1024, 1024]
