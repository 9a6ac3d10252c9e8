"""The command ``mmivtuning rank``: feature rank of models, side by side."""

import argparse
from pathlib import Path
from typing import Dict, List

from rich.table import Table

from mmivtuning.engine.data_root import read_model_config

from .command_line import (
    add_common_arguments,
    folders_of,
    new_figure,
    note,
    show,
    write_csv,
    write_figure,
)
from .inputs import PairSource
from .models import AnalysedModel, ModelSpec, parse_spec
from .rank import COMPONENTS, FEATURES, LayerRank, accumulate, measure

Results = Dict[str, List[LayerRank]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        'models', nargs='+', metavar='CONFIG[:CHECKPOINT]',
        help='models to compare; without a checkpoint, the pretrained '
        'weights that the config names')
    parser.add_argument(
        '--names', nargs='+', metavar='NAME',
        help='what the models are called, in their order (default: the '
        'names of their files)')
    add_common_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measure every model on the same pairs, write the result; returns 0."""
    specs = [parse_spec(text) for text in args.models]
    names = _names(specs, args.names)
    folders = folders_of(args)
    results: Results = {}
    pairs_of: Dict[str, List[str]] = {}
    for name, spec in zip(names, specs):
        cfg = read_model_config(spec.config, args.cfg_options)
        source = PairSource(cfg, folders, args.max_pairs)
        model = AnalysedModel(cfg, spec.checkpoint, args.device, args.missing,
                              args.seed)
        if model.is_random:
            note(f'{name} has neither a checkpoint nor a pretrained file: '
                 'its weights are random')
        elif spec.checkpoint is None and hasattr(model.backbone,
                                                 'prompt_alpha'):
            note(f'{name} has no checkpoint: its prompts are random')
        moments, pairs_of[name] = accumulate(model, source, args.batch_size)
        results[name] = measure(moments)
        few = [row for row in results[name] if row.tokens <= row.dims]
        if few:
            note(f'{name}: only {few[0].tokens} tokens of width '
                 f'{few[0].dims} after layer {few[0].layer}, which limits '
                 'the rank; give more pairs')
    _check_same_pairs(pairs_of)
    _write(results, args.out)
    count = len(pairs_of[names[0]])
    show(_table(results, count))
    return 0


def _names(specs: List[ModelSpec], given: List[str]) -> List[str]:
    """Call every model by a name of its own.

    Raises:
        ValueError: If names are too few, too many or alike.
    """
    names = given or [
        Path(spec.config).stem +
        (f' {Path(spec.checkpoint).stem}' if spec.checkpoint else '')
        for spec in specs
    ]
    if len(names) != len(specs) or len(set(names)) != len(names):
        raise ValueError(
            f'{len(specs)} models need as many names, all different, got '
            f'{names}: give --names')
    return names


def _check_same_pairs(pairs_of: Dict[str, List[str]]) -> None:
    """Raise if models are compared on different pairs."""
    (first, expected), *others = pairs_of.items()
    for name, found in others:
        if found != expected:
            raise ValueError(
                f'{first} and {name} saw different pairs, {len(expected)} '
                f'that begin with {expected[0]} and {len(found)} that begin '
                f'with {found[0]}: give --visible and --infrared')


def _write(results: Results, out: Path) -> None:
    """Write the table and the figure."""
    write_csv(
        out / 'rank.csv',
        ('model', 'layer', 'features', 'dims', 'varying_dims', 'tokens',
         *(f'explained_{k + 1}' for k in range(COMPONENTS)),
         'explained_first_five', 'effective_rank'),
        ((name, *row[:5], *map(float, row.explained), float(row.first_five),
          row.effective_rank) for name, rows in results.items()
         for row in rows))
    figure, axes = new_figure(2, 2, (11, 7.5))
    for column, features in enumerate(FEATURES):
        top, bottom = axes[0, column], axes[1, column]
        for place, (name, rows) in enumerate(results.items()):
            chosen = [row for row in rows if row.features == features]
            layers = range(1, len(chosen) + 1)
            colour = f'C{place}'
            top.plot(layers, [row.first_five for row in chosen], 'o-',
                     color=colour, label=name)
            top.plot(layers, [row.explained[0] for row in chosen], ':',
                     color=colour)
            bottom.plot(layers, [row.effective_rank for row in chosen], 'o-',
                        color=colour, label=name)
            if '.' in chosen[0].layer or len(results) == 1:
                bottom.set_xticks(list(layers),
                                  [row.layer for row in chosen],
                                  rotation=90 if len(chosen) > 14 else 0)
        top.set(title=f'{features} features', ylim=(0, 1.02),
                ylabel='explained variance: first five (dotted: first)')
        bottom.set(xlabel='layer', ylabel='effective rank', ylim=(0, None))
        top.legend(fontsize=8)
        for axis in (top, bottom):
            axis.grid(alpha=0.3)
    write_figure(out / 'rank.png', figure)


def _table(results: Results, pairs: int) -> Table:
    """Make the table that is printed."""
    table = Table(
        title=f'Feature rank on {pairs} pairs: variance that the first five '
        'principal components explain, and effective rank')
    table.add_column('layer')
    for name in results:
        for head in ('five, raw', 'five, std.', 'rank, raw', 'rank, std.'):
            table.add_column(f'{name}\n{head}', justify='right')
    cells = {
        name: _cells(rows)
        for name, rows in results.items()
    }
    layers = list(dict.fromkeys(
        row.layer for rows in results.values() for row in rows))
    for layer in layers:
        table.add_row(
            layer,
            *(cell for name in results
              for cell in cells[name].get(layer, [''] * 4)))
    return table


def _cells(rows: List[LayerRank]) -> Dict[str, List[str]]:
    """The four cells of each layer of a model."""
    by = {(row.layer, row.features): row for row in rows}
    return {
        layer: [f'{by[layer, features].first_five:.1%}'
                for features in FEATURES] +
        [f'{by[layer, features].effective_rank:.1f}'
         for features in FEATURES]
        for layer, _ in by
    }
