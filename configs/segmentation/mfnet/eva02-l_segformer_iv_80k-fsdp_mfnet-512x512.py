# Sharded over GPUs of one or more machines (FSDP), by mmengine's
# FlexibleRunner: mim train mmseg with --launcher pytorch.
_base_ = './eva02-l_segformer_iv_80k_mfnet-512x512.py'
runner_type = 'FlexibleRunner'
strategy = dict(
    type='FSDPStrategy',
    model_wrapper=dict(
        type='MMFullyShardedDataParallel',
        # frozen and trainable parameters in one shard
        use_orig_params=True,
        auto_wrap_policy='mmivtuning.models.sharding.wrap_layers'))
optim_wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16')
