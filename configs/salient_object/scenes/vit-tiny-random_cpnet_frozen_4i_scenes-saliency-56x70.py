# A tiny ViT, frozen, with the decoder of CPNet on the salient objects of the scenes.
_base_ = './vit-tiny-random_cpnet_iv_4i_scenes-saliency-56x70.py'
model = dict(backbone=dict(tuning='frozen'))
