# ViT-L, frozen, with Segformer on MSRS.
_base_ = './vit-l_segformer_iv_80k_msrs-512x512.py'
model = dict(backbone=dict(tuning='frozen'))
