"""Plots of a study: points are seeds, never pictures of pairs."""

import math
from pathlib import Path
from typing import Any, List

from mmivtuning.analysis.command_line import new_figure, write_figure

from .study import Subject
from .tables import COSTS, Cost, Outcome

_GREY = '0.35'


def _with_results(outcome: Outcome) -> List[Subject]:
    """List the data sets of which there are results of all pairs."""
    return [
        p.subject for p in outcome.present
        if any(outcome.of(p.subject.name, name)
               for name in outcome.study.methods)
    ]


def draw_scores(outcome: Outcome, path: Path) -> bool:
    """Draw the score of every method on every data set.

    Returns:
        bool: Whether there was anything to draw.
    """
    subjects = _with_results(outcome)
    if not subjects:
        return False
    columns = min(len(subjects), 3)
    rows = math.ceil(len(subjects) / columns)
    names = list(outcome.study.methods)
    figure, axes = new_figure(
        rows, columns, (4.2 * columns, (0.9 + 0.28 * len(names)) * rows))
    for axis, subject in zip(axes.flat, subjects):
        measure = subject.measures[0]
        for place, name in enumerate(names):
            cell = outcome.cell(subject.name, name, measure)
            if cell is None:
                continue
            values = list(cell.by_seed.values())
            axis.plot(values, [place] * len(values), 'o', color=_GREY,
                      markersize=4, alpha=0.7)
            axis.plot([cell.mean], [place], '|', color='tab:red',
                      markersize=14, markeredgewidth=2)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.set_xlabel(f'{measure.name} (%)')
        axis.set_title(subject.name)
        axis.grid(axis='x', alpha=0.3)
    for axis in list(axes.flat)[len(subjects):]:
        axis.set_axis_off()
    figure.suptitle('dots: seeds, bars: means', fontsize=9)
    write_figure(path, figure)
    return True


def draw_fractions(outcome: Outcome, path: Path) -> bool:
    """Draw scores against the share of the training pairs.

    Returns:
        bool: Whether there was anything to draw.
    """
    subjects = [
        p.subject for p in outcome.present
        if len({key[2] for key in outcome.results
                if key[0] == p.subject.name}) > 1
    ]
    if not subjects:
        return False
    figure, axes = new_figure(1, len(subjects), (4.2 * len(subjects), 3.4))
    for axis, subject in zip(axes.flat, subjects):
        measure = subject.measures[0]
        for name in outcome.study.methods:
            shares: List[float] = []
            means: List[float] = []
            for share in subject.shares:
                cell = outcome.cell(
                    subject.name, name, measure, fraction=share)
                if cell is not None:
                    shares.append(100 * share)
                    means.append(cell.mean)
            if len(shares) > 1:
                axis.plot(shares, means, 'o-', label=name, markersize=4)
        axis.set_xlabel('training pairs (%)')
        axis.set_ylabel(f'{measure.name} (%)')
        axis.set_title(subject.name)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    write_figure(path, figure)
    return True


def draw_costs(outcome: Outcome, path: Path) -> bool:
    """Draw scores against what methods cost: a row a cost.

    Returns:
        bool: Whether there was anything to draw.
    """
    subjects = _with_results(outcome)
    if not subjects:
        return False
    costs = [cost for cost in COSTS
             if any(cost in outcome.costs(s.name) for s in subjects)]
    figure, axes = new_figure(
        len(costs), len(subjects), (4.2 * len(subjects), 3 * len(costs)))
    for row, cost in zip(axes, costs):
        for axis, subject in zip(row, subjects):
            _draw_cost(outcome, axis, subject, cost)
    for axis, subject in zip(axes[0], subjects):
        axis.set_title(subject.name)
    write_figure(path, figure)
    return True


def _draw_cost(outcome: Outcome, axis: Any, subject: Subject,
               cost: Cost) -> None:
    """Draw the scores on a data set against one cost."""
    measure = subject.measures[0]
    for name in outcome.study.methods:
        cell = outcome.cell(subject.name, name, measure)
        paid = outcome.cost(subject.name, name, cost)
        if cell is None or paid is None:
            continue
        axis.plot([paid], [cell.mean], 'o', color='tab:blue', markersize=5)
        axis.annotate(name, (paid, cell.mean), fontsize=7,
                      xytext=(3, 3), textcoords='offset points')
    if cost.key == 'trainable_backbone':  # from thousands to many millions
        axis.set_xscale('log')
    axis.margins(0.2, 0.1)  # for the names
    axis.set_xlabel(cost.name)
    axis.set_ylabel(f'{measure.name} (%)')
    axis.grid(alpha=0.3)
