# DINOv2-S, fully fine-tuned, with a small Cascade R-CNN on FLIR-aligned.
_base_ = './dinov2-s_cascade-rcnn-small_iv_12e_flir-flat-512x640.py'
model = dict(backbone=dict(tuning='full'))
