# EVA02-L, fully fine-tuned, with the decoder of CPNet on VT5000.
_base_ = './eva02-l_cpnet_iv_200e_vt5000-384x384.py'
model = dict(backbone=dict(tuning='full'))
