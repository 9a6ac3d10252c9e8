"""Reading what a run of mmengine leaves in its folder.

``WORK_DIR`` has a folder for each run, named by its time: a text log,
``vis_data/scalars.json`` with one JSON object a line, of training or of a
validation, ``vis_data/config.py``, and after a test ``<time>.json``. Scores
of single classes are in the text log alone, as tables.
"""

import json
import math
import re
from numbers import Number
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

Scalars = Dict[str, float]

_LINE = re.compile(r'^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) - \S+ - [A-Z]+ - (.*)$')
_PHASE = re.compile(r'(?:Iter|Epoch)\((train|val|test)\)\s+(.*)$')
_ITERATION = re.compile(r'^\[\s*(\d+)/(\d+)\]')
_EPOCH = re.compile(r'^\[(\d+)\]\s*\[\s*(\d+)/(\d+)\]')
_VALUE = re.compile(r'(\S+): (-?\d+(?:\.\d+)?(?:e[-+]?\d+)?|nan|-?inf)'
                    r'(?=\s|$)')
_RULE = re.compile(r'^-{20,}$')
# Titles of the first column of tables of classes and of data sets.
_TABLES = ('class', 'category', 'data set')
# Not results: when and how fast.
TIMES = ('time', 'data_time', 'memory', 'eta')
_PLACES = ('step', 'iter', 'epoch')
_SHOWN_PROBLEMS = 5


class Record(NamedTuple):
    """Scalars logged at an iteration; ``epoch`` if epochs are counted."""

    step: int
    values: Scalars
    epoch: Optional[int] = None


class ClassTable(NamedTuple):
    """A table that a metric printed."""

    phase: str
    step: int
    titles: Tuple[str, ...]
    rows: Tuple[Tuple[str, ...], ...]


class Log(NamedTuple):
    """What the text log of a run tells."""

    environment: Tuple[Tuple[str, str], ...] = ()
    tables: Tuple[ClassTable, ...] = ()
    train: Tuple[Record, ...] = ()
    val: Tuple[Record, ...] = ()
    name: str = ''
    started: str = ''
    ended: str = ''
    # how far it came, in words
    reached: str = ''


class Run(NamedTuple):
    """All that is known of a run; ``problems`` says what is not."""

    folder: Path
    train: Tuple[Record, ...]
    val: Tuple[Record, ...]
    tests: Scalars
    log: Log
    problems: Tuple[str, ...]


def find_runs(work_dir: Path) -> List[Path]:
    """Find the folders of runs in a working folder, oldest first.

    Args:
        work_dir (Path): ``work_dir`` of the runs, or the folder of one run.

    Raises:
        FileNotFoundError: If it does not exist, or has no logs.
        NotADirectoryError: If it is a file.
    """
    if not work_dir.exists():
        raise FileNotFoundError(f'no such folder: {work_dir}')
    if not work_dir.is_dir():
        raise NotADirectoryError(
            f'{work_dir} is a file, expected the work_dir of a run')
    runs = sorted(child for child in work_dir.iterdir() if _is_run(child))
    if not runs and _is_run(work_dir):
        return [work_dir]
    if not runs:
        below = sorted({
            str(path.parent.parent) for path in work_dir.glob('*/*/vis_data')})
        hint = f'; there are some in {", ".join(below[:3])}' if below else ''
        raise FileNotFoundError(
            f'{work_dir} has no logs of a run: expected folders like '
            f'20250131_120000 with a .log file or vis_data/*.json{hint}')
    return runs


def _is_run(folder: Path) -> bool:
    return folder.is_dir() and (
        any(folder.glob('*.log')) or any(folder.glob('vis_data/*.json')))


def choose_run(work_dir: Path,
               name: Optional[str] = None) -> Tuple[Run, List[Run]]:
    """Read the latest run that trained, else the latest one.

    Args:
        work_dir (Path): See :func:`find_runs`.
        name (str, optional): Its name, in place of the latest.
            Defaults to None.

    Returns:
        tuple[Run, list[Run]]: The run, and the others, latest first.

    Raises:
        FileNotFoundError: If there is none, or none of that name.
        ValueError: If nothing in its logs can be read.
    """
    folders = find_runs(work_dir)
    if name is not None and name not in [f.name for f in folders]:
        raise FileNotFoundError(
            f'{work_dir} has no run {name!r}; there are: '
            f'{", ".join(f.name for f in folders)}')
    runs = [read_run(folder) for folder in reversed(folders)]
    chosen = runs[0]
    if name is not None:
        chosen = next(run for run in runs if run.folder.name == name)
    else:
        chosen = next((run for run in runs if run.train), runs[0])
    if not (chosen.train or chosen.val or chosen.tests
            or chosen.log.environment):
        raise ValueError(f'nothing in the logs of {chosen.folder} can be '
                         f'read: {"; ".join(chosen.problems) or "empty"}')
    return chosen, [run for run in runs if run is not chosen]


def read_run(folder: Path) -> Run:
    """Read a run; what cannot be read is told in its ``problems``."""
    problems: List[str] = []
    logs = sorted(folder.glob('*.log'))
    log = read_log(logs[-1]) if logs else Log()
    if not logs:
        problems.append('there is no text log: environment and scores of '
                        'classes are missing')
    train, val = log.train, log.val
    files = [folder / 'vis_data' / 'scalars.json']
    files += sorted(folder.glob('vis_data/[0-9]*.json'))
    for file in files:
        if file.is_file() and file.stat().st_size:
            found = read_scalars(file, problems)
            if any(found):
                train, val = found
                break
    else:
        if train or val:
            problems.append('there are no vis_data/*.json: figures are taken '
                            'from the text log, with four digits')
    tests: Scalars = {}
    for file in sorted(folder.glob('[0-9]*.json')):
        try:
            content = json.loads(file.read_text())
            tests.update(numbers(content))
        except (AttributeError, OverflowError, RecursionError,
                ValueError) as error:
            problems.append(f'{file.name}: {error}')
    lost = [record.step for record in train
            if not math.isfinite(record.values.get('loss', 0.))]
    if lost:
        problems.append(f'the loss is not finite {len(lost)} times, first at '
                        f'iteration {lost[0]}')
    return Run(folder, train, val, tests, log, tuple(problems))


def numbers(content: Dict[str, Any]) -> Scalars:
    """Keep numbers; a COCO measure of -1 says that there are no objects."""
    found = {}
    for key, value in content.items():
        if isinstance(value, bool) or not isinstance(value, Number):
            continue
        none = value == -1 and key.startswith('coco/')
        found[str(key)] = math.nan if none else float(value)
    return found


def read_scalars(
    file: Path, problems: List[str]
) -> Tuple[Tuple[Record, ...], Tuple[Record, ...]]:
    """Read the scalars that the local back end writes.

    Args:
        file (Path): One JSON object a line.
        problems (list[str]): Lines that cannot be read are told there.

    Returns:
        tuple[tuple[Record, ...], tuple[Record, ...]]: Of training and of
        validation. mmengine may count a validation in epochs: it gets the
        iteration of the training logged before it.
    """
    train: List[Record] = []
    val: List[Record] = []
    bad = []
    text = file.read_text(encoding='utf-8', errors='replace')
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
            step = content.get('step', content.get('iter', 0))
            step = int(step)
            epoch = content.get('epoch')
            values = numbers({
                k: v for k, v in content.items() if k not in _PLACES})
        except (AttributeError, OverflowError, RecursionError, TypeError,
                ValueError):
            bad.append(number)
            continue
        if 'iter' in content or 'lr' in content or 'loss' in content:
            epoch = epoch if isinstance(epoch, int) else None
            train.append(Record(step, values, epoch))
        else:
            before = train[-1] if train else Record(step, {})
            val.append(Record(max(step, before.step), values, before.epoch))
    if bad:
        shown = ', '.join(map(str, bad[:_SHOWN_PROBLEMS]))
        more = ', ...' if len(bad) > _SHOWN_PROBLEMS else ''
        problems.append(
            f'{file.name}: {len(bad)} lines cannot be read as JSON and were '
            f'left out (line {shown}{more}): was the run cut off?')
    return tuple(train), tuple(val)


def read_log(file: Path) -> Log:
    """Read the text log of a run."""
    lines = file.read_text(encoding='utf-8', errors='replace').splitlines()
    fields: Dict[str, Any] = {}
    train: List[Record] = []
    val: List[Record] = []
    tables: List[ClassTable] = []
    pending: List[ClassTable] = []
    for line in lines:
        stamped = _LINE.match(line)
        if stamped is None:
            continue
        fields.setdefault('started', stamped[1])
        fields['ended'] = stamped[1]
        message = stamped[2]
        if message.startswith('Exp name: '):
            fields['name'] = message[len('Exp name: '):].strip()
    for kind, content in _events(lines):
        if kind == 'table':
            pending.append(content)
            continue
        phase, rest = content
        epoch, done, values = _place_and_values(rest)
        if phase == 'train':
            if done is None:
                continue
            fields['reached'] = (
                f'iteration {done[0]} of {done[1]}'
                if epoch is None else f'epoch {epoch}, iteration {done[0]}')
            train.append(Record(done[0], values, epoch))
        elif any(key not in TIMES for key in values):
            # the line with the results, after those of progress
            step = train[-1].step if train else 0
            tables += [
                table._replace(phase=phase, step=step) for table in pending]
            pending = []
            if phase == 'val':
                epoch = train[-1].epoch if train else None
                val.append(Record(step, numbers(values), epoch))
    tables += pending
    return Log(
        environment=tuple(_environment(lines)), tables=tuple(tables),
        train=tuple(train), val=tuple(val), **fields)


def _events(lines: List[str]) -> Iterator[Tuple[str, Any]]:
    """Find lines of progress and of results, and tables between them."""
    block: List[str] = []
    for line in [*lines, '']:
        if line[:1] in '+|' and line.strip():
            block.append(line)
            continue
        if block:
            table = _table(block)
            block = []
            if table is not None:
                yield 'table', table
        stamped = _LINE.match(line)
        found = stamped and _PHASE.search(stamped[2])
        if found:
            yield 'phase', (found[1], found[2])


def _place_and_values(
    text: str
) -> Tuple[Optional[int], Optional[Tuple[int, int]], Scalars]:
    """Take ``[3][15/20]  loss: 1.0 ...`` apart.

    Returns:
        tuple: The epoch if there is one, iterations done and planned (in
        epochs: planned so far), and the values.
    """
    epoch, done = None, None
    place = _EPOCH.match(text)
    if place:
        epoch = int(place[1])
        length = int(place[3])
        done = ((epoch - 1) * length + int(place[2]), epoch * length)
    else:
        place = _ITERATION.match(text)
        if place:
            done = (int(place[1]), int(place[2]))
    values = {
        key: float(value)
        for key, value in _VALUE.findall(text[place.end() if place else 0:])
    }
    return epoch, done, values


def _table(block: List[str]) -> Optional[ClassTable]:
    """Read a table drawn in characters, if it is one of ours to show."""
    rows = [
        tuple(cell.strip() for cell in line.strip().strip('|').split('|'))
        for line in block if line.startswith('|')
    ]
    if len(rows) < 2 or rows[0][0].lower() not in _TABLES:
        return None
    width = len(rows[0])
    rows = [row for row in rows if len(row) == width]
    return ClassTable('', 0, rows[0], tuple(rows[1:]))


def _environment(lines: List[str]) -> Iterator[Tuple[str, str]]:
    """Read the environment that a run logs when it starts."""
    inside = False
    for line in lines:
        if line.strip() in ('System environment:', 'Runtime environment:'):
            inside = True
        elif inside and _RULE.match(line.strip()):
            return
        elif inside:
            # what it was compiled with goes on below, less indented
            entry = re.match(r'^    (\S[^:]*): (.*)$', line)
            if entry and not entry[2].startswith('PyTorch built with'):
                yield entry[1], entry[2].strip()


def last_tables(tables: Tuple[ClassTable, ...]) -> List[ClassTable]:
    """Keep the last table of each phase and kind."""
    kept = {(table.phase, table.titles): table for table in tables}
    return sorted(kept.values(), key=lambda table: table.phase)
