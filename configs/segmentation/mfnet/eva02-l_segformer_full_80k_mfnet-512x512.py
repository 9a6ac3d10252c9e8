# EVA02-L, fully fine-tuned, with Segformer on MFNet.
_base_ = './eva02-l_segformer_iv_80k_mfnet-512x512.py'
model = dict(backbone=dict(tuning='full'))
