# EVA02-L, fully fine-tuned, with Segformer on MSRS.
_base_ = './eva02-l_segformer_iv_80k_msrs-512x512.py'
model = dict(backbone=dict(tuning='full'))
