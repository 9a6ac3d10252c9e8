# A Swin that trains in seconds on a CPU; random weights, for tests.
pretrained_backbone = dict(
    type='mmivtuning.IVSwinTransformer',
    tuning='iv',
    arch=dict(embed_dims=16, depths=[1, 1, 2, 1], num_heads=[1, 2, 4, 8]),
    img_size=64,
    window_size=4,
    pad_small_map=True,
    out_indices=(0, 1, 2, 3))
backbone_channels = [16, 32, 64, 128]
