# EVA02-L, frozen, with Segformer on VT5000.
_base_ = './eva02-l_segformer_iv_200e_vt5000-384x384.py'
model = dict(backbone=dict(tuning='frozen'))
