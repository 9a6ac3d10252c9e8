# Swin-L, fully fine-tuned, with DINO on M3FD.
_base_ = './swin-l_dino_iv_50e_m3fd-640x640.py'
model = dict(backbone=dict(tuning='full'))
