"""Tune the small pretrained backbone on synthetic pairs; print and draw.

``make demo`` runs this: paired scenes are made, a DINOv2 ViT-S/14 is frozen
and IV-tuned on them through the stock mmseg runner beside a frozen one with
the same head, both are tested on the pair and with either modality taken
away, then a small detector and a salient object detector are trained.
"""

import argparse
import contextlib
import io
import json
import time
import warnings
from pathlib import Path
from typing import Dict, Iterator, List, Optional

import cv2
import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from mmivtuning.engine import PairedVisualizationHook
from mmivtuning.engine.data_root import read_config
from mmivtuning.engine.pictures import stack_rows
from mmivtuning.models.freezing import count_parameters
from mmivtuning.scenes import write_scenes

ROOT = Path(__file__).resolve().parent.parent
SEGMENTATION = ('configs/segmentation/scenes/'
                'dinov2-s_segformer_{tuning}_2k_scenes-224x294.py')
DETECTION = ('configs/detection/scenes/'
             'dinov2-s_atss-small_iv_24e_scenes-224x294.py')
SALIENCY = ('configs/salient_object/scenes/'
            'dinov2-s_segformer_iv_demo_scenes-saliency-224x294.py')
BATCH_SIZE = 2
SEED = 0
RATES = dict(segmentation=1e-3, detection=3e-4, saliency=5e-4)
# Nine pixels in ten are background, and there are few steps.
CLASS_WEIGHT = [0.2, 1., 1., 1., 1.]
PICTURES = 4
# Scores of a detector stay low in so few steps; the hook's own is 0.3.
SCORE_THR = 0.15

# The console of the demo; mmengine's own lines go to its log files only.
console = Console()


class ProgressHook(Hook):
    """Show a bar with the loss while a runner trains or tests."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.bar: Optional[Progress] = None

    def _open(self, total: int, what: str) -> None:
        self.bar = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn('{task.fields[loss]}'),
            console=console)
        self.bar.start()
        self.task = self.bar.add_task(
            f'{self.label}: {what}', total=total, loss='')

    def _close(self) -> None:
        self.bar.stop()

    def before_train(self, runner: Runner) -> None:
        """Open the bar of a training."""
        self._open(runner.max_iters, 'training')

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Advance by one step."""
        self.bar.update(
            self.task, advance=1, loss=f'loss {float(outputs["loss"]):.3f}')

    def after_train(self, runner: Runner) -> None:
        """Close the bar of a training."""
        self._close()

    def before_test(self, runner: Runner) -> None:
        """Open the bar of a test."""
        self._open(len(runner.test_dataloader), 'testing')

    def after_test_iter(self,
                        runner: Runner,
                        batch_idx: int,
                        data_batch: Optional[dict] = None,
                        outputs: Optional[list] = None) -> None:
        """Advance by one batch."""
        self.bar.update(self.task, advance=1)

    def after_test(self, runner: Runner) -> None:
        """Close the bar of a test."""
        self._close()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what the stock packages print and warn off the console."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


def build_runner(config: str,
                 work_dir: Path,
                 data_root: Path,
                 iterations: int,
                 task: str,
                 tuning: str = 'iv') -> Runner:
    """Build the stock runner of a shipped config on the demo's scenes."""
    label = f'{task}, {tuning}'
    cfg = read_config(ROOT / config, dict(data_root=str(data_root)))
    cfg.work_dir = str(work_dir)
    cfg.randomness = dict(seed=SEED)
    cfg.train_dataloader.update(
        batch_size=BATCH_SIZE,
        num_workers=1,
        sampler=dict(type='InfiniteSampler', shuffle=True),
        batch_sampler=None)
    cfg.test_dataloader.update(num_workers=1, persistent_workers=False)
    # Tested at the end: mmengine would validate there as well.
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    # The recipe of the config, with its rate, over a few steps.
    cfg.train_cfg = dict(
        type='IterBasedTrainLoop',
        max_iters=iterations,
        val_interval=iterations + 1)
    warmup = max(iterations // 10, 1)
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=warmup),
        dict(
            type='PolyLR', power=1., by_epoch=False, begin=warmup,
            end=iterations)
    ]
    cfg.optim_wrapper.optimizer.lr = RATES[task]
    # Starts as the frozen backbone: few steps reach further (see docs).
    cfg.model.backbone.prompt_init = 'identity'
    if task == 'segmentation':
        cfg.model.decode_head.loss_decode.class_weight = CLASS_WEIGHT
    cfg.train_dataloader.dataset.pipeline = [
        transform for transform in cfg.train_dataloader.dataset.pipeline
        if transform.type not in ('RandomResize', 'RandomCrop')
    ]
    cfg.optim_wrapper.clip_grad = dict(max_norm=1.)
    cfg.log_processor.by_epoch = False
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=iterations)
    DefaultScope.get_instance(label, scope_name=cfg.default_scope)
    with quiet():
        runner = Runner.from_cfg(cfg)
    runner.register_hook(ProgressHook(label), priority='LOWEST')
    return runner


def seconds_per_step(runner: Runner) -> float:
    """Return the median time of a training step, loading included."""
    times, _ = runner.message_hub.get_scalar('train/time').data
    return float(np.median(times))


def draw(runner: Runner, path: Path) -> None:
    """Draw the first validation pairs with their predictions."""
    hook = PairedVisualizationHook(draw=True, score_thr=SCORE_THR)
    runner.visualizer.dataset_meta = runner.test_dataloader.dataset.metainfo
    runner.model.eval()
    rows: List[np.ndarray] = []
    with torch.no_grad():
        for batch in runner.test_dataloader:
            for sample in runner.model.test_step(batch):
                rows.append(hook.picture(sample, runner.visualizer))
            if len(rows) >= PICTURES:
                break
    cv2.imwrite(str(path), stack_rows(rows[:PICTURES])[..., ::-1])


def segmentation(work_dir: Path, scenes: Path,
                 iterations: int) -> List[Dict[str, object]]:
    """Train and test both tunings; return a row of figures for each."""
    rows = []
    for tuning in ('iv', 'frozen'):
        runner = build_runner(
            SEGMENTATION.format(tuning=tuning),
            work_dir / f'segmentation_{tuning}', scenes, iterations,
            'segmentation', tuning)
        with quiet():
            runner.train()
        row: Dict[str, object] = dict(tuning=tuning)
        trainable, total = count_parameters(runner.model.backbone)
        row.update(
            trainable=trainable,
            share=trainable / total,
            seconds=seconds_per_step(runner))
        for missing in (None, 'infrared', 'visible'):
            runner.model.data_preprocessor.missing = missing
            with quiet():
                row[str(missing)] = runner.test()['mIoU']
        runner.model.data_preprocessor.missing = None
        if tuning == 'iv':
            with quiet():
                draw(runner, work_dir / 'segmentation.png')
        rows.append(row)
    return rows


def detection(work_dir: Path, scenes: Path,
              iterations: int) -> Dict[str, float]:
    """Train and test the small detector; return its figures."""
    runner = build_runner(DETECTION, work_dir / 'detection', scenes,
                          iterations, 'detection')
    with quiet():
        runner.train()
        metrics = runner.test()
        draw(runner, work_dir / 'detection.png')
    return dict(
        mAP=metrics['coco/bbox_mAP'],
        mAP_50=metrics['coco/bbox_mAP_50'],
        seconds=seconds_per_step(runner))


def saliency(work_dir: Path, scenes: Path,
             iterations: int) -> Dict[str, float]:
    """Train and test a salient object detector; return its figures."""
    runner = build_runner(SALIENCY, work_dir / 'saliency', scenes,
                          iterations, 'saliency')
    with quiet():
        runner.train()
        metrics = runner.test()
        draw(runner, work_dir / 'saliency.png')
    return dict(
        Smeasure=metrics['saliency/Smeasure'],
        wFmeasure=metrics['saliency/wFmeasure'],
        maxEm=metrics['saliency/maxEm'],
        MAE=metrics['saliency/MAE'],
        seconds=seconds_per_step(runner))


def print_figures(title: str, figures: Dict[str, float]) -> None:
    """Print a table of one row."""
    table = Table(title=title)
    for name in figures:
        table.add_column(
            'seconds a step' if name == 'seconds' else name, justify='right')
    table.add_row(*(f'{value:.2f}' if name == 'seconds' else f'{value:.3f}'
                    for name, value in figures.items()))
    console.print(table)


def print_segmentation(rows: List[Dict[str, object]],
                       iterations: int) -> None:
    """Print the table of both tunings."""
    table = Table(
        title=f'Segmentation of synthetic pairs, {iterations} steps: mIoU (%)')
    for column in ('tuning', 'pair', 'without infrared', 'without visible',
                   'trainable in the backbone', 'seconds a step'):
        table.add_column(column, justify='right')
    for row in rows:
        table.add_row(
            str(row['tuning']), f'{row["None"]:.1f}',
            f'{row["infrared"]:.1f}', f'{row["visible"]:.1f}',
            f'{row["trainable"]:,} ({row["share"]:.1%})',
            f'{row["seconds"]:.2f}')
    console.print(table)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument('--train', type=int, default=160, help='scenes')
    parser.add_argument('--val', type=int, default=32, help='scenes')
    parser.add_argument(
        '--steps', type=int, default=120, help='of segmentation')
    parser.add_argument(
        '--other-steps',
        type=int,
        default=50,
        help='of detection and of saliency; 0 leaves both out')
    arguments = parser.parse_args()

    started = time.monotonic()
    work_dir = arguments.work_dir.absolute()
    work_dir.mkdir(parents=True, exist_ok=True)
    console.print('IV-tuning on synthetic infrared-visible pairs: at most 10 '
                  'minutes on two cores')
    scenes = work_dir / 'scenes'
    # In place of those of an earlier demo.
    write_scenes(
        scenes, dict(train=arguments.train, val=arguments.val), force=True)
    rows = segmentation(work_dir, scenes, arguments.steps)
    others = {}
    if arguments.other_steps:
        others = dict(
            detection=detection(work_dir, scenes, arguments.other_steps),
            saliency=saliency(work_dir, scenes, arguments.other_steps))
    print_segmentation(rows, arguments.steps)
    for task, figures in others.items():
        print_figures(f'{task.capitalize()}, iv, {arguments.other_steps} '
                      'steps', figures)
    figures = dict(
        steps=arguments.steps,
        other_steps=arguments.other_steps,
        segmentation=rows,
        **others,
        torch=torch.__version__,
        seconds=round(time.monotonic() - started))
    # Some measures are numpy's numbers.
    (work_dir / 'figures.json').write_text(
        json.dumps(figures, indent=2, default=float))
    pictures = ', '.join(path.name for path in sorted(work_dir.glob('*.png')))
    console.print(
        f'Done in {figures["seconds"]} s. Pictures, figures, logs and '
        f'checkpoints: {work_dir} (first of all {pictures})\n'
        'Next, your own pairs: put them into visible/ and infrared/ folders '
        'and see "Your own data" in README.md',
        soft_wrap=True)


if __name__ == '__main__':
    main()
