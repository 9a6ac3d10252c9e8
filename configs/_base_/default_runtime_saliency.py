# Runtime of salient objects: that of segmentation, views merged as maps.
_base_ = './default_runtime_seg.py'
tta_model = dict(type='mmivtuning.SaliencyTTAModel')
