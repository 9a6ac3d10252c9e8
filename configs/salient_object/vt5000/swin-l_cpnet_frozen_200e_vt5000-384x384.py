# Swin-L, frozen, with the decoder of CPNet on VT5000.
_base_ = './swin-l_cpnet_iv_200e_vt5000-384x384.py'
model = dict(backbone=dict(tuning='frozen'))
