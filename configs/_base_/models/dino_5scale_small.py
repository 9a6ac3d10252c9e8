# DINO with one layer a side and few queries, for tests on a CPU.
_base_ = './dino_5scale.py'
model = dict(
    num_queries=20,
    encoder=dict(
        num_layers=1, layer_cfg=dict(ffn_cfg=dict(feedforward_channels=64))),
    decoder=dict(
        num_layers=2, layer_cfg=dict(ffn_cfg=dict(feedforward_channels=64))),
    dn_cfg=dict(group_cfg=dict(num_dn_queries=10)),
    test_cfg=dict(max_per_img=20))
