"""Two processes on the CPU through the stock Runner."""

import sys

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
    config = (
        root / 'configs/segmentation/scenes' /
        'vit-tiny-random_segformer_iv_4i_scenes-56x70.py')
    printed = run(
        sys.executable,
        launcher,
        worker,
        config,
        tmp_path / 'store',
        tmp_path / 'work',
        scenes,
        cwd=tmp_path)
    assert printed.count('parameters are equal on both ranks') == 2
