"""The command that checks a data set: ``mmivtuning check``."""

import argparse
import os
import sys
from pathlib import Path
from typing import Callable, Iterable, Iterator, Optional

from .checking import LEAK_DISTANCE, Report, check_tree
from .errors import PairError
from .layout import exit_on_sigterm
from .pair_check import PairOptions
from .reporting import (
    as_json,
    as_text,
    contact_sheet,
    encode_png,
    histogram_picture,
    summary_line,
    write_atomically,
)
from .tree import Folders

JOURNAL = '.check_journal.jsonl'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add = parser.add_argument
    add('root', type=Path, help='folder of the data set')
    add('--out', type=Path, metavar='FOLDER',
        help='write report.json, histograms.png and worst_aligned.png there; '
        'a check that was interrupted goes on from what it finds there')
    add('--json', metavar='FILE', help='write the report there, - prints it')
    add('--classes', help='names, with commas between: label ids and boxes '
        'are held against them; else those of meta.json')
    add('--ignored-id', type=int, default=255, metavar='ID',
        help='label id allowed beside the classes (default: %(default)s)')
    for field, default in Folders()._asdict().items():
        add(f"--{field.replace('_', '-')}", default=default, metavar='NAME',
            help='how names end' if field.endswith('suffix') else
            f'folder of it (default: {default})')
    add('--four-channel', action='store_true',
        help='every visible file has the infrared image as alpha plane')
    add('--infrared-range', type=float, nargs=2, metavar=('LOW', 'HIGH'),
        help='values of the infrared files that become 0 and 255')
    add('--no-alignment', action='store_true',
        help='do not estimate misalignment (faster)')
    add('--max-misalignment', type=float, metavar='PIXELS',
        help='an estimate above it is an error')
    add('--leak-distance', type=float, default=LEAK_DISTANCE,
        metavar='SHARE', help='share of differing bits of the hash up to '
        'which two images are one (default: %(default)s)')
    add('--worst', type=int, default=12, metavar='N',
        help='pairs on the contact sheet (default: %(default)s)')
    add('--strict', action='store_true', help='warnings count as errors')
    add('--quiet', action='store_true', help='print the last line only')
    add('--jobs', type=int, default=os.cpu_count() or 1,
        help='processes (default: %(default)s)')


def run(args: argparse.Namespace) -> int:
    """Check; returns the exit status.

    Returns:
        int: 0 if all is well, 1 if there are errors, 2 if nothing could be
        checked.
    """
    if args.jobs < 1:
        return _fail(f'--jobs must be at least 1, got {args.jobs}')
    try:
        with exit_on_sigterm():
            report = _check(args)
            _write(report, args)
    except (OSError, PairError, RuntimeError, ValueError) as error:
        return _fail(str(error))
    bad = report.problems if args.strict else report.errors
    return 1 if bad else 0


def _fail(message: str) -> int:
    """Say why nothing could be checked; returns the exit status."""
    sys.stderr.write(f'error: {message}\n')
    return 2


def _check(args: argparse.Namespace) -> Report:
    """Check what the arguments name."""
    folders = Folders(*(getattr(args, field) for field in Folders._fields))
    if args.four_channel:
        folders = folders._replace(infrared='')
    options = PairOptions(
        classes=tuple(n.strip() for n in (args.classes or '').split(',')
                      if n.strip()),
        ignored_id=args.ignored_id,
        infrared_range=args.infrared_range and tuple(args.infrared_range),
        alignment=not args.no_alignment,
        max_misalignment=args.max_misalignment)
    journal = None
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        journal = args.out / JOURNAL
    return check_tree(args.root, folders, options, args.jobs, journal,
                      args.leak_distance, _progress())


def _progress() -> Optional[Callable]:
    """A counter on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        return None

    def count(results: Iterable, total: int) -> Iterator:
        for number, result in enumerate(results, 1):
            sys.stderr.write(f'\rchecked {number / total:4.0%}')
            sys.stderr.flush()
            yield result
        sys.stderr.write('\r')

    return count


def _write(report: Report, args: argparse.Namespace) -> None:
    """Print the report and write its files; the journal goes last."""
    text = as_json(report)
    if args.out is not None:
        write_atomically(args.out / 'histograms.png',
                         encode_png(histogram_picture(report)))
        infrared_range = args.infrared_range and tuple(args.infrared_range)
        sheet = contact_sheet(report, args.worst, infrared_range)
        if sheet is not None:
            write_atomically(args.out / 'worst_aligned.png',
                             encode_png(sheet))
        write_atomically(args.out / 'report.json', text.encode())
        (args.out / JOURNAL).unlink()
    if args.json == '-':
        sys.stdout.write(text)
        return
    if args.json:
        write_atomically(Path(args.json), text.encode())
    told = summary_line(report) if args.quiet else as_text(report)
    sys.stdout.write(f'{told}\n')
