"""The command line that all converters share."""

import argparse
import colorsys
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from rich.console import Console
from rich.progress import track

from mmivtuning.pairs import PairError
from mmivtuning.pairs.benchmarks import BENCHMARKS
from mmivtuning.pairs.checking import check_tree
from mmivtuning.pairs.conversion import VERSION, check_counts, convert
from mmivtuning.pairs.layout import Interrupted, refuse_existing
from mmivtuning.pairs.pair_check import PairOptions
from mmivtuning.pairs.reporting import summary_line
from mmivtuning.pairs.sources import ConversionError, Plan, opened

Planner = Callable[[Path, argparse.Namespace], Plan]


def parser_of(name: str, layout: str) -> argparse.ArgumentParser:
    """The command line that all converters share.

    Args:
        name (str): Key of ``BENCHMARKS``.
        layout (str): How the source looks, for ``--help``.
    """
    facts = BENCHMARKS[name]
    parser = argparse.ArgumentParser(
        description=f"Convert {facts['source']} to the layout of mmivtuning.",
        epilog=f'Expected in SOURCE: {layout} '
        f"Classes: {', '.join(facts['classes']) or 'those of the archive'}.")
    parser.add_argument(
        'source', type=Path, help='folder, zip or tar file as distributed')
    parser.add_argument('out', type=Path, help='folder to make')
    parser.add_argument(
        '--link',
        action='store_true',
        help='link unchanged files instead of copying them')
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='only say what would be written')
    parser.add_argument(
        '--allow-subset',
        action='store_true',
        help='accept numbers of pairs other than the published ones')
    parser.add_argument(
        '--jobs', type=int, default=os.cpu_count() or 1, help='processes')
    parser.add_argument(
        '--no-check',
        action='store_true',
        help='do not check what was written for leakage and the like')
    parser.add_argument(
        '--force', action='store_true', help='replace an existing OUT')
    if facts['task'] == 'detection':
        parser.add_argument(
            '--ignore-class',
            action='append',
            default=[],
            metavar='NAME',
            help='leave out the boxes of a class; may be repeated')
    return parser


def add_class_list(parser: argparse.ArgumentParser) -> None:
    """Options for a set whose class ids no file of it is known to state."""
    parser.add_argument(
        '--class-list',
        type=Path,
        metavar='FILE',
        help='text file of the classes, one a line in the order of the ids, '
        'or as "id name"; default: classes.txt in SOURCE')
    parser.add_argument(
        '--assume-classes',
        action='store_true',
        help='take the order that is in use in public code')


def class_ids(name: str, root: Path, args: argparse.Namespace,
              known: Dict[int, str]) -> Dict[int, str]:
    """Find which class each id is.

    Args:
        name (str): Key of ``BENCHMARKS``.
        root (Path): Folder of the source.
        args (argparse.Namespace): With the options of
            :func:`add_class_list`.
        known (Dict[int, str]): The order of public code, empty if none is
            known.

    Raises:
        ConversionError: If nothing states the ids, or a list is damaged.
    """
    path = args.class_list or root / 'classes.txt'
    if not path.is_file():
        if args.class_list is None and args.assume_classes and known:
            return known
        order = ', '.join(f'{k} {v}' for k, v in sorted(known.items()))
        raise ConversionError([
            f'{path}: no such file. No file of {name} is known to state the '
            'ids of its classes: give --class-list FILE, made from the '
            "authors' readme" +
            (f', or accept the order of public code with --assume-classes: '
             f'{order}' if known else '')
        ])
    found: Dict[int, str] = {}
    lines = path.read_text(encoding='utf-8').splitlines()
    for line in filter(None, (line.strip() for line in lines)):
        number, _, label = line.partition(' ')
        if not number.isdigit():
            number, label = str(len(found)), line
        label = label.strip().replace(' ', '_').lower()
        if not label or int(number) in found:
            raise ConversionError([f"{path}: '{line}': expected a class, or "
                                   'an id and a class, each once'])
        found[int(number)] = label
    if not found:
        raise ConversionError([f'{path}: empty; expected a class a line'])
    return found


def in_order(found: Dict[int, str], name: str) -> Tuple[str, ...]:
    """Classes of a label map, whose ids must be 0, 1, 2, ...

    Raises:
        ConversionError: If they are not.
    """
    if sorted(found) != list(range(len(found))):
        raise ConversionError([f'{name}: the class list has the ids '
                               f'{sorted(found)}, expected 0, 1, 2, ...'])
    if len(set(found.values())) < len(found):
        raise ConversionError([f'{name}: the class list has a class twice: '
                               f'{", ".join(found.values())}'])
    return tuple(found[number] for number in range(len(found)))


def main(name: str,
         planner: Planner,
         parser: argparse.ArgumentParser,
         argv: Optional[Sequence[str]] = None) -> int:
    """Run a converter from its command line.

    Args:
        name (str): Key of ``BENCHMARKS``.
        planner (Planner): Finds the pairs in the source folder.
        parser (argparse.ArgumentParser): From :func:`parser_of`.
        argv (Sequence[str], optional): Arguments. Default: None, the
            command line.

    Returns:
        int: The exit status, 1 if anything is wrong.
    """
    args = parser.parse_args(argv)
    if args.jobs < 1:
        parser.error(f'--jobs must be at least 1, got {args.jobs}')
    return told(lambda: _convert_source(name, planner, args))


def palette_of(classes: Sequence[str]) -> List[List[int]]:
    """Distinct colours, R, G, B; grey for a background in first place."""
    colours = []
    for number, name in enumerate(classes):
        share = number * 0.618034 % 1.0
        colour = colorsys.hsv_to_rgb(share, 0.75, 0.9)
        if number == 0 and name in ('background', 'unlabeled', 'unlabelled'):
            colour = (0.16, 0.16, 0.16)
        colours.append([round(255 * value) for value in colour])
    return colours


def told(work: Callable[[], int]) -> int:
    """Run a conversion, and tell what goes wrong.

    Args:
        work (Callable): Returns the exit status.

    Returns:
        int: That status; 1 after an error, 130 after Ctrl-C.
    """
    try:
        return work()
    except ConversionError as error:
        for problem in error.problems:
            print(f'error: {problem}', file=sys.stderr)
        print(f'{len(error.problems)} problem(s), nothing was written',
              file=sys.stderr)
    except (OSError, PairError) as error:
        print(f'error: {error}', file=sys.stderr)
        print('nothing was written', file=sys.stderr)
    except Interrupted as error:
        print(f'error: {error}; the same command resumes', file=sys.stderr)
    except KeyboardInterrupt:
        print('interrupted; the same command resumes', file=sys.stderr)
        return 130
    return 1


def _convert_source(name: str, planner: Planner,
                    args: argparse.Namespace) -> int:
    """Plan, check, and write; returns the exit status."""
    ignore = tuple(getattr(args, 'ignore_class', ()))
    recipe = dict(
        version=VERSION,
        source=str(args.source.resolve()),
        options={
            key: plain(value)
            for key, value in vars(args).items()
            if key not in ('source', 'out', 'dry_run', 'jobs', 'force',
                           'no_check')
        })
    if not args.force and holds(args.out, name, recipe):
        print(f'{args.out}: there already, unchanged')
        return 0
    out, source = args.out.resolve(), args.source.resolve()
    if out == source or out in source.parents:
        raise ConversionError(
            [f'{args.out}: OUT must not be SOURCE or hold it ({source})'])
    if args.link and not args.source.is_dir():
        raise ConversionError(
            [f'{args.source}: --link needs an unpacked folder'])
    if not args.dry_run:
        refuse_existing(args.out, args.force)
    with opened(args.source, Path(os.path.abspath(args.out))) as folder:
        plan = planner(folder, args)
        problems = list(plan.problems)
        if not args.allow_subset:
            problems += check_counts(name, plan)
        if not plan.items and not problems:
            problems.append(f'{args.source}: no pairs found')
        if problems:
            raise ConversionError(problems)
        numbers: Dict[str, int] = {}
        for item in plan.items:
            numbers[item.split] = numbers.get(item.split, 0) + 1
        told = ', '.join(f'{count} {split}'
                         for split, count in numbers.items())
        if args.dry_run:
            print(f'{args.out}: would get {told} pairs')
            return 0
        facts = dict(BENCHMARKS[name])
        if plan.classes:
            facts.update(classes=plan.classes,
                         palette=palette_of(plan.classes))
            print(f'classes, by the archive: {", ".join(plan.classes)}; give '
                  'them to the data set as metainfo=dict(classes=...)')
        notes = convert(name, plan, args.out, recipe, args.link, args.force,
                        ignore, args.jobs, progress_bar(name), facts)
    for note in notes:
        print(f'note: {note}', file=sys.stderr)
    print(f'{args.out}: {told} pairs')
    if not args.no_check:
        _check(args)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Say what the checker finds in the result.

    The files are those of the authors: what is wrong with them, such as one
    image in two splits, is told and no failure of the conversion.
    """
    report = check_tree(
        args.out, options=PairOptions(alignment=False), jobs=args.jobs)
    for problem in report.problems:
        print(f'check: {problem.line()}', file=sys.stderr)
    print(f'check: {summary_line(report)}')


def plain(value: object) -> object:
    """A value that JSON can hold."""
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return str(value.resolve()) if isinstance(value, Path) else value


def holds(out: Path, name: str, recipe: dict) -> bool:
    """Whether a folder holds the result of the same conversion."""
    try:
        meta = json.loads((out / 'meta.json').read_text(encoding='utf-8'))
        return meta['converter'] == name and meta['recipe'] == recipe
    except (OSError, ValueError, KeyError, TypeError):
        return False


def progress_bar(name: str) -> Callable:
    """A progress bar, for :func:`convert`."""
    return partial(
        track,
        description=f'Converting {name}',
        console=Console(stderr=True))
