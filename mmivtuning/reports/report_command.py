"""The command that writes a page about a run: ``mmivtuning report``."""

import argparse
import math
import sys
import warnings
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from mmengine.config import Config

from mmivtuning.engine.data_root import ConfigOptions, read_config
from mmivtuning.pairs.reporting import write_atomically
from mmivtuning.version import __version__

from .curves import (
    keys_of,
    series_of,
    smaller_is_better,
    training_curves,
    validation_curves,
)
from .page import render
from .runs import TIMES, Record, Run, Scalars, choose_run, last_tables
from .samples import PREFERRED, SampleReport, rank_samples

SECTIONS = (('curves', 'Training'), ('validation', 'Validation and test'),
            ('classes', 'Classes'), ('samples', 'Samples'),
            ('parameters', 'Parameters'), ('environment', 'Environment'),
            ('runs', 'Other runs'))
NOTHING = '–'

Table = List[Tuple[str, ...]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add = parser.add_argument
    add('work_dir', type=Path, help='work_dir of a run, or its own folder')
    add('--out', type=Path, metavar='FILE',
        help='the page (default: report.html in WORK_DIR)')
    add('--run', dest='run_name', metavar='NAME',
        help='folder of the run; default: the latest that trained')
    add('--checkpoint', type=Path, metavar='FILE',
        help='run the test set through it (.pth, or an adapter, '
        '.safetensors) and show the best and the worst samples')
    add('--samples', type=int, default=4, metavar='N',
        help='best and worst samples, each (default: %(default)s)')
    add('--measure', metavar='KEY', help='what samples are ranked by, as '
        'mIoU (default: the main one of the test)')
    add('--config', type=Path, metavar='FILE',
        help='config of the run; default: the one it saved')
    add('--cfg-options', nargs='+', action=ConfigOptions, default={},
        help='KEY=VALUE ... that change the config; data_root moves every '
        'data set')


def run(args: argparse.Namespace) -> int:
    """Write the page; returns the exit status.

    Returns:
        int: 0, or 2 if nothing was written.
    """
    try:
        page = _page(args)
        out = args.out or args.work_dir / 'report.html'
        write_atomically(out, page.encode())
    # Stock models and data sets raise whatever a config leads them to.
    except Exception as error:
        told = str(error) if isinstance(
            error, (OSError, ValueError)) else (
                f'{type(error).__name__}: {error}')
        sys.stderr.write(f'error: {told}\n')
        return 2
    sys.stdout.write(f'{out}\n')
    return 0


def _page(args: argparse.Namespace) -> str:
    """Put together the page."""
    if args.checkpoint is not None and args.samples < 1:
        raise ValueError(f'--samples must be at least 1, got {args.samples}')
    run, others = choose_run(args.work_dir, args.run_name)
    file = args.config or find_config(run.folder)
    cfg, problem = None, ''
    if file is None:
        problem = 'The run saved no config: give one with --config.'
    else:
        cfg = read_config(file, args.cfg_options)
    samples = None
    if args.checkpoint is not None:
        if cfg is None:
            raise ValueError(f'{run.folder} has no config to test with: give '
                             'one with --config')
        samples = rank_samples(cfg, args.checkpoint, args.samples,
                               args.measure)
    parameters, caption = None, problem
    if cfg is not None:
        parameters, caption = parameter_table(cfg)
    classes = [(f'{table.phase or "not finished"}, iteration {table.step}',
                [table.titles, *table.rows])
               for table in last_tables(run.log.tables)]
    tests = [(f'Test {one.folder.name}', measures(one.tests))
             for one in (run, *others) if one.tests]
    if samples is not None:
        tests.insert(0, (f'Test of {args.checkpoint}, now',
                         measures(samples.metrics)))
        classes = [(f'Test of {args.checkpoint}, now',
                    [table.titles, *table.rows])
                   for table in samples.tables] + classes
    results = result_table(run.val)
    folder = args.work_dir if args.work_dir != run.folder else run.folder
    return render(
        title=title_of(run, file),
        folder=str(run.folder),
        sections=SECTIONS,
        problems=list(run.problems),
        facts=facts(run, samples),
        curves=training_curves(run.train),
        validation_curves=validation_curves(run.val),
        results=results,
        tests=tests,
        classes=classes,
        samples=samples,
        checkpoint=str(args.checkpoint),
        samples_command=(f'python -m mmivtuning report {folder} --checkpoint '
                         f'{latest_checkpoint(run.folder)} --samples '
                         f'{args.samples}'),
        parameters=parameters,
        parameters_caption=caption,
        config=str(file),
        config_text=cfg.pretty_text if cfg is not None else '',
        environment=[('what', 'value'), *run.log.environment],
        others=other_runs(others),
        version=__version__)


def find_config(folder: Path) -> Optional[Path]:
    """Find the config that a run saved.

    Args:
        folder (Path): Of the run.

    Returns:
        Path | None: That of the run, else the only one of its work_dir.
    """
    own = folder / 'vis_data' / 'config.py'
    if own.is_file():
        return own
    saved = sorted(folder.resolve().parent.glob('*.py'))
    return saved[0] if len(saved) == 1 else None


def latest_checkpoint(folder: Path) -> str:
    """Name the last checkpoint of a run, or what stands for it."""
    pointer = folder.resolve().parent / 'last_checkpoint'
    if pointer.is_file():
        return pointer.read_text(errors='replace').strip() or 'FILE'
    return 'FILE'


def title_of(run: Run, config: Optional[Path]) -> str:
    """Name a run by its config."""
    name = run.log.name
    ending = f'_{run.folder.name}'
    if name.endswith(ending):
        name = name[:-len(ending)]
    if not name and config is not None and config.stem != 'config':
        name = config.stem
    return name or run.folder.resolve().parent.name or run.folder.name


def facts(run: Run, samples: Optional[SampleReport]) -> Table:
    """Collect the few figures that stand first."""
    found = [('Started', run.log.started), ('Last line', run.log.ended),
             ('Reached', run.log.reached)]
    losses = series_of(run.train, ['loss'])['loss']
    if losses:
        found.append(('Loss, last', number(losses[-1][1])))
    keys = [key for key in keys_of(run.val) if key not in TIMES]
    main = next((key for key in PREFERRED if key in keys),
                keys[0] if keys else None)
    if main is not None:
        best = best_of(series_of(run.val, [main])[main], main)
        if best is not None:
            found.append((f'{main}, best', number(best[1])))
    if samples is not None and samples.measure in samples.metrics:
        found.append((f'{samples.measure}, test now',
                      number(samples.metrics[samples.measure])))
    return [(name, value) for name, value in found if value]


def number(value: float) -> str:
    """Write a number; what is none as a dash."""
    return f'{value:.4g}' if math.isfinite(value) else NOTHING


def best_of(points: Sequence[Tuple[int, float]],
            key: str) -> Optional[Tuple[int, float]]:
    """Find the best value of a measure and its iteration."""
    finite = [point for point in points if math.isfinite(point[1])]
    if not finite:
        return None
    choose = min if smaller_is_better(key) else max
    return choose(finite, key=lambda point: point[1])


def result_table(records: Sequence[Record]) -> Table:
    """Lay out the last and the best value of every measure."""
    rows: Table = [('measure', 'last', 'at iteration', 'best',
                    'at iteration')]
    keys = [key for key in keys_of(records) if key not in TIMES]
    for key, points in series_of(records, keys).items():
        best = best_of(points, key)
        step, value = points[-1]
        rows.append((key, number(value), str(step),
                     number(best[1]) if best else NOTHING,
                     str(best[0]) if best else NOTHING))
    return rows


def measures(found: Scalars) -> Table:
    """Lay out the measures of a test."""
    return [('measure', 'value')] + [
        (key, number(value))
        for key, value in found.items() if key not in TIMES]


def other_runs(runs: Sequence[Run]) -> Table:
    """List the other runs of a folder."""
    rows: Table = [('run', 'kind', 'iterations', 'validations')]
    for one in runs:
        kind = 'training' if one.train else 'test' if one.tests else 'nothing'
        steps = NOTHING
        if one.train:
            steps = f'{one.train[0].step} to {one.train[-1].step}'
        rows.append((one.folder.name, kind, steps, str(len(one.val))))
    return rows


def parameter_table(cfg: Config) -> Tuple[Optional[Table], str]:
    """Count parameters by part.

    Returns:
        tuple: A table and its caption; or None and why there is none.
    """
    from mmivtuning.engine.complexity import (
        as_rows,
        build_model,
        count_parts,
        summary,
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            found = count_parts(build_model(cfg))
    # The page is of use without this table.
    except Exception as error:
        return None, (f'The model cannot be built here: '
                      f'{type(error).__name__}: {error}')
    return as_rows(found), ' '.join(summary(found))
