"""One run: the stock runner trains, tests, and the result is written.

A process of its own, ``python -m mmivtuning.evidence.trial FOLDER``: whatever
happens to it, the others go on. The folder holds ``config.py`` and
``job.json``; ``result.json`` appears when, and only when, all is done.
"""

import fcntl
import io
import json
import os
import platform
import sys
import threading
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmivtuning.models.freezing import count_parameters
from mmivtuning.models.saved_bytes import saved_bytes
from mmivtuning.pairs.reporting import write_atomically

from .study import CONDITIONS

CONFIG, JOB, RESULT = 'config.py', 'job.json', 'result.json'
SAMPLES, LOCK = 'samples.npz', 'lock'


def bytes_for_backward(runner: Runner) -> int:
    """Count what a step keeps for its backward pass, on the first pairs."""
    model = runner.model
    model.train()
    # Not from the loader, which the training has left in the middle: workers
    # that persist would have no pairs left.
    loader = runner.train_dataloader
    pairs = [loader.dataset[i] for i in range(loader.batch_sampler.batch_size)]
    batch = loader.collate_fn(pairs)
    batch = model.data_preprocessor(batch, True)
    return saved_bytes(model, lambda: model(**batch, mode='loss'))


def step_seconds(runner: Runner) -> float:
    """Return the median time of a step, loading included.

    The first tenth does not count: caches and threads warm up.
    """
    times, _ = runner.message_hub.get_scalar('train/time').data
    return float(np.median(times[len(times) // 10:]))


def last_loss(runner: Runner) -> float:
    """Return the mean loss of the last tenth of the steps."""
    losses, _ = runner.message_hub.get_scalar('train/loss').data
    return float(np.mean(losses[-max(len(losses) // 10, 1):]))


def peak_bytes() -> Optional[int]:
    """Return the peak of tensors on the GPU so far; None without one.

    After a resume it is that of the rest of the run.
    """
    available = torch.cuda.is_available()
    return torch.cuda.max_memory_allocated() if available else None


def processor() -> str:
    """Return the kind of CPU as far as torch chooses its kernels by it."""
    return f'{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}'


def whole_checkpoint(folder: Path) -> Optional[Path]:
    """Return the last checkpoint that was written to its end."""
    found = sorted(
        folder.glob('iter_*.pth'),
        key=lambda path: int(path.stem.split('_')[1]))
    return next((p for p in reversed(found) if zipfile.is_zipfile(p)), None)


def _test(runner: Runner, tests: List[str],
          missing: Optional[str]) -> Dict[str, Dict[str, Any]]:
    """Test under every condition."""
    found = {}
    for name in tests:
        runner.model.data_preprocessor.missing = CONDITIONS[name] or missing
        metrics = {
            key: float(value)
            for key, value in runner.test().items()
        }
        samples = None
        for metric in runner.test_evaluator.metrics:
            samples = getattr(metric, 'samples', samples)
        found[name] = dict(metrics=metrics, samples=samples)
    runner.model.data_preprocessor.missing = missing
    return found


def _check_finite(runner: Runner) -> None:
    """Raise if the training has diverged."""
    loss = last_loss(runner)
    if not np.isfinite(loss):
        raise FloatingPointError(f'the loss ended at {loss}')


def execute(folder: Path) -> None:
    """Train, test and write the result of a run.

    Args:
        folder (Path): Of the run.

    Raises:
        RuntimeError: If another process does this very run.
    """
    with locked(folder, 'does'):
        _execute(folder)


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Keep other processes out of a folder, which must exist.

    Args:
        folder (Path): Of a run or a study.
        what (str): What the other process does there, for the message.

    Raises:
        RuntimeError: If there is another process.
    """
    with open(folder / LOCK, 'w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuntimeError(f'another process {what} {folder}') from error
        yield


def end_with_parent(seconds: float = 2.) -> None:
    """Let this process end when the one that started it is killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(seconds)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _execute(folder: Path) -> None:
    """Train, test and write the result, once the folder is ours."""
    job = json.loads((folder / JOB).read_text())
    cfg = Config.fromfile(folder / CONFIG)
    cfg.work_dir = str(folder)
    cfg.experiment_name = job['identity'][:16]
    # mmengine names the last checkpoint before it is whole, and after it
    # was deleted: a killed run would not go on.
    last = whole_checkpoint(folder)
    cfg.resume, cfg.load_from = last is not None, last and str(last)
    started = time.monotonic()
    runner = Runner.from_cfg(cfg)
    runner.train()
    _check_finite(runner)
    peak = peak_bytes()
    found = _test(runner, job['tests'], cfg.model.data_preprocessor.missing)
    backbone = count_parameters(runner.model.backbone)
    result = dict(
        job,
        status='done',
        scores={name: entry['metrics'] for name, entry in found.items()},
        loss=last_loss(runner),
        step_seconds=step_seconds(runner),
        backward_bytes=bytes_for_backward(runner),
        peak_bytes=peak,
        trainable_backbone=backbone.trainable,
        total_backbone=backbone.total,
        trainable=count_parameters(runner.model).trainable,
        steps=runner.iter,
        seconds=time.monotonic() - started,
        computed_on=processor())
    samples = {
        name: entry['samples']
        for name, entry in found.items() if entry['samples'] is not None
    }
    content = io.BytesIO()
    np.savez_compressed(content, **samples)
    write_atomically(folder / SAMPLES, content.getvalue(), clear=False)
    # The last one to appear: a folder with it is complete.
    text = json.dumps(result, indent=2) + '\n'
    write_atomically(folder / RESULT, text.encode(), clear=False)
    for checkpoint in folder.glob('*.pth'):
        checkpoint.unlink()


if __name__ == '__main__':
    end_with_parent()
    execute(Path(sys.argv[1]))
