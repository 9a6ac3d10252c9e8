# Swin-L, fully fine-tuned, with Segformer on MFNet.
_base_ = './swin-l_segformer_iv_80k_mfnet-512x512.py'
model = dict(backbone=dict(tuning='full'))
