# An UPerNet head; images are tested in overlapping windows of 512 x 512.
_base_ = './upernet_head.py'
model = dict(
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))
