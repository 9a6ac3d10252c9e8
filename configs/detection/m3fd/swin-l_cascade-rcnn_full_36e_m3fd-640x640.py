# Swin-L, fully fine-tuned, with Cascade R-CNN on M3FD.
_base_ = './swin-l_cascade-rcnn_iv_36e_m3fd-640x640.py'
model = dict(backbone=dict(tuning='full'))
