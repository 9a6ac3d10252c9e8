# DINOv2-S, frozen, with Segformer on LLVIP.
_base_ = './dinov2-s_segformer_iv_2k_llvip-448x448.py'
model = dict(backbone=dict(tuning='frozen'))
