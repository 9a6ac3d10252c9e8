# In bfloat16, which needs no scaling of the loss, and an Ampere GPU or newer.
_base_ = './eva02-l_segformer_iv_80k_mfnet-512x512.py'
optim_wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16')
