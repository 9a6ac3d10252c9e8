"""Curves of a run as pictures that need no other file."""

import base64
import io
import math
from typing import Dict, List, NamedTuple, Sequence, Tuple

from .runs import TIMES, Record

# Points of one curve; more cannot be told apart.
MAX_POINTS = 1000
MAX_COMPONENTS = 9
SIZE = (6.4, 3.4)


class Curve(NamedTuple):
    """A picture of curves, as a data URI, and what it shows, in words."""

    title: str
    picture: str
    text: str


Series = Dict[str, List[Tuple[int, float]]]


def smaller_is_better(key: str) -> bool:
    """Whether a measure is an error."""
    name = key.lower()
    return name.rsplit('/', 1)[-1] == 'mae' or any(
        word in name for word in ('loss', 'error', 'miss_rate'))


def series_of(records: Sequence[Record], keys: Sequence[str]) -> Series:
    """Collect values by key, in order of iterations."""
    found: Series = {}
    for key in keys:
        found[key] = sorted((record.step, record.values[key])
                            for record in records if key in record.values)
    return found


def keys_of(records: Sequence[Record]) -> List[str]:
    """List what was logged, in order of appearance."""
    return list({key: None for record in records for key in record.values})


def training_curves(records: Sequence[Record]) -> List[Curve]:
    """Draw losses, learning rate, gradients, and time of training."""
    keys = keys_of(records)
    losses = [key for key in keys if 'loss' in key and key != 'loss']
    charts = [('Loss', [key for key in keys if key == 'loss'])]
    # One component is the loss itself.
    if len(losses) > 1:
        for start in range(0, len(losses), MAX_COMPONENTS):
            part = losses[start:start + MAX_COMPONENTS]
            charts.append(('Components of the loss', part))
    charts += [
        ('Learning rate', [k for k in keys if k.split('/')[0] == 'lr']),
        ('Accuracy in training', [k for k in keys if 'acc' in k]),
        ('Norm of the gradient', [k for k in keys if k == 'grad_norm']),
        ('Seconds an iteration', [k for k in keys if k in ('time',
                                                           'data_time')]),
        ('Memory, MB', [k for k in keys if k == 'memory'])
    ]
    return _drawn(records, charts)


def validation_curves(records: Sequence[Record]) -> List[Curve]:
    """Draw the measures of validations, shares and percents apart.

    One validation alone makes no curve.
    """
    if len({record.step for record in records}) < 2:
        return []
    keys = [key for key in keys_of(records) if key not in TIMES]
    values = {
        key: [abs(value) for _, value in points if math.isfinite(value)]
        for key, points in series_of(records, keys).items()
    }
    small = [key for key in keys if values[key] and max(values[key]) <= 1]
    large = [key for key in keys if values[key] and key not in small]
    return _drawn(records, [('Validation, 0 to 1', small),
                            ('Validation', large)])


def _drawn(records: Sequence[Record],
           charts: Sequence[Tuple[str, List[str]]]) -> List[Curve]:
    """Draw the charts that have anything to show."""
    curves = []
    for title, keys in charts:
        series = {
            key: points
            for key, points in series_of(records, keys).items()
            if any(math.isfinite(value) for _, value in points)
        }
        if series:
            curves.append(
                Curve(title, draw(series), describe(series, title)))
    return curves


def describe(series: Series, title: str) -> str:
    """Say in words what curves show."""
    parts = []
    for key, points in series.items():
        finite = [(step, value) for step, value in points
                  if math.isfinite(value)]
        (first, start), (last, end) = finite[0], finite[-1]
        low = min(value for _, value in finite)
        high = max(value for _, value in finite)
        if len(finite) == 1:
            parts.append(f'{key} {start:.4g} at iteration {first}')
        else:
            parts.append(
                f'{key} from {start:.4g} at iteration {first} to {end:.4g} '
                f'at iteration {last}, between {low:.4g} and {high:.4g}')
    return f'{title}: ' + '; '.join(parts) + '.'


def _thinned(points: List[Tuple[int, float]]) -> List[Tuple[int, float]]:
    """Leave out points of very long curves, never the last."""
    stride = max(1, math.ceil(len(points) / MAX_POINTS))
    return points[:-1:stride] + points[-1:]


def draw(series: Series) -> str:
    """Draw curves over iterations.

    Args:
        series (dict): Points by name; values that are not finite leave gaps.

    Returns:
        str: An SVG picture as a data URI.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
    figure = Figure(figsize=SIZE, layout='constrained')
    FigureCanvasSVG(figure)
    axis = figure.add_subplot()
    for key, points in series.items():
        steps, values = zip(*_thinned(points))
        # A dollar would begin a formula, an underscore hide the line.
        label = key.replace('$', r'\$')
        label = label if not label.startswith('_') else f' {label}'
        axis.plot(
            steps, values, label=label, linewidth=1.4,
            marker='o' if len(points) < 30 else None, markersize=3)
    axis.set_xlabel('iteration')
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axis.grid(alpha=0.3)
    for side in ('top', 'right'):
        axis.spines[side].set_visible(False)
    if len(series) > 1:
        figure.legend(
            loc='outside lower center', fontsize=7, frameon=False, ncols=4)
    file = io.BytesIO()
    # The same curves make the same file.
    with matplotlib.rc_context({'svg.hashsalt': 'mmivtuning'}):
        figure.savefig(
            file, format='svg', metadata=dict(Date=None, Creator=None))
    encoded = base64.b64encode(file.getvalue()).decode()
    return f'data:image/svg+xml;base64,{encoded}'
