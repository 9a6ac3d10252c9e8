# DINOv2-S, frozen, with Segformer on the salient objects of the scenes.
_base_ = './dinov2-s_segformer_iv_2k_scenes-saliency-224x294.py'
model = dict(backbone=dict(tuning='frozen'))
