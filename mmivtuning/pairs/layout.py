"""Writing a data set in our layout, all of it or nothing.

The layout of ``<out>``::

    visible/<split>/<stem>.<ext>     infrared/<split>/<stem>.<ext>
    labels/<split>/<stem>.png        class ids, one channel
    masks/<split>/<stem>.png         saliency, 0 or 255
    annotations/<split>.json         COCO; file_name is the visible file's
    splits/<split>.txt               one stem a line
    meta.json                        source, counts, statistics, version
"""

import hashlib
import json
import os
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import (
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
)

import numpy as np


class PairStatistics:
    """Exact per-channel mean and standard deviation, gathered file by file.

    Sums are integers: the result does not depend on the order of the files
    or on the number of processes.

    Args:
        channels (int): Number of channels. Default: 4 (R, G, B, infrared).
    """

    def __init__(self, channels: int = 4) -> None:
        self.pixels = 0
        self.sums = [0] * channels
        self.squares = [0] * channels

    @staticmethod
    def of_pair(visible: np.ndarray, infrared: np.ndarray) -> list:
        """Sums of one pair.

        Args:
            visible (np.ndarray): B, G, R, shape (H, W, 3), uint8.
            infrared (np.ndarray): Shape (H, W), uint8.

        Returns:
            list: ``[pixels, sums of R, G, B, infrared, their squares]``.
        """
        planes = [visible[..., 2], visible[..., 1], visible[..., 0], infrared]
        sums, squares = [], []
        values = np.arange(256, dtype=np.int64)
        for plane in planes:
            counts = np.bincount(plane.reshape(-1), minlength=256)
            sums.append(int(counts @ values))
            squares.append(int(counts @ values**2))
        return [int(infrared.size), sums, squares]

    def add(self, part: list) -> None:
        """Add what :meth:`of_pair` returned."""
        self.pixels += part[0]
        self.sums = [a + b for a, b in zip(self.sums, part[1])]
        self.squares = [a + b for a, b in zip(self.squares, part[2])]

    def result(self) -> Optional[Dict[str, List[float]]]:
        """``mean`` and ``std`` in R, G, B, infrared order; None if empty."""
        if not self.pixels:
            return None
        mean = [total / self.pixels for total in self.sums]
        std = [
            max(square / self.pixels - m * m, 0)**0.5
            for square, m in zip(self.squares, mean)
        ]
        return dict(
            mean=[round(value, 3) for value in mean],
            std=[round(value, 3) for value in std])


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that clean-up runs."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    try:
        previous = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def refuse_existing(out: Path, force: bool = False) -> None:
    """Refuse to overwrite.

    Args:
        out (Path): The folder to make.
        force (bool): Whether a data set may be replaced. Default: False.

    Raises:
        FileExistsError: If ``out`` exists, is not an empty folder, and
            ``force`` is not set; with ``force``, if it is no data set in our
            layout.
    """
    occupied = any(out.iterdir()) if out.is_dir() else os.path.lexists(out)
    if occupied and not force:
        raise FileExistsError(
            f'{out} exists; expected a folder that does not exist or is '
            'empty (--force replaces it)')
    if occupied and not (out / 'meta.json').is_file():
        raise FileExistsError(
            f'{out} exists and holds no meta.json; only a data set in the '
            'layout of mmivtuning is ever replaced')


class Interrupted(RuntimeError):
    """Something ended before it was finished, and can be resumed."""


@contextmanager
def atomic_folder(out: Path,
                  force: bool = False,
                  resumes: Optional[Callable[[Path], bool]] = None
                  ) -> Iterator[Path]:
    """Fill a temporary folder beside ``out``, which becomes ``out`` at last.

    If the body raises, or the process is asked to end, the temporary folder
    is removed and ``out`` stays as it was. What a killed process has left is
    removed by the next one.

    Args:
        out (Path): The folder to make.
        force (bool): Replace ``out`` if it exists. Default: False.
        resumes (callable, optional): Takes the temporary folder that an
            ended process has left; whether to resume with it. The folder is
            then kept when the process is asked to end, or if the body raises
            :class:`Interrupted`. Default: None, never.

    Yields:
        Path: The temporary folder, empty unless it is resumed.

    Raises:
        FileExistsError: See :func:`refuse_existing`.
    """
    out = Path(os.path.abspath(out))
    refuse_existing(out, force)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = unfinished(out, 'partial')
    with exit_on_sigterm():
        if resumes is not None:
            # An interrupted call of this very process may have left one, too.
            for path in (partial, *_left(out, 'partial')):
                if path.is_dir() and resumes(path):
                    path.rename(partial)
                    break
            else:
                _remove(partial)
        partial.mkdir(exist_ok=resumes is not None)
        remove_leftovers(out)
        try:
            yield partial
            _swap(partial, out)
        except BaseException as error:
            stopped = (KeyboardInterrupt, SystemExit, Interrupted)
            if resumes is None or not isinstance(error, stopped):
                shutil.rmtree(partial, ignore_errors=True)
            raise


@contextmanager
def atomic_file(path: Path, clear: bool = True) -> Iterator[Path]:
    """Write a temporary file beside ``path``, which becomes ``path`` at last.

    Args:
        path (Path): The file to make; its folder is made, too.
        clear (bool): Whether what killed processes left of this file is
            looked for, which lists the folder. Default: True.

    Yields:
        Path: The temporary file, which does not exist yet.
    """
    path = Path(os.path.abspath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    if clear:
        remove_leftovers(path)
    partial = unfinished(path, 'partial')
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _swap(partial: Path, out: Path) -> None:
    """Put a finished folder in its place."""
    old = unfinished(out, 'old')
    if os.path.lexists(out):
        out.rename(old)
    try:
        partial.rename(out)
    except OSError:
        if os.path.lexists(old):
            old.rename(out)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def unfinished(path: Path, kind: str) -> Path:
    """Name what this process makes before it becomes ``path``.

    Args:
        path (Path): The file or folder.
        kind (str): ``'partial'``, ``'old'`` or ``'unpacked'``.
    """
    return path.with_name(f'{_marker(path, kind)}{os.getpid()}')


def _marker(path: Path, kind: str) -> str:
    """How such names begin; a name as long as allowed is hashed."""
    name = os.fsencode(path.name)
    short = hashlib.sha256(name).hexdigest()
    return f'.{path.name if len(name) < 200 else short}.{kind}-'


def _left(out: Path, kind: str) -> List[Path]:
    """List what ended processes have left beside a file or folder."""
    marker = _marker(out, kind)
    found = []
    for path in sorted(out.parent.iterdir()):
        number = path.name[len(marker):]
        if (path.name.startswith(marker) and number.isdigit()
                and int(number) != os.getpid() and not _alive(int(number))):
            found.append(path)
    return found


def remove_leftovers(out: Path) -> None:
    """Clear what killed processes left; bring an interrupted swap back.

    Args:
        out (Path): The folder that they were making.
    """
    for kind in ('old', 'partial', 'unpacked'):
        for path in _left(out, kind):
            if kind == 'old' and not os.path.lexists(out):
                path.rename(out)
            else:
                _remove(path)


def clear_partials(folder: Path) -> None:
    """Clear half-written files of killed processes below a folder."""
    for path in Path(folder).rglob('.*.partial-*'):
        number = path.name.rpartition('-')[2]
        if number.isdigit() and not _alive(int(number)):
            _remove(path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder, which must exist.

    Raises:
        RuntimeError: If another process is in it.
    """
    import fcntl
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise RuntimeError(
            f"another process writes to '{folder}'") from error
    except OSError:
        # a file system without locks
        pass
    try:
        yield
    finally:
        os.close(handle)


def _alive(process: int) -> bool:
    """Whether a process of this number runs here."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_json(path: Path, content: object, indent: Optional[int] = None
               ) -> None:
    """Write JSON with a fixed layout; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(content, indent=indent, ensure_ascii=False) + '\n',
        encoding='utf-8')


def write_stems(path: Path, stems: Iterable[str]) -> None:
    """Write the list of a split, one stem a line; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(f'{stem}\n' for stem in stems), encoding='utf-8')


def coco_document(classes: Sequence[str], images: List[dict],
                  annotations: List[dict], info: str) -> dict:
    """A COCO document whose category ids follow the classes from 1.

    Args:
        classes (Sequence[str]): Names of the things.
        images (List[dict]): With ``id``, ``file_name``, ``height``,
            ``width``.
        annotations (List[dict]): With ``image_id``, ``category_id``,
            ``bbox``; they are numbered here.
        info (str): Where the data come from.

    Returns:
        dict: The document.
    """
    for number, annotation in enumerate(annotations, 1):
        annotation['id'] = number
    return dict(
        info=dict(description=info),
        images=images,
        annotations=annotations,
        categories=[
            dict(id=number, name=name)
            for number, name in enumerate(classes, 1)
        ])


def run_length(mask: np.ndarray) -> dict:
    """Uncompressed COCO run lengths of a mask.

    Args:
        mask (np.ndarray): Shape (H, W), bool.

    Returns:
        dict: ``size`` [H, W] and ``counts``, runs of 0 and 1 in column-major
        order, beginning with 0.
    """
    flat = np.asarray(mask, bool).reshape(-1, order='F')
    changes = np.flatnonzero(np.diff(flat)) + 1
    edges = np.concatenate([[0], changes, [flat.size]])
    counts = np.diff(edges).tolist()
    if flat[0]:
        counts.insert(0, 0)
    return dict(size=list(mask.shape), counts=counts)
