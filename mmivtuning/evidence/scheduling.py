"""Starting runs in processes of their own, one after another or several.

What is finished is found again by its identity; what crashed is recorded and
does not stop the others.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

import numpy as np
import torch

from mmivtuning.pairs.reporting import write_atomically

from .recipes import Run, as_text, sources_digest, versions
from .trial import CONFIG, JOB, RESULT, SAMPLES

FAILURE, LOG = 'failure.json', 'log.txt'
_PATIENCE = 15.  # seconds that an interrupted run has to end
_BROKEN = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile,
           zlib.error)
_FIGURES = ('loss', 'step_seconds', 'backward_bytes', 'trainable_backbone',
            'trainable', 'steps')
Result = Dict[str, Any]


def load_result(folder: Path, run: Run) -> Optional[Result]:
    """Return the result of a finished run.

    Args:
        folder (Path): Of all runs.
        run (Run): The run.

    Returns:
        dict | None: None if it is not finished, or something else is there:
        what is damaged is done again.
    """
    try:
        result = json.loads((folder / run.folder / RESULT).read_text())
        whole = (
            result['status'] == 'done'
            and result['identity'] == run.identity
            and isinstance(result['versions'], dict)
            and all(isinstance(result['scores'][name], dict)
                    for name in run.tests)
            and all(isinstance(result[key], (int, float))
                    for key in _FIGURES))
        if whole and run.sampled:
            with np.load(folder / run.folder / SAMPLES) as content:
                whole = set(run.tests) <= set(content.files)
    except (*_BROKEN, TypeError):
        return None
    return result if whole else None


def load_samples(folder: Path, run: Run, condition: str
                 ) -> Optional[np.ndarray]:
    """Return what each pair contributed to a test, None if it is unknown."""
    try:
        with np.load(folder / run.folder / SAMPLES) as content:
            return content[condition]
    except _BROKEN:
        return None


def load_failure(folder: Path, run: Run) -> Optional[str]:
    """Return why a run crashed when it was last tried, None if it did not."""
    try:
        failure = json.loads((folder / run.folder / FAILURE).read_text())
        return str(failure['reason'])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _prepare(folder: Path, run: Run) -> None:
    """Write what a run reads."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FAILURE).unlink(missing_ok=True)
    job = dict(
        identity=run.identity,
        label=run.label,
        subject=run.subject,
        method=run.method,
        seed=run.seed,
        fraction=run.fraction,
        rate=run.rate,
        tuning=run.tuning,
        tests=run.tests,
        sources=sources_digest(),
        versions=versions())
    write_atomically(folder / CONFIG, as_text(run.config).encode(), False)
    text = json.dumps(job, indent=2) + '\n'
    write_atomically(folder / JOB, text.encode(), False)


def _environment(jobs: int, slot: int) -> Dict[str, str]:
    """Return the environment of a run beside ``jobs - 1`` others."""
    environment = dict(os.environ)
    cores = os.cpu_count() or 1
    environment.setdefault('OMP_NUM_THREADS', str(max(cores // jobs, 1)))
    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if devices > 1:
        known = environment.get('CUDA_VISIBLE_DEVICES')
        names = known.split(',') if known else list(map(str, range(devices)))
        environment['CUDA_VISIBLE_DEVICES'] = names[slot % devices]
    return environment


def _start(folder: Path, jobs: int, slot: int) -> subprocess.Popen:
    """Start a run; the terminal's interruption reaches it through us."""
    with open(folder / LOG, 'ab') as log:
        return subprocess.Popen(
            [sys.executable, '-m', 'mmivtuning.evidence.trial',
             str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(jobs, slot),
            start_new_session=True)


def _signal(process: subprocess.Popen, number: int) -> None:
    """Send a signal to a run and its workers."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def _stop(processes: Sequence[subprocess.Popen]) -> None:
    """End runs, gently at first."""
    for process in processes:
        _signal(process, signal.SIGINT)
    end = time.monotonic() + _PATIENCE
    for process in processes:
        try:
            process.wait(max(end - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            pass
        _signal(process, signal.SIGKILL)
        process.wait()


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM interrupt as SIGINT does, a background job's too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)


def _reason(folder: Path, code: int) -> str:
    """Say why a run ended: the last line of its log, its status."""
    lines = [
        line.strip() for line in (folder / LOG).read_text(
            errors='replace').splitlines()
    ]
    last = next((line for line in reversed(lines) if line), 'no output')
    return f'{last[:300]} (exit status {code})'


def _finish(folder: Path, run: Run, code: int) -> bool:
    """Record how a run ended; returns whether it is finished."""
    if load_result(folder.parent, run) is not None:
        return True
    # What crashed starts anew when it is tried again.
    for checkpoint in folder.glob('*.pth'):
        checkpoint.unlink()
    failure = dict(identity=run.identity, reason=_reason(folder, code))
    text = json.dumps(failure, indent=2) + '\n'
    write_atomically(folder / FAILURE, text.encode(), False)
    return False


def run_all(runs: Sequence[Run],
            folder: Path,
            jobs: int = 1,
            told: Optional[Callable[[Run, str], None]] = None) -> List[Run]:
    """Do every run that is not finished.

    Args:
        runs (Sequence[Run]): The runs, in this order.
        folder (Path): Of all runs.
        jobs (int): How many at a time. Default: 1.
        told (Callable, optional): Is called with a run and 'starts',
            'done', 'crashed' or 'found'. Default: None.

    Returns:
        list[Run]: Those that crashed.

    Raises:
        KeyboardInterrupt: If it is interrupted, after all processes ended.
    """
    tell = told or (lambda run, what: None)
    waiting, crashed = [], []
    # Two in one folder would be one twice.
    for run in {run.folder: run for run in runs}.values():
        if load_result(folder, run) is None:
            waiting.append(run)
        else:
            tell(run, 'found')
    active: Dict[int, Any] = {}
    try:
        while waiting or active:
            for slot in range(jobs):
                if waiting and slot not in active:
                    run = waiting.pop(0)
                    own = folder / run.folder
                    _prepare(own, run)
                    tell(run, 'starts')
                    active[slot] = (run, own, _start(own, jobs, slot))
            time.sleep(0.1)
            for slot, (run, own, process) in list(active.items()):
                code = process.poll()
                if code is None:
                    continue
                del active[slot]
                done = _finish(own, run, code)
                if not done:
                    crashed.append(run)
                tell(run, 'done' if done else 'crashed')
    finally:
        _stop([process for _, _, process in active.values()])
    return crashed
