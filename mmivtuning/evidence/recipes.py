"""The config of a run: that of its data set, with the study's budget.

Every method gets the same steps, batches, schedule, pairs in the same order,
and evaluation; what differs is the backbone's arguments and the rate.
"""

import copy
import hashlib
import json
import platform
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from pprint import pformat
from typing import Any, Dict, List, Optional

import torch
from mmengine.config import Config, ConfigDict

from mmivtuning.models.backbones.tuning import DUAL, retuned
from mmivtuning.version import __version__

from .study import Measure, Method, Study
from .subjects import (
    Present,
    file_digest,
    fraction_of,
    hold_out,
    pretrained_file,
)

_PACKAGES = ('torch', 'numpy', 'mmengine', 'mmcv', 'mmsegmentation', 'mmdet',
             'mmpretrain', 'onedl-mmengine', 'onedl-mmcv',
             'onedl-mmsegmentation', 'onedl-mmdetection', 'onedl-mmpretrain')
# Metrics that keep what single pairs contribute.
_SAMPLED = {
    'IoUMetric': 'mmivtuning.SampledIoUMetric',
    'mmivtuning.SaliencyMetric': 'mmivtuning.SampledSaliencyMetric',
    'mmivtuning.PairedCocoMetric': 'mmivtuning.SampledCocoMetric'
}


@dataclass(frozen=True)
class Run:
    """One training with its tests.

    Args:
        subject (str): Name of the data set.
        method (str): Name of the method.
        seed (int): Of everything random.
        fraction (float): Share of the training pairs.
        rate (float): Learning rate, before the recipe's multipliers.
        tuning (bool): Whether it is tested on held-out training pairs, to
            choose the rate.
        tests (list[str]): Conditions of testing.
        keep_weights (bool): Whether what was trained is kept.
        config (Config): Complete, but for ``work_dir``.
        identity (str): Of all that decides the outcome.
    """

    subject: str
    method: str
    seed: int
    fraction: float
    rate: float
    tuning: bool
    tests: List[str]
    keep_weights: bool
    config: Config
    identity: str

    @property
    def sampled(self) -> bool:
        """Whether its tests keep what single pairs contribute."""
        return any(metric.type in _SAMPLED.values()
                   for metric in self.config.test_evaluator)

    @property
    def label(self) -> str:
        """What a person calls it; also its folder, with its identity."""
        kind = 'rate' if self.tuning else f'{self.fraction:.0%}'.strip('%')
        return (f'{self.subject}-{self.method}-{kind}-{self.rate:g}'
                f'-seed{self.seed}')

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return f'{self.label}-{self.identity[:12]}'


@lru_cache(maxsize=None)
def versions() -> Dict[str, str]:
    """Return the versions of all that computes."""
    found = dict(
        mmivtuning=__version__,
        python='.'.join(platform.python_version_tuple()[:2]),
        device=(torch.cuda.get_device_name()
                if torch.cuda.is_available() else 'cpu'))
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=None)
def sources_digest() -> str:
    """Hash the package's own code, comments included."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob('*.py')):
        if '.mim' not in path.parts:
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _resize(transforms: List[ConfigDict], height: int, width: int) -> None:
    """Set the size in every transform that has one, in place."""
    for transform in transforms:
        if 'scale' in transform:
            transform.scale = (width, height)
        if 'crop_size' in transform:
            transform.crop_size = (height, width)


def _set_backbone(cfg: Config, method: Method) -> None:
    """Set the arguments of the backbone."""
    arguments = dict(method.backbone)
    tuning = DUAL if method.dual else arguments.pop('tuning')
    try:
        backbone = retuned(cfg.model.backbone, tuning, arguments)
    except ValueError as error:
        raise ValueError(f'methods.{method.name}: {error}') from error
    cfg.model.backbone = ConfigDict(backbone)


def _set_budget(cfg: Config, steps: int, batch: int, workers: int,
                seed: int) -> None:
    """Set the schedule, the same for every task: warm up, then decay."""
    cfg.train_cfg = dict(
        type='IterBasedTrainLoop', max_iters=steps, val_interval=steps + 1)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    warmup = max(steps // 10, 1)
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=warmup)
    ]
    if steps > warmup:
        cfg.param_scheduler.append(
            dict(
                type='PolyLR',
                power=1.,
                by_epoch=False,
                begin=warmup,
                end=steps))
    cfg.optim_wrapper.clip_grad = dict(max_norm=1.)
    # The seed of the order, so that every method gets the same batches.
    cfg.train_dataloader.update(
        batch_size=batch,
        num_workers=workers,
        persistent_workers=bool(workers),
        batch_sampler=None,
        sampler=dict(type='InfiniteSampler', shuffle=True, seed=seed))
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.randomness = dict(seed=seed)


def _set_hooks(cfg: Config, interval: Optional[int],
               keep_weights: bool) -> None:
    """Set what is written while a run trains: no picture of a pair."""
    cfg.log_processor = dict(type='LogProcessor', by_epoch=False)
    cfg.default_hooks.logger.update(interval=10, log_metric_by_epoch=False)
    cfg.default_hooks.pop('visualization', None)
    cfg.default_hooks.checkpoint = interval and dict(
        type='CheckpointHook',
        by_epoch=False,
        interval=interval,
        # One is deleted before the next one is whole.
        max_keep_ckpts=2)
    cfg.custom_hooks = list(cfg.get('custom_hooks') or [])
    if interval:
        cfg.custom_hooks.append(dict(type='mmivtuning.ExactResumeHook'))
    if keep_weights:
        cfg.custom_hooks.append(
            dict(type='mmivtuning.AdapterHook', by_epoch=False))


def make_run(study: Study,
             present: Present,
             method: Method,
             seed: int,
             rate: float,
             fraction: float = 1.,
             tuning: bool = False) -> Run:
    """Make a run.

    Args:
        study (Study): The study.
        present (Present): The data set.
        method (Method): The way of training.
        seed (int): Of everything random.
        rate (float): Learning rate.
        fraction (float): Share of the training pairs. Default: 1.
        tuning (bool): Whether it helps to choose the rate: then a part of
            the training pairs is held out and tested on. Default: False.

    Returns:
        Run: The run.
    """
    subject = present.subject
    cfg = copy.deepcopy(present.config)
    cfg.merge_from_dict(dict(method.options))
    _set_backbone(cfg, method)
    steps = subject.tuning_steps if tuning else subject.steps
    _set_budget(cfg, steps, subject.batch, study.workers, seed)
    keep = not tuning and fraction == 1 and (
        study.keep_weights == 'all' or
        (study.keep_weights == 'first seed' and seed == study.seeds[0]))
    _set_hooks(cfg, study.checkpoint_interval, keep)
    cfg.optim_wrapper.optimizer.lr = rate
    train, test = cfg.train_dataloader.dataset, cfg.test_dataloader.dataset
    if subject.size is not None:
        for dataset in (train, test):
            _resize(dataset.pipeline, *subject.size)
        if 'size' in cfg.model.data_preprocessor:
            cfg.model.data_preprocessor.size = tuple(subject.size)
    if tuning:
        parts = hold_out(present.positions, subject.held_out)
        held_out = copy.deepcopy(train)
        held_out.update(indices=parts['held_out'], pipeline=test.pipeline)
        cfg.test_dataloader.dataset = held_out
        train.indices = parts['train']
    else:
        train.indices = fraction_of(present.positions, fraction, seed)
    cfg.model.data_preprocessor.missing = method.missing
    boxes = subject.task == 'detection'
    # Resampled boxes cost seconds, and rates are chosen by the score alone.
    cfg.test_evaluator = _metrics(
        cfg.test_evaluator, sampled=not (tuning and boxes))
    metrics = 'sampled_boxes' if boxes else 'sampled'
    cfg.custom_imports.imports = [
        'mmivtuning', f'mmivtuning.evidence.{metrics}'
    ]
    tests = ['pair'] if tuning else list(method.tests)
    return Run(
        subject=subject.name,
        method=method.name,
        seed=seed,
        fraction=fraction,
        rate=rate,
        tuning=tuning,
        tests=tests,
        keep_weights=keep,
        config=cfg,
        identity=_identity(cfg, present, tests, keep))


def _metrics(evaluator: Any, sampled: bool) -> List[ConfigDict]:
    """List the metrics: those that keep what single pairs contribute.

    Beside the mIoU stands the cross entropy.
    """
    metrics = evaluator if isinstance(evaluator, list) else [evaluator]
    known = _SAMPLED if sampled else {}
    losses = [
        ConfigDict(
            type='mmivtuning.CrossEntropyMetric',
            ignore_index=metric.get('ignore_index', 255))
        for metric in metrics if metric.type == 'IoUMetric'
    ]
    return [
        ConfigDict(metric, type=known.get(metric.type, metric.type))
        for metric in metrics
    ] + losses


def _identity(cfg: Config, present: Present, tests: List[str],
              keep: bool) -> str:
    """Hash what decides the outcome of a run, and nothing else.

    The resolved config (whatever folder the data lie in), the data, the
    pretrained weights, the versions of all packages and the device.
    """
    plain = cfg.to_dict()
    # Of the bases, only what these sections took over counts; how often a
    # checkpoint is written does not.
    kept = {
        key: plain[key]
        for key in ('model', 'train_dataloader', 'test_dataloader',
                    'test_evaluator', 'optim_wrapper', 'param_scheduler',
                    'train_cfg', 'randomness', 'default_scope', 'env_cfg')
        if key in plain
    }
    checkpoint = pretrained_file(present.config)
    text = json.dumps(
        dict(
            config=kept,
            tests=tests,
            keep_weights=keep,
            data=present.fingerprint,
            pretrained=checkpoint and file_digest(checkpoint),
            versions=versions()),
        sort_keys=True,
        ensure_ascii=False,  # the folder's letters are found as they are
        default=str).replace(present.root, 'DATA')
    return hashlib.sha256(text.encode()).hexdigest()


def as_text(config: Config) -> str:
    """Write a config as a file that reads back the same, tuples included."""
    return ''.join(
        f'{key} = {pformat(value, width=100, sort_dicts=False)}\n'
        for key, value in config.to_dict().items())


def score(metrics: Dict[str, float], measure: Measure) -> float:
    """Read a measure of what a metric gave.

    A detector that finds no box at all has no mAP in mmdet: it is 0. Pairs
    without any true box have none either, which mmdet writes as -1: it is
    NaN.

    Raises:
        KeyError: If there is no such measure.
    """
    if measure.key not in metrics:
        if measure.key.startswith('coco/') and not any(
                key.startswith('coco/') for key in metrics):
            return 0.
        raise KeyError(f'no {measure.key} among {sorted(metrics)}')
    value = float(metrics[measure.key])
    if measure.key.startswith('coco/') and value < 0:
        return float('nan')
    return measure.scale * value
