"""The command that counts what a model has: ``mmivtuning params``."""

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import List, Sequence, Tuple

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
from mmivtuning.pairs.reporting import write_atomically


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add = parser.add_argument
    add('config', help='config file')
    add('--size', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'),
        help='of the pair whose operations are counted; default: what the '
        'config tests on')
    add('--no-flops', action='store_true',
        help='count parameters only, without a run of the model')
    add('--json', metavar='FILE', help='write the counts there, - prints them')
    add('--cfg-options', nargs='+', action=ConfigOptions, default={},
        help='KEY=VALUE ... that change the config')


def run(args: argparse.Namespace) -> int:
    """Count; returns the exit status.

    Returns:
        int: 0, or 2 if nothing could be counted.
    """
    try:
        # Stock parts warn of what their own arguments will become.
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            found = _count(args)
    # Stock models raise whatever a wrong config leads them to.
    except Exception as error:
        sys.stderr.write(f'error: {args.config}: {type(error).__name__}: '
                         f'{error}\n')
        return 2
    text = json.dumps(
        dict(config=str(args.config), **describe(found)), indent=2) + '\n'
    if args.json == '-':
        sys.stdout.write(text)
        return 0
    if args.json:
        write_atomically(Path(args.json), text.encode())
    sys.stdout.write('\n'.join(
        aligned(as_rows(found)) + [''] + summary(found)) + '\n')
    return 0


def _count(args: argparse.Namespace) -> Complexity:
    """Count what the arguments name."""
    cfg = read_config(args.config, args.cfg_options)
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
