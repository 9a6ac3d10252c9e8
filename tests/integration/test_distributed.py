"""Two processes on the CPU through the stock Runner."""

import sys

import torch
from mmengine.config import Config
from mmengine.model import convert_sync_batchnorm
from torch import nn

from mmivtuning.registry import MODELS

CONFIG = ('configs/segmentation/scenes/'
          'vit-tiny-random_segformer_iv_4i_scenes-56x70.py')

WORKER = '''
import os
import sys
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.runner import Runner

config, rank, store, work_dir, data_root = sys.argv[1:]
# mmengine's launcher needs a GPU: the group is made before the Runner.
dist.init_process_group(
    'gloo', init_method='file://' + store, rank=int(rank), world_size=2)
os.environ['LOCAL_RANK'] = rank
torch.set_num_threads(1)
cfg = Config.fromfile(config)
cfg.work_dir = work_dir
for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
    cfg[loader].dataset.data_root = data_root
cfg.train_cfg.max_iters = 3
cfg.train_cfg.val_interval = 100
cfg.launcher = 'pytorch'
# Synchronised batch normalisation needs a GPU.
cfg.sync_bn = None
# Other images on each rank.
cfg.randomness = dict(seed=0, diff_rank_seed=True)
cfg.model_wrapper_cfg = dict(
    type='MMDistributedDataParallel',
    device_ids=None,
    broadcast_buffers=False,
    find_unused_parameters=False)
runner = Runner.from_cfg(cfg)
before = {
    name: value.detach().clone()
    for name, value in runner.model.module.named_parameters()
    if value.requires_grad
}
runner.train()
after = dict(runner.model.module.named_parameters())
still = [name for name in before if torch.equal(before[name], after[name])]
assert not still, still
flat = torch.cat([value.detach().flatten() for value in after.values()])
other = [torch.empty_like(flat) for _ in range(2)]
dist.all_gather(other, flat)
assert torch.equal(*other), (other[0] - other[1]).abs().max()
print('parameters are equal on both ranks')
'''


def test_two_processes_keep_equal_parameters(run, root, scenes, tmp_path):
    worker = tmp_path / 'worker.py'
    worker.write_text(WORKER)
    launcher = tmp_path / 'launch.py'
    launcher.write_text(
        'import subprocess, sys\n'
        'processes = [subprocess.Popen([sys.executable, *sys.argv[1:3],'
        ' str(rank), *sys.argv[3:]]) for rank in range(2)]\n'
        'sys.exit(max([process.wait() for process in processes]))\n')
    printed = run(
        sys.executable,
        launcher,
        worker,
        root / CONFIG,
        tmp_path / 'store',
        tmp_path / 'work',
        scenes,
        cwd=tmp_path)
    assert printed.count('parameters are equal on both ranks') == 2


def test_sync_bn_converts_the_prompts_and_keeps_the_function(root):
    config = Config.fromfile(root / CONFIG)
    assert config.sync_bn == 'torch'
    model = MODELS.build(config.model.backbone)
    model.eval()
    pair = torch.rand(1, 4, 40, 52)
    expected = model(pair)
    names = [name for name, _ in model.named_parameters()]
    trainable = [value.requires_grad for value in model.parameters()]
    converted = convert_sync_batchnorm(model, config.sync_bn)
    converted.eval()
    norms = [
        module for module in converted.modules()
        if isinstance(module, nn.BatchNorm2d)
    ]
    synchronised = [
        module for module in converted.modules()
        if isinstance(module, nn.SyncBatchNorm)
    ]
    assert not norms
    # One in MP-alpha, two in each of the layers.
    assert len(synchronised) == 1 + 2 * len(converted.layers)
    assert [name for name, _ in converted.named_parameters()] == names
    assert [v.requires_grad for v in converted.parameters()] == trainable
    for before, after in zip(expected, converted(pair)):
        torch.testing.assert_close(before, after)
