"""Test a checkpoint with a config, for segmentation and detection alike.

The same as the scripts of mmseg and mmdet, which work too. In addition,
``--cfg-options data_root=FOLDER`` moves every data set of the config. What a
missing modality costs: ``--cfg-options
model.data_preprocessor.missing=infrared`` (or ``visible``).
"""

import argparse
import os
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from mmivtuning.engine.data_root import ConfigOptions, read_config


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--work-dir', help='folder of logs and metrics; default: work_dir '
        'of the config, else work_dirs/NAME')
    parser.add_argument(
        '--out', help='pickle file for the predictions, *.pkl')
    parser.add_argument(
        '--show', action='store_true', help='show the predictions')
    parser.add_argument(
        '--show-dir',
        help='folder of pictures of the predictions, in the run\'s folder')
    parser.add_argument(
        '--wait-time', type=float, default=2., help='seconds a picture shows')
    parser.add_argument(
        '--tta', action='store_true', help='test-time augmentation')
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
    if args.out is not None and not args.out.endswith(('.pkl', '.pickle')):
        parser.error(f'--out must be a .pkl file, got {args.out}')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def draw(cfg: Config, args: argparse.Namespace) -> None:
    """Have the predictions drawn."""
    hook = cfg.default_hooks.get('visualization')
    if hook is None:
        raise ValueError(f'{args.config}: --show and --show-dir need '
                         'default_hooks.visualization')
    hook.update(draw=True)
    if args.show:
        hook.update(show=True, wait_time=args.wait_time)
    if args.show_dir is not None:
        hook.test_out_dir = args.show_dir


def use_tta(cfg: Config, args: argparse.Namespace) -> None:
    """Exchange model and pipeline for their test-time augmented ones."""
    missing = [k for k in ('tta_model', 'tta_pipeline') if k not in cfg]
    if missing:
        raise ValueError(f'{args.config}: --tta needs {missing}')
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    dataset.pipeline = cfg.tta_pipeline
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)


def main() -> None:
    """Build the runner and test."""
    args = parse_args()
    cfg = read_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    cfg.load_from = args.checkpoint
    # The checkpoint has all weights: no pretrained file is needed.
    cfg.model.backbone.pop('init_cfg', None)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs', Path(args.config).stem))
    if args.show or args.show_dir is not None:
        draw(cfg, args)
    if args.tta:
        use_tta(cfg, args)
    if args.out is not None:
        evaluators = cfg.test_evaluator
        if not isinstance(evaluators, list):
            evaluators = [evaluators]
        cfg.test_evaluator = [
            *evaluators,
            dict(type='DumpResults', out_file_path=args.out)
        ]
    Runner.from_cfg(cfg).test()


if __name__ == '__main__':
    main()
