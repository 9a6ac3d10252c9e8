# DINOv2-S, frozen, with a small Cascade R-CNN on RoadScene.
_base_ = './dinov2-s_cascade-rcnn-small_iv_12e_roadscene-512x640.py'
model = dict(backbone=dict(tuning='frozen'))
