"""The command that counts what a model has: ``mmivtuning params``."""

import argparse
import copy
import json
import sys
import warnings
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

from mmengine.config import Config

from mmivtuning.analysis.command_line import write_csv
from mmivtuning.engine.complexity import (
    Complexity,
    as_rows,
    build_model,
    count_parts,
    describe,
    measure,
    summary,
    test_size,
)
from mmivtuning.engine.data_root import ConfigOptions, read_config
from mmivtuning.models.backbones.tuning import DUAL, TUNINGS, retuned
from mmivtuning.pairs.reporting import write_atomically

CSV_COLUMNS = ('tuning', 'parameters in the backbone',
               'trainable in the backbone', 'share of the stock backbone',
               'trainable', 'operations', 'height', 'width')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add = parser.add_argument
    add('config', help='config file')
    add('--size', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'),
        help='of the pair whose operations are counted; default: what the '
        'config tests on')
    add('--no-flops', action='store_true',
        help='count parameters only, without a run of the model')
    add('--tunings', nargs='+', metavar='NAME', choices=(*TUNINGS, DUAL),
        help='compare the config tuned in these ways, a row for each: '
        + ', '.join((*TUNINGS, DUAL)))
    add('--json', metavar='FILE', help='write the counts there, - prints them')
    add('--csv', metavar='FILE', type=Path,
        help='write the rows of --tunings there')
    add('--cfg-options', nargs='+', action=ConfigOptions, default={},
        help='KEY=VALUE ... that change the config')


def run(args: argparse.Namespace) -> int:
    """Count; returns the exit status.

    Returns:
        int: 0, or 2 if nothing could be counted.
    """
    if args.csv and not args.tunings:
        sys.stderr.write('error: --csv has the rows of --tunings, which are '
                         'not given\n')
        return 2
    try:
        # Stock parts warn of what their own arguments will become.
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            cfg = read_config(args.config, args.cfg_options)
            tuned = _tuned(cfg, args.tunings)
            found = {name: _count(one, args) for name, one in tuned.items()}
    # Stock models raise whatever a wrong config leads them to.
    except Exception as error:
        sys.stderr.write(f'error: {args.config}: {type(error).__name__}: '
                         f'{error}\n')
        return 2
    alone = list(found.values())[0]
    described: Dict[str, Any] = dict(config=str(args.config))
    if args.tunings:
        described['tunings'] = {
            name: describe(one) for name, one in found.items()}
        lines = aligned(as_comparison(found)) + [''] + summary(alone)[1:]
    else:
        described.update(describe(alone))
        lines = aligned(as_rows(alone)) + [''] + summary(alone)
    text = json.dumps(described, indent=2) + '\n'
    if args.csv:
        write_csv(args.csv, CSV_COLUMNS, _csv_rows(found))
    if args.json == '-':
        sys.stdout.write(text)
        return 0
    if args.json:
        write_atomically(Path(args.json), text.encode())
    sys.stdout.write('\n'.join(lines).rstrip() + '\n')
    return 0


def _tuned(cfg: Config, tunings: Sequence[str]) -> Dict[str, Config]:
    """Return the config tuned in each way; as it is, without any."""
    if not tunings:
        return {'': cfg}
    backbone = cfg.model.backbone
    if not str(backbone.type).startswith('mmivtuning.') or (
            'backbone' in backbone):
        raise ValueError('--tunings are those of a backbone of this package, '
                         f'found {backbone.type}')
    found = {}
    for name in dict.fromkeys(tunings):
        found[name] = copy.deepcopy(cfg)
        found[name].model.backbone = retuned(backbone, name)
    return found


def as_comparison(found: Dict[str, Complexity]) -> List[Tuple[str, ...]]:
    """Lay out a row for each way of tuning, below one of titles."""
    titles = ['tuning', 'trainable in the backbone (#TP)', 'of the stock one',
              'trainable in the model', 'GFLOPs']
    rows = []
    for name, one in found.items():
        operations = one.sum('operations')
        rows.append((
            name, f"{one.sum('trainable', backbone=True):,}",
            f'{_share(name, one):.2%}', f"{one.sum('trainable'):,}",
            '' if one.size is None else f'{operations / 1e9:,.3f}'))
    width = len(titles) if all(row[-1] for row in rows) else -1
    return [tuple(row[:width]) for row in (titles, *rows)]


def _share(name: str, found: Complexity) -> float:
    """What trains in the backbone, as a share of one stock backbone."""
    return found.share_of_stock * (2 if name == DUAL else 1)


def _csv_rows(found: Dict[str, Complexity]) -> List[Tuple[Any, ...]]:
    """List the same in numbers; what was not counted is empty."""
    return [(name, one.sum('parameters', backbone=True),
             one.sum('trainable', backbone=True), _share(name, one),
             one.sum('trainable'), one.size and one.sum('operations'),
             *(one.size or (None, None))) for name, one in found.items()]


def _count(cfg: Config, args: argparse.Namespace) -> Complexity:
    """Count what a config has."""
    if args.no_flops:
        return count_parts(build_model(cfg))
    size = args.size or test_size(cfg)
    if min(size) < 1:
        raise ValueError(f'--size must be positive, got {size}')
    return measure(build_model(cfg), size)


def aligned(rows: Sequence[Tuple[str, ...]]) -> List[str]:
    """Align a table: the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [
            cell.rjust(width) for cell, width in zip(row[1:], widths[1:])
        ]
        lines.append('  '.join(cells).rstrip())
    lines.insert(1, '-' * sum(widths, 2 * len(widths) - 2))
    return lines
