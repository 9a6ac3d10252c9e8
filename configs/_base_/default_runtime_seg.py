# Runtime of segmentation: mmseg's, drawing both modalities.
default_scope = 'mmseg'
custom_imports = dict(imports=['mmivtuning'], allow_failed_imports=False)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(
    type='SegLocalVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
# mmengine broadcasts no buffers: on several GPUs, the statistics of batch
# normalisation in prompts and heads are computed over all of them.
sync_bn = 'torch'
tta_model = dict(type='SegTTAModel')
