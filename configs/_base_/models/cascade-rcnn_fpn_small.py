# Cascade R-CNN with a narrow neck, small heads and few proposals: stock sizes
# take over 10 s a step on a CPU.
_base_ = './cascade-rcnn_fpn.py'
channels = 96
model = dict(
    neck=dict(out_channels=channels),
    rpn_head=dict(
        in_channels=channels,
        feat_channels=channels,
        # From 16 pixels: few objects of small images reach stock's 32, and
        # an anchor that no object matches teaches nothing.
        anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels),
        bbox_head=[
            dict(head, in_channels=channels, fc_out_channels=256)
            for head in _base_.model.roi_head.bbox_head
        ]),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=[
            dict(stage, sampler=dict(stage.sampler, num=64))
            for stage in _base_.model.train_cfg.rcnn
        ]),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=200)))
