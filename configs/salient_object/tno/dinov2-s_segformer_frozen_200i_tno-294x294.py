# DINOv2-S, frozen, with Segformer on eight pairs of TNO.
_base_ = './dinov2-s_segformer_iv_200i_tno-294x294.py'
model = dict(backbone=dict(tuning='frozen'))
