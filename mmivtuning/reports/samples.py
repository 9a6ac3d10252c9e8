"""Best and worst samples of a test: the metric on each sample by itself."""

import base64
import contextlib
import io
import math
import sys
import tempfile
import time
import warnings
from copy import deepcopy
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from mmivtuning.engine.data_root import pipeline_of
from mmivtuning.engine.paired_visualization_hook import (
    PairedVisualizationHook,
)

from .curves import smaller_is_better
from .runs import ClassTable, Scalars, last_tables, numbers, read_log

# Measures by which samples are ranked, where a test has them.
PREFERRED = ('mIoU', 'coco/bbox_mAP', 'saliency/Smeasure')
MAX_WIDTH = 1600
QUALITY = 88
# Arguments of metrics that have files written.
_FILES = ('output_dir', 'outfile_prefix', 'dump_path')


class Sample(NamedTuple):
    """A sample, its score, and its picture as a data URI."""

    path: str
    score: float
    picture: str


class SampleReport(NamedTuple):
    """Samples of a test, from the best and from the worst on."""

    measure: str
    best: List[Sample]
    worst: List[Sample]
    scored: int
    # Samples on which the measure is not defined: no truth, for one.
    unscored: int
    metrics: Scalars
    tables: List[ClassTable]


class SampleScoresHook(Hook):
    """Score every sample of a test and draw the best and the worst.

    The test's own metrics are computed of each sample alone.

    Args:
        metrics (list[dict]): Their configs. They are built for each sample:
            mmdet's keeps the truth of what it saw first.
        visualization (PairedVisualizationHook): Draws.
        number (int): Of samples from each end.
        measure (str, optional): What they are ranked by. Defaults to None:
            the first of :data:`PREFERRED` that there is.
        progress (Callable, optional): Called after each batch with the
            number of batches done and the number of all. Defaults to None.
    """

    priority = 'LOWEST'

    def __init__(self,
                 metrics: List[dict],
                 visualization: PairedVisualizationHook,
                 number: int,
                 measure: Optional[str] = None,
                 progress: Optional[Callable] = None) -> None:
        self.metrics = metrics
        self.visualization = visualization
        self.number = number
        self.measure = measure
        self.progress = progress
        self.smaller = False
        self.scored = self.unscored = 0
        # Sorted, the best first.
        self.best: List[Sample] = []
        self.worst: List[Sample] = []

    def after_test_iter(self,
                        runner: Runner,
                        batch_idx: int,
                        data_batch: Optional[dict] = None,
                        outputs: Optional[Sequence] = None) -> None:
        """Score the samples of a batch."""
        for sample in outputs or ():
            found = self._scores(runner, sample)
            if self.measure is None:
                self.measure = pick(found)
            if self.measure not in found:
                raise KeyError(f'no measure {self.measure!r}; there are: '
                               f'{", ".join(found)}')
            self.smaller = smaller_is_better(self.measure)
            score = found[self.measure]
            if not math.isfinite(score):
                self.unscored += 1
                continue
            self.scored += 1
            self._keep(runner, sample, score)
        if self.progress is not None:
            self.progress(batch_idx + 1, len(runner.test_dataloader))

    def _scores(self, runner: Runner, sample: Any) -> Scalars:
        """Compute the metrics of one sample, and have them say nothing."""
        logger = MMLogger.get_current_instance()
        logger.disabled = True
        try:
            evaluator = Evaluator(deepcopy(self.metrics))
            evaluator.dataset_meta = (
                runner.test_dataloader.dataset.metainfo)
            evaluator.process(data_samples=[sample], data_batch=None)
            found = numbers(evaluator.evaluate(1))
        except AssertionError as error:
            raise ValueError(
                f'{sample.img_path} cannot be scored by itself: {error}. A '
                'detector needs the truth in its samples: add "instances" to '
                "the `meta_keys` of the test pipeline's last transform"
            ) from error
        finally:
            logger.disabled = False
        # mmdet's metric returns nothing if nothing was detected.
        for metric in evaluator.metrics:
            if metric.prefix == 'coco' and not found:
                objects = sample.metainfo.get('instances')
                found['coco/bbox_mAP'] = 0. if objects else math.nan
        return found

    def _keep(self, runner: Runner, sample: Any, score: float) -> None:
        """Keep the sample if it is among the best or the worst so far."""
        goodness = -score if self.smaller else score

        def good(one: Sample) -> float:
            return -one.score if self.smaller else one.score

        kept = None
        # Twice as many of the worst: where all are alike, the first ones
        # are among the best, too.
        for samples, limit, sign in ((self.best, self.number, 1),
                                     (self.worst, 2 * self.number, -1)):
            if (len(samples) == limit
                    and sign * goodness <= sign * good(samples[-1])):
                continue
            if kept is None:
                picture = self.visualization.picture(sample,
                                                     runner.visualizer)
                kept = Sample(str(sample.img_path), score, encode(picture))
            samples.append(kept)
            samples.sort(key=good, reverse=sign > 0)
            del samples[limit:]

    def ends(self) -> Tuple[List[Sample], List[Sample]]:
        """Return the best and the worst, none of which is among both."""
        best = self.best[:(self.scored + 1) // 2]
        worst = [one for one in self.worst
                 if not any(one is other for other in best)]
        return best, worst[:self.number]


def pick(found: Scalars) -> str:
    """Choose what samples are ranked by.

    Raises:
        ValueError: If there is no measure at all.
    """
    if not found:
        raise ValueError('the test has no measure to rank samples by')
    return next((key for key in PREFERRED if key in found), next(iter(found)))


def encode(picture: np.ndarray) -> str:
    """Turn a picture, uint8 (H, W, 3) RGB, into a data URI of a JPEG."""
    height, width = picture.shape[:2]
    if width > MAX_WIDTH:
        picture = cv2.resize(
            picture, (MAX_WIDTH, max(1, round(height * MAX_WIDTH / width))),
            interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode('.jpg', picture[..., ::-1],
                           [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return f'data:image/jpeg;base64,{base64.b64encode(data).decode()}'


def metrics_of(cfg: Config, alone: bool = False) -> List[dict]:
    """Copy the metrics of a test, without the files they would write.

    Args:
        cfg (Config): Of the run.
        alone (bool): Whether samples are measured one by one, so that the
            truth comes from them and not from a file of the whole set.
            Defaults to False.
    """
    evaluators = cfg.test_evaluator
    if not isinstance(evaluators, (list, tuple)):
        evaluators = [evaluators]
    kept = []
    for evaluator in evaluators:
        if evaluator['type'] == 'DumpResults':
            continue
        evaluator = deepcopy(dict(evaluator))
        for name in _FILES:
            evaluator.pop(name, None)
        evaluator.pop('format_only', None)
        if alone:
            evaluator.pop('ann_file', None)
        kept.append(evaluator)
    return kept


def loader_of(cfg: Config) -> Optional[dict]:
    """Find the transform with which the pipeline of a test loads pairs."""
    for transform in pipeline_of(cfg.test_dataloader.dataset):
        if str(transform['type']).split('.')[-1] == 'LoadPairedImage':
            return dict(transform)
    return None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the stock packages print and warn off the console."""
    with contextlib.redirect_stdout(io.StringIO()), \
            contextlib.redirect_stderr(io.StringIO()), \
            warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


@contextlib.contextmanager
def _own_loggers() -> Iterator[None]:
    """Forget the loggers that a runner makes.

    Their files go; whoever logs thereafter would still be sent to them.
    """
    known = set(MMLogger._instance_dict)
    try:
        yield
    finally:
        for name in set(MMLogger._instance_dict) - known:
            for handler in MMLogger._instance_dict.pop(name).handlers:
                handler.close()


def _progress() -> Optional[Callable]:
    """A counter on a terminal, nothing elsewhere."""
    console = sys.stderr
    if not console.isatty():
        return None

    def count(done: int, total: int) -> None:
        end = '\r' if done == total else ''
        console.write(f'\rtested {done / total:4.0%}{end}')
        console.flush()

    return count


def prepare(cfg: Config, checkpoint: Path, work_dir: str) -> Config:
    """Make the config of a test that leaves no trace.

    Args:
        cfg (Config): The config of the run.
        checkpoint (Path): A checkpoint, or an adapter (``.safetensors``),
            which is loaded upon the pretrained weights of the config.
        work_dir (str): Where the test logs.

    Returns:
        Config: A copy.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If the config has no test.
    """
    if not checkpoint.is_file():
        raise FileNotFoundError(f'no such checkpoint: {checkpoint}')
    missing = [key for key in ('test_dataloader', 'test_evaluator', 'test_cfg')
               if cfg.get(key) is None]
    if missing:
        raise ValueError(f'{cfg.filename} has no test: it lacks '
                         f'{", ".join(missing)}')
    cfg = deepcopy(cfg)
    cfg.work_dir = work_dir
    # A name of its own: mmengine keeps what was built under one.
    cfg.experiment_name = f'report_{time.time_ns()}'
    cfg.launcher, cfg.resume, cfg.load_from = 'none', False, None
    cfg.pop('load_adapter', None)
    cfg.custom_hooks = [
        hook for hook in cfg.get('custom_hooks') or []
        if not str(hook['type']).endswith('AdapterHook')
    ]
    if checkpoint.suffix == '.safetensors':
        cfg.custom_hooks.append(
            dict(type='mmivtuning.AdapterHook', load_from=str(checkpoint)))
    else:
        cfg.load_from = str(checkpoint)
        # The checkpoint has all weights: no pretrained file is needed.
        (cfg.model.get('backbone') or {}).pop('init_cfg', None)
    cfg.test_evaluator = metrics_of(cfg)
    cfg.default_hooks = {
        name: hook for name, hook in (cfg.get('default_hooks') or {}).items()
        if name not in ('visualization', 'checkpoint')
    }
    cfg.default_hooks.checkpoint = None
    visualizer = dict(cfg.get('visualizer') or dict(type='Visualizer'))
    visualizer.update(
        vis_backends=[dict(type='LocalVisBackend')], name=cfg.experiment_name)
    cfg.visualizer = visualizer
    return cfg


def rank_samples(cfg: Config,
                 checkpoint: Path,
                 number: int = 4,
                 measure: Optional[str] = None) -> SampleReport:
    """Test a checkpoint with the stock runner and rank the samples.

    Args:
        cfg (Config): The config of the run, changed by no one.
        checkpoint (Path): See :func:`prepare`.
        number (int): Of samples from each end, at least 1. Defaults to 4.
        measure (str, optional): See :class:`SampleScoresHook`.

    Returns:
        SampleReport: No sample is among the best and among the worst.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        KeyError: If there is no such measure.
        ValueError: If the config has no test, or ``number`` is not positive.
    """
    if number < 1:
        raise ValueError(f'the number of samples must be at least 1, found '
                         f'{number}')
    progress = _progress()
    with tempfile.TemporaryDirectory() as folder, _quiet(), _own_loggers():
        cfg = prepare(cfg, checkpoint, folder)
        runner = Runner.from_cfg(cfg)
        hook = SampleScoresHook(
            metrics_of(cfg, alone=True),
            PairedVisualizationHook(draw=True, loader=loader_of(cfg)), number,
            measure, progress)
        runner.register_hook(hook)
        found: Dict[str, Any] = runner.test()
        logs = sorted(Path(runner.log_dir).glob('*.log'))
        tables = last_tables(read_log(logs[-1]).tables) if logs else []
    best, worst = hook.ends()
    return SampleReport(
        hook.measure or '', best, worst, hook.scored, hook.unscored,
        numbers(found), tables)
