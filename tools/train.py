"""Train a model from a config, for segmentation and detection alike.

The same as the scripts of mmseg and mmdet, which work too. In addition,
``--cfg-options data_root=FOLDER`` moves every data set of the config. On a
CPU: ``CUDA_VISIBLE_DEVICES=-1 python tools/train.py CONFIG``.
"""

import argparse
import os
from pathlib import Path

from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmivtuning.engine.data_root import ConfigOptions, read_config


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir', help='folder of logs and checkpoints; default: '
        'work_dir of the config, else work_dirs/NAME')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from a checkpoint; without a file, from the last one')
    parser.add_argument(
        '--amp', action='store_true', help='mixed precision (needs a GPU)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        help='KEY=VALUE ... that change the config, lists as key="[a,b]"')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none')
    # torch.distributed.launch spells it one way or the other.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main() -> None:
    """Build the runner and train."""
    args = parse_args()
    cfg = read_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs', Path(args.config).stem))
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.resume is not None:
        cfg.resume = True
        if args.resume != 'auto':
            cfg.load_from = args.resume
    if 'runner_type' in cfg:  # FlexibleRunner, for sharded training
        RUNNERS.build(cfg).train()
    else:
        Runner.from_cfg(cfg).train()


if __name__ == '__main__':
    main()
