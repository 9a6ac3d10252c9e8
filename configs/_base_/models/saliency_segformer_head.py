# A Segformer head that gives one logit a pixel.
# The file of a model adds the backbone and its channels.
_base_ = './segformer_head.py'
model = dict(
    decode_head=dict(
        num_classes=2,
        out_channels=1,
        threshold=0.5,
        loss_decode=dict(_delete_=True, type='mmivtuning.SaliencyLoss')))
