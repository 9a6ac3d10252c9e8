# An EVA-02 that trains in seconds on a CPU; random weights, for tests.
pretrained_backbone = dict(
    type='mmivtuning.IVViTEVA02',
    tuning='iv',
    arch=dict(
        embed_dims=32,
        num_layers=4,
        num_heads=2,
        feedforward_channels=64),
    img_size=64,
    patch_size=16,
    sub_ln=True,
    final_norm=False,
    out_type='featmap',
    out_indices=(0, 1, 2, 3),
    pyramid_strides=(4, 8, 16, 32))
backbone_channels = [32, 32, 32, 32]
