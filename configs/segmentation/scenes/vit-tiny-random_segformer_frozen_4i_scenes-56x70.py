# A tiny ViT, frozen, with Segformer on the scenes.
_base_ = './vit-tiny-random_segformer_iv_4i_scenes-56x70.py'
model = dict(backbone=dict(tuning='frozen'))
