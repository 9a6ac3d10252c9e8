# DINOv2-S, fully fine-tuned, with Segformer on CWFID.
_base_ = './dinov2-s_segformer_iv_2k_cwfid-280x364.py'
model = dict(backbone=dict(tuning='full'))
