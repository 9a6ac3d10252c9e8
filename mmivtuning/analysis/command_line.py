"""What the commands of the analyses have in common."""

import argparse
import csv
import io
import os
import sys
from pathlib import Path
from typing import Any, Iterable, Optional, Sequence

import torch
from rich.console import Console
from rich.table import Table

from mmivtuning.engine.data_root import ConfigOptions
from mmivtuning.models.paired_inputs import MODALITY_PLANES
from mmivtuning.pairs.reporting import write_atomically

from .inputs import Folders

# Of tables that go to a file or a pipe.
_FILE_WIDTH = 240


def positive(text: str) -> int:
    """Read a number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {text}')
    return value


def add_common_arguments(parser: argparse.ArgumentParser,
                         max_pairs: Optional[int] = None,
                         with_batches: bool = True) -> None:
    """Declare which pairs are analysed, how, and where the result goes.

    Args:
        parser (argparse.ArgumentParser): Of the command.
        max_pairs (int, optional): Default of the option. Defaults to None,
            all.
        with_batches (bool): Whether pairs can run together.
            Defaults to True.
    """
    add = parser.add_argument
    add('--out', type=Path, required=True, metavar='FOLDER',
        help='for tables (CSV) and pictures (PNG); files of the same names '
        'are replaced')
    add('--visible', metavar='FOLDER', help='visible images, with '
        '--infrared; else the val_dataloader of the config, or its '
        'test_dataloader, gives the pairs')
    add('--infrared', metavar='FOLDER', help='infrared images')
    add('--visible-suffix', default='', metavar='END',
        help='how their names end, for example _RGB.jpg')
    add('--infrared-suffix', default='', metavar='END', help='likewise')
    add('--max-pairs', type=positive, default=max_pairs, metavar='N',
        help='take N pairs, evenly spaced (default: '
        f'{max_pairs or "all"})')
    if with_batches:
        add('--batch-size', type=positive, default=1, metavar='N',
            help='pairs that run at once (default: %(default)s)')
    add('--device',
        default='cuda' if torch.cuda.is_available() else 'cpu',
        help='where models run (default here: %(default)s)')
    add('--missing', choices=sorted(MODALITY_PLANES),
        help='set this modality to 0, as a missing one')
    add('--seed', type=int, default=0, help='of weights that neither a '
        'checkpoint nor a pretrained file gives (default: %(default)s)')
    add('--cfg-options', nargs='+', action=ConfigOptions, default={},
        metavar='KEY=VALUE', help='changes of every config; data_root moves '
        'its data sets')


def folders_of(args: argparse.Namespace) -> Optional[Folders]:
    """Return the two folders, or None if none is given.

    Raises:
        ValueError: If only one is given, or results cannot go where they
            are to go.
    """
    out = args.out.resolve()
    existing = next(path for path in (out, *out.parents) if path.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise ValueError(f"--out '{args.out}': '{existing}' is no folder that "
                         'can be written to')
    if args.visible is None and args.infrared is None:
        return None
    if args.visible is None or args.infrared is None:
        raise ValueError('--visible and --infrared go together')
    for folder in (args.visible, args.infrared):
        if Path(folder).resolve() in (out, *out.parents):
            raise ValueError(f"--out '{args.out}' is in the folder "
                             f"'{folder}': results would be read as images")
    return Folders(args.visible, args.infrared, args.visible_suffix,
                   args.infrared_suffix)


def show(table: Table) -> None:
    """Print a table; where no terminal limits it, without wrapping cells."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_FILE_WIDTH)
    console.print(table)


def note(text: str) -> None:
    """Tell the user something beside the result."""
    sys.stderr.write(f'note: {text}\n')


def write_csv(path: Path, header: Sequence[str],
              rows: Iterable[Sequence[Any]]) -> None:
    """Write a table; floats are written in full."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(header)
    for row in rows:
        writer.writerow([
            repr(float(value)) if isinstance(value, float) else value
            for value in row
        ])
    write_atomically(path, text.getvalue().encode())


def new_figure(rows: int, columns: int, size: Sequence[float]) -> Any:
    """Make a figure of axes that needs no display.

    Returns:
        tuple: The figure and its axes, an array (rows, columns).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    figure = Figure(figsize=tuple(size), layout='constrained')
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def write_figure(path: Path, figure: Any) -> None:
    """Write a figure as PNG, the same bytes for the same figure."""
    data = io.BytesIO()
    # without the version of matplotlib
    figure.savefig(data, format='png', dpi=120, metadata=dict(Software=None))
    write_atomically(path, data.getvalue())
