# DINOv2-S, fully fine-tuned, with Segformer on MSRS with LASNet's labels.
_base_ = './dinov2-s_segformer_iv_2k_msrs-pseudo-280x364.py'
model = dict(backbone=dict(tuning='full'))
