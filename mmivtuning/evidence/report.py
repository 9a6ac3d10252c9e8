"""What a study writes: a page in Markdown, tables as CSV, plots."""

from pathlib import Path
from typing import Any, Iterable, List, Optional, Sequence, Tuple

from mmivtuning.analysis.command_line import write_csv
from mmivtuning.pairs.reporting import write_atomically

from .plots import draw_costs, draw_fractions, draw_scores
from .statistics import LEVEL, Interval, judge
from .study import CONDITIONS, Subject
from .subjects import Present
from .tables import (
    DIFFERENCE_COLUMNS,
    RUN_COLUMNS,
    SUMMARY_COLUMNS,
    Cell,
    Outcome,
    difference_rows,
    run_rows,
    summary_rows,
)

PAGE = 'results.md'
_TABLES = ('runs', 'summary', 'differences')
_PLOTS = {
    'scores.png': draw_scores,
    'fractions.png': draw_fractions,
    'costs.png': draw_costs
}
# All that may be shown to others: no pair, no crop, no map of one.
SHOWN = (PAGE, *(f'{name}.csv' for name in _TABLES), *_PLOTS)
_NOTHING = '–'
_IDLE = 'one class only'


def _cell(value: Any) -> str:
    """Make a text fit into a cell of a table."""
    return ' '.join(str(value).split()).replace('|', r'\|') or _NOTHING


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> List[str]:
    """Make a table in Markdown, the first columns on the left."""
    lines = ['| ' + ' | '.join(header) + ' |',
             '| --- |' + ' ---: |' * (len(header) - 1)]
    lines += ['| ' + ' | '.join(map(_cell, row)) + ' |' for row in rows]
    return [*lines, '']


def spread(cell: Optional[Cell], digits: int = 1) -> str:
    """Write a mean and its standard deviation; a lone seed has none."""
    if cell is None:
        return _NOTHING
    if len(cell.by_seed) < 2:
        return f'{cell.mean:.{digits}f} (one seed)'
    return f'{cell.mean:.{digits}f} ± {cell.deviation:.{digits}f}'


def _interval(interval: Optional[Interval]) -> str:
    """Write an interval."""
    if interval is None:
        return _NOTHING
    return f'{interval[0]:+.1f} to {interval[1]:+.1f}'


def _difference(outcome: Outcome, subject: Subject, better: str, than: str,
                share: float = 1.) -> Optional[List[str]]:
    """Write a difference into the cells of a row; None if there is none."""
    measure = subject.measures[0]
    found = outcome.difference(subject.name, better, than, measure, share)
    if found is None:
        return None
    seeds = ', '.join(f'{gap:+.1f}' for gap in found.by_seed.values())
    idle = outcome.idle_of(subject.name, measure, (better, than), share)
    return [f'{found.mean:+.1f}', seeds, _interval(found.seeds),
            _interval(found.pairs),
            found.verdict + (f' ({_IDLE}: {idle} runs)' if idle else '')]


def _subject_section(outcome: Outcome, present: Present) -> List[str]:
    """Write the tables of a data set."""
    subject = present.subject
    lines = [f'## {subject.name}', '']
    if subject.note:
        lines += [' '.join(subject.note.split()), '']
    names = ', '.join(f'{measure.name} in {measure.unit}'
                      for measure in subject.measures)
    lines += [
        f'{names}: mean ± standard deviation over seeds; '
        f'{len(present.positions)} training pairs, {present.tested} '
        f'validation pairs, {subject.steps} steps of {subject.batch} pairs.',
        ''
    ]
    methods = outcome.study.methods
    rows = []
    first, *others = subject.measures
    costs = outcome.costs(subject.name)
    for name, method in methods.items():
        choice = outcome.choices.get((subject.name, name))
        row = [name, len(outcome.of(subject.name, name))]
        row += [
            spread(outcome.cell(subject.name, name, first, condition))
            if condition in method.tests else 'not tested'
            for condition in CONDITIONS
        ]
        row += [
            spread(outcome.cell(subject.name, name, other), other.digits)
            for other in others
        ]
        paid = [outcome.cost(subject.name, name, cost) for cost in costs]
        row += [_NOTHING if value is None else format(value, cost.form)
                for value, cost in zip(paid, costs)]
        row.append(_NOTHING if choice is None or choice.rate is None else
                   f'{choice.rate:g}')
        rows.append(row)
    lines += table([
        'method', 'seeds', *(f'{first.name}, {c}' for c in CONDITIONS),
        *(f'{other.name}, pair' for other in others),
        *(cost.name for cost in costs), 'rate'
    ], rows)
    idle = outcome.idle(subject.name, first)
    if idle:
        named = ', '.join(f'{run.label} (loss {loss:.3f})'
                          for run, loss in idle)
        lines += [
            f'**One class only, or no box, is predicted** by {named}. Either '
            'nothing was learnt, or what was learnt keeps a probability '
            'below a half: a loss like that of other seeds (runs.csv) says '
            'the latter. Differences of these runs are no evidence.', ''
        ]
    contrasts = outcome.contrasts()
    if contrasts:
        lines += ['Differences on the pair, in points, seed by seed:', '']
        unknown = [_NOTHING] * 4 + ['not measured']
        lines += _differences([
            (f'{a} − {b}', _difference(outcome, subject, a, b) or unknown)
            for a, b in contrasts])
    return lines + _shares_section(outcome, present)


def _differences(named: Iterable[Tuple[str, List[str]]]) -> List[str]:
    """Write a table of differences."""
    return table([
        'first − second', 'mean', 'by seed', f'{LEVEL:.0%} over seeds',
        f'{LEVEL:.0%} over pairs', 'first is better'
    ], [[name, *cells] for name, cells in named])


def _shares_section(outcome: Outcome, present: Present) -> List[str]:
    """Write what shares of the training pairs give; [] for all alone."""
    subject = present.subject
    first, shares = subject.measures[0], subject.shares
    if len(shares) < 2:
        return []
    lines = ['By share of the training pairs:', '']
    lines += table(['method', *(f'{share:.0%}' for share in shares)], [
        [name, *(spread(outcome.cell(subject.name, name, first,
                                     fraction=share)) for share in shares)]
        for name in outcome.study.methods
    ])
    gaps = [(f'{a} − {b}, {share:.0%}',
             _difference(outcome, subject, a, b, share))
            for share in shares if share < 1
            for a, b in outcome.contrasts()]
    gaps = [(name, cells) for name, cells in gaps if cells is not None]
    if gaps:
        lines += ['Differences at shares of the training pairs, on the pair, '
                  'in points, seed by seed:', '', *_differences(gaps)]
    return lines


def _claims(outcome: Outcome) -> List[str]:
    """Write what became of the claims."""
    study = outcome.study
    claims = [c for c in study.claims
              if {c.better, c.than} <= set(study.methods)]
    if not claims or not outcome.present:
        return []
    rows = []
    for claim in claims:
        row = [f'{claim.text} ({claim.better} − {claim.than})']
        for present in outcome.present:
            name = present.subject.name
            measure = present.subject.measures[0]
            found = outcome.difference(name, claim.better, claim.than,
                                       measure)
            gap = '' if found is None else f' ({found.mean:+.1f})'
            idle = outcome.idle_of(name, measure, (claim.better, claim.than))
            row.append(judge(found) + gap + (f', {_IDLE}' if idle else ''))
        rows.append(row)
    number = len(claims) * len(outcome.present)
    lines = ['## Claims', '']
    lines += table(['claim', *(p.subject.name for p in outcome.present)],
                   rows)
    lines += [
        f'{number} judgements, not corrected for their number: of forty '
        f'without any effect, one interval of {LEVEL:.0%} would be expected '
        'above 0, and one below. Where a run predicts '
        f'{_IDLE}, which is marked, a difference is no evidence.', ''
    ]
    left_out = [c.text for c in study.claims if c not in claims]
    if left_out:
        lines += ['Not in this setting: ' + '; '.join(left_out) + '.', '']
    return lines


def _rates(outcome: Outcome) -> List[str]:
    """Write how rates were chosen."""
    tuned = {key: choice for key, choice in outcome.choices.items()
             if choice.scores}
    if not tuned:
        return []
    rates = sorted({rate for c in tuned.values() for rate in c.scores})
    numbers = {p.subject.name: p.subject.tuning_seeds for p in outcome.present}
    seeds = 'one seed' if set(numbers.values()) == {1} else (
        'mean over seeds (' + ', '.join(
            f'{name}: {number}' for name, number in numbers.items()) + ')')
    lines = [
        '## Rates', '', 'Scores on training pairs that were held out, by '
        f'rate, {seeds}; the same grid and steps for every method.', ''
    ]
    choosers = {p.subject.name: p.subject.chooser for p in outcome.present}
    rows = []
    for (subject, method), choice in tuned.items():
        measure = choosers[subject]
        scores = [f'{choice.scores[rate]:.{measure.digits}f}'
                  if rate in choice.scores else _NOTHING for rate in rates]
        way = 'lowest' if measure.lower_is_better else 'highest'
        rows.append([subject, method, f'{measure.name}, {way}', *scores,
                     f'{choice.rate:g}', choice.remark])
    return lines + table(
        ['data set', 'method', 'chosen by',
         *(f'{rate:g}' for rate in rates), 'chosen', 'remark'], rows)


def _state(outcome: Outcome) -> List[str]:
    """Write what is missing, and what everything was computed with."""
    lines = []
    if outcome.waiting:
        lines += [f'**Not finished: {len(outcome.waiting)} of the runs known '
                  'so far are to be done.**', '']
    if outcome.absent:
        lines += ['Absent data sets:', '']
        lines += [f'- {one.subject.name}: {_cell(one.reason)}'
                  for one in outcome.absent] + ['']
    if outcome.failures:
        lines += ['Runs that crashed (their logs are in the folder):', '']
        lines += [f'- {run.label}: `{_cell(reason)}`'
                  for run, reason in outcome.failures] + ['']
    return lines


def page(outcome: Outcome, command: str, plots: Sequence[str]) -> str:
    """Write the page.

    Args:
        outcome (Outcome): What there is.
        command (str): That made it.
        plots (Sequence[str]): Names of the files that were drawn.

    Returns:
        str: Markdown.
    """
    study = outcome.study
    lines = [f'# {study.title}: {study.setting}', '']
    if study.about:
        lines += [' '.join(study.about.split()), '']
    lines += ['Made by', '', '```bash', command, '```', '']
    lines += _state(outcome)
    lines += _claims(outcome)
    if plots:
        lines += [f'![{Path(name).stem}]({name})' for name in plots] + ['']
    for present in outcome.present:
        lines += _subject_section(outcome, present)
    lines += _rates(outcome)
    lines += ['## Computed with', '']
    for versions in outcome.versions:
        lines += ['- ' + ', '.join(f'{name} {value}'
                                   for name, value in versions.items())]
    if outcome.processors:
        lines += ['- processors: ' + '; '.join(sorted(outcome.processors))]
    if len(outcome.sources) > 1:
        lines += [f'- **{len(outcome.sources)} states of the code of this '
                  'package**: delete the folder to compute all with one']
    lines += ['', 'Times are medians over the steps of a run, then over '
              'seeds, and mean little where several runs share a core. How a '
              'claim is judged: docs/evidence/README.md.']
    return '\n'.join(lines).rstrip() + '\n'


def write(outcome: Outcome, folder: Path, command: str) -> Path:
    """Write page, tables and plots, each file all or nothing.

    Args:
        outcome (Outcome): What there is.
        folder (Path): For the files.
        command (str): That made them.

    Returns:
        Path: The page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns, rows in zip(
            _TABLES, (RUN_COLUMNS, SUMMARY_COLUMNS, DIFFERENCE_COLUMNS),
            (run_rows, summary_rows, difference_rows)):
        write_csv(folder / f'{name}.csv', columns, rows(outcome))
    plots = []
    for name, draw in _PLOTS.items():
        if draw(outcome, folder / name):
            plots.append(name)
        else:  # of an earlier state of the study
            (folder / name).unlink(missing_ok=True)
    path = folder / PAGE
    write_atomically(path, page(outcome, command, plots).encode())
    return path
