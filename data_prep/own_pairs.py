r"""Bring one's own pairs and labels to our layout, and say how to train.

Example:
    python data_prep/own_pairs.py data/mine --visible in/rgb \
        --infrared in/thermal --labels in/masks --classes road,person
    python data_prep/own_pairs.py data/mine --visible in/visible \
        --infrared in/infrared --yolo in/labels --classes person,car
    python data_prep/own_pairs.py data/mine --visible in/visible \
        --infrared in/infrared --coco train=in/train.json val=in/val.json
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from command_line import holds, palette_of, plain, progress_bar, told
from own_configs import check_lines, config_lines, read_base

from mmivtuning.pairs import PairError, list_names
from mmivtuning.pairs.checking import check_tree
from mmivtuning.pairs.conversion import VERSION, convert
from mmivtuning.pairs.formats import ImageBoxes, read_coco, read_voc
from mmivtuning.pairs.layout import refuse_existing
from mmivtuning.pairs.own_data import (
    Match,
    draw_splits,
    match_folders,
    match_labels,
    sequences,
    strip_suffix,
)
from mmivtuning.pairs.pair_check import PairOptions
from mmivtuning.pairs.reporting import as_text
from mmivtuning.pairs.sources import ConversionError, Item, Plan

NAME = 'own_pairs'
TASKS = dict(labels='segmentation', masks='saliency', coco='detection',
             voc='detection', yolo='detection')
KNOWN_SPLITS = ('train', 'val', 'test')


def parse_args(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add('out', type=Path, help='folder to make')
    add('--visible', type=Path, required=True,
        help='folder of visible, or of 4-channel, files')
    add('--infrared', type=Path, help='folder of infrared files, may be the '
        'same\n(default: none, files have 4 channels)')
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument('--labels', type=Path, help='images of class ids')
    kind.add_argument('--masks', type=Path, help='saliency masks, 0 and 255')
    kind.add_argument('--coco', nargs='+', metavar='[SPLIT=]FILE')
    kind.add_argument('--voc', type=Path, help='folder of xml files')
    kind.add_argument('--yolo', type=Path, help='folder of txt files')
    add('--classes', help='names, with commas between; COCO and VOC bring '
        'theirs')
    add('--ignored-id', type=int, default=255, help='label id that has no '
        'class')
    add('--ignore-class', action='append', default=[], metavar='NAME',
        help='leave out the boxes of a class')
    add('--visible-suffix', help="before the extension, for example '_co'")
    add('--infrared-suffix', help="before the extension, for example '_ir'")
    add('--list', nargs='+', default=[], metavar='SPLIT=FILE',
        help='lists of names: splits of your own')
    add('--val-share', type=float, default=0.2)
    add('--test-share', type=float, default=0.0)
    add('--sequence', metavar='REGEX', help='its first group names the '
        'sequence of a frame, e.g. "^(set\\d+)"')
    add('--gap', type=int, default=50, help='frame numbers further apart are '
        'of two sequences')
    add('--seed', type=int, default=0)
    add('--base', help='config to build on')
    add('--config', type=Path, help='write the config there too')
    add('--link', action='store_true', help='link files, do not copy')
    add('--dry-run', action='store_true')
    add('--force', action='store_true', help='replace an existing OUT')
    add('--jobs', type=int, default=os.cpu_count() or 1)
    args = parser.parse_args(argv)
    if (args.visible_suffix is None) != (args.infrared_suffix is None) and (
            args.infrared is not None):
        parser.error('--visible-suffix and --infrared-suffix: give both')
    if not 0 <= args.val_share + args.test_share < 1:
        parser.error('--val-share and --test-share must leave something')
    if args.jobs < 1:
        parser.error(f'--jobs must be at least 1, got {args.jobs}')
    if (args.labels or args.yolo) and not args.classes:
        parser.error('--classes is needed with --labels and --yolo')
    return args


def match_images(args: argparse.Namespace) -> Match:
    """Find the pairs.

    Raises:
        PairError: If names do not match.
    """
    visible = list(list_names(str(args.visible)))
    if args.infrared is None:
        suffix = args.visible_suffix or ''
        index = strip_suffix(visible, suffix, str(args.visible))
        if not index:
            raise PairError(f"no images in '{args.visible}'")
        return Match((suffix, suffix), {s: (n, n) for s, n in index.items()})
    rule = None
    if args.visible_suffix is not None:
        rule = (args.visible_suffix, args.infrared_suffix)
    return match_folders(visible, list(list_names(str(args.infrared))),
                         (str(args.visible), str(args.infrared)), rule)


def named_files(entries: Sequence[str]) -> Dict[str, Path]:
    """Read SPLIT=FILE arguments; one FILE alone has the name ''.

    Raises:
        ConversionError: If a name is missing or given twice.
    """
    files: Dict[str, Path] = {}
    for entry in entries:
        name, _, file = entry.rpartition('=')
        if name in files or (not name and len(entries) > 1):
            raise ConversionError([f'{entry}: expected SPLIT=FILE, each split '
                                   'once'])
        files[name] = Path(file)
    return files


def bare_stem(name: str, match: Match) -> str:
    """The stem of a pair from any name that refers to it, or ''."""
    path = name.replace('\\', '/')
    stem = os.path.splitext(path)[0] if os.path.splitext(path)[1].lower() in (
        '.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.webp', '.txt',
        '.xml') else path
    tried = [stem]
    tried += [stem[:-len(end)] for end in match.rule
              if end and stem.endswith(end)]
    # Names may carry folders that the images' root already includes.
    for candidate in tried:
        parts = candidate.split('/')
        for start in range(len(parts)):
            short = '/'.join(parts[start:])
            if short in match.stems:
                return short
    return ''


def own_lists(args: argparse.Namespace, match: Match
              ) -> Dict[str, List[str]]:
    """Splits from ``--list``.

    Raises:
        ConversionError: If a name has no pair, or is in two lists.
    """
    splits: Dict[str, List[str]] = {}
    problems, seen = [], {}
    for split, path in named_files(args.list).items():
        if not split or not path.is_file():
            raise ConversionError([f'--list {path}: expected SPLIT=FILE, an '
                                   'existing file'])
        splits[split] = []
        for line in path.read_text(encoding='utf-8').splitlines():
            if not line.strip():
                continue
            stem = bare_stem(line.strip(), match)
            if not stem:
                problems.append(f"{path}: '{line.strip()}' has no pair")
            elif stem in seen:
                problems.append(f'{path}: {stem} is in {seen[stem]} too')
            else:
                seen[stem] = path
                splits[split].append(stem)
    if problems:
        raise ConversionError(problems)
    return splits


def splits_of(args: argparse.Namespace, match: Match,
              labelled: Sequence[str]) -> Dict[str, List[str]]:
    """Splits by lists, by folders named train, val, test, or drawn."""
    if args.list:
        return own_lists(args, match)
    tops = {stem.split('/')[0] if '/' in stem else '' for stem in labelled}
    if 'train' in tops and tops <= set(KNOWN_SPLITS):
        return {
            split: [s for s in labelled if s.startswith(f'{split}/')]
            for split in KNOWN_SPLITS if split in tops
        }
    groups = sequences(labelled, args.sequence, args.gap)
    return draw_splits(groups, dict(val=args.val_share,
                                    test=args.test_share), args.seed)


def flat_stem(stem: str, split: str) -> str:
    """A file name without folders."""
    start = f'{split}/'
    return (stem[len(start):] if stem.startswith(start) else
            stem).replace('/', '__')


Truth = Dict[str, dict]


def read_truth(args: argparse.Namespace, match: Match
               ) -> Tuple[Truth, Tuple[str, ...], Dict[str, List[str]]]:
    """What is known of each stem, the classes, and splits of COCO files.

    Raises:
        ConversionError: If names in annotation files have no pair.
        PairError: If an annotation file is bad.
    """
    stems = sorted(match.stems)
    classes = tuple(n.strip() for n in (args.classes or '').split(',')
                    if n.strip())
    if args.labels or args.masks:
        folder = args.labels or args.masks
        field = 'labels' if args.labels else 'mask'
        names = match_labels(stems, list(list_names(str(folder))),
                             str(folder), match.rule, every=not args.list)
        return ({s: {field: folder / n} for s, n in names.items()},
                classes or ('background', 'salient'), {})
    if args.coco:
        return _read_coco(args, match, classes)
    suffix = '.xml' if args.voc else '.txt'
    folder = args.voc or args.yolo
    field = 'voc' if args.voc else 'yolo'
    found: Dict[str, Path] = {}
    strangers = []
    for name in sorted(list_names(str(folder))):
        if not name.endswith(suffix) or name.endswith('classes.txt'):
            continue
        stem = bare_stem(name, match)
        if stem:
            found[stem] = folder / name
        else:
            strangers.append(f'{folder}/{name}: no pair of this name')
    if strangers or not found:
        raise ConversionError(
            strangers or [f'{folder}: no {suffix} file of any pair'])
    if args.voc:
        missing = [f'{folder}: no xml for {s}' for s in stems
                   if s not in found]
        if missing:
            raise ConversionError(missing)
        if not classes:
            classes = tuple(sorted({
                box.name for path in found.values()
                for box in read_voc(path).boxes
            } - set(args.ignore_class)))
        return {s: dict(voc=path) for s, path in found.items()}, classes, {}
    # YOLO writes no file for an image without objects.
    empty = dict(boxes=ImageBoxes(None, []))
    return ({s: dict(yolo=found[s]) if s in found else empty
             for s in stems}, classes, {})


def _read_coco(args: argparse.Namespace, match: Match,
               classes: Tuple[str, ...]
               ) -> Tuple[Truth, Tuple[str, ...], Dict[str, List[str]]]:
    """Boxes, classes and splits of COCO files."""
    truth: Truth = {}
    splits: Dict[str, List[str]] = {}
    problems: List[str] = []
    names: List[str] = []
    for split, path in named_files(args.coco).items():
        for file_name, boxes in read_coco(path).items():
            names += [box.name for box in boxes.boxes]
            stem = bare_stem(file_name, match)
            if not stem:
                problems.append(f"{path}: '{file_name}' has no pair")
            elif stem in truth:
                problems.append(f'{path}: {file_name} is listed twice, or in '
                                'two files')
            else:
                truth[stem] = dict(boxes=boxes, boxes_from=str(path))
                splits.setdefault(split, []).append(stem)
    if problems:
        raise ConversionError(problems)
    if not classes:
        classes = tuple(sorted(set(names) - set(args.ignore_class)))
    return truth, classes, {} if '' in splits else splits


def make_plan(args: argparse.Namespace
              ) -> Tuple[Plan, Tuple[str, ...], str, Match]:
    """Find everything.

    Raises:
        ConversionError: If names clash or nothing is left for training.
    """
    match = match_images(args)
    truth, classes, splits = read_truth(args, match)
    labelled = sorted(truth)
    if not splits:
        splits = splits_of(args, match, labelled)
    field = next(f for f in TASKS if getattr(args, f))
    items, taken, problems = [], {}, []
    for split, stems in splits.items():
        for stem in stems:
            if stem not in truth:
                problems.append(f'{stem}: listed, but without labels')
                continue
            flat = flat_stem(stem, split)
            if (split, flat) in taken:
                problems.append(f'{stem} and {taken[split, flat]} would both '
                                f'be called {flat}')
            taken[split, flat] = stem
            visible, infrared = match.stems[stem]
            items.append(
                Item(split, flat, args.visible / visible,
                     (args.infrared or args.visible) / infrared,
                     **truth[stem]))
    if not classes:
        problems.append('no class has any box; give --classes')
    if not any(item.split == 'train' for item in items):
        problems.append('no pair is in the split train')
    if problems:
        raise ConversionError(problems)
    return Plan(items, {}, []), classes, TASKS[field], match


def make(args: argparse.Namespace) -> int:
    """Make the data set; returns the exit status."""
    plan, classes, task, match = make_plan(args)
    numbers = {
        split: sum(item.split == split for item in plan.items)
        for split in dict.fromkeys(item.split for item in plan.items)
    }
    base = read_base(task, args.base)
    if args.config is not None and (
            args.config.resolve() == Path(base.filename)):
        raise PairError(f"--config '{args.config}' is the config to build on")
    # What is wrong with the base shows before anything is written.
    check_lines(
        config_lines(args.out, task, classes, numbers, None, base), base)
    told = ', '.join(f'{count} {split}' for split, count in numbers.items())
    print(f"names end in '{match.rule[0]}' (visible) and '{match.rule[1]}' "
          f'(infrared), before the extension; classes: {", ".join(classes)}')
    recipe = dict(version=VERSION, options={
        key: plain(value) for key, value in vars(args).items()
        if key not in ('out', 'dry_run', 'jobs', 'force', 'base', 'config')})
    if args.dry_run:
        print(f'{args.out}: would get {told} pairs')
        return 0
    if not args.force and holds(args.out, NAME, recipe):
        print(f'{args.out}: there already, unchanged')
    else:
        refuse_existing(args.out, args.force)
        facts = dict(task=task, classes=classes, palette=palette_of(classes),
                     source=f'own pairs of {args.visible.resolve()}',
                     licence='your own', splits={}, subsets={},
                     ignored_ids=(args.ignored_id, ))
        notes = convert(NAME, plan, args.out, recipe, args.link, args.force,
                        tuple(args.ignore_class), args.jobs,
                        progress_bar(NAME), facts)
        for note in notes:
            print(f'note: {note}', file=sys.stderr)
    report = check_tree(
        args.out,
        options=PairOptions(classes, args.ignored_id),
        jobs=args.jobs)
    print(as_text(report))
    lines = config_lines(args.out, task, classes, numbers,
                         report.splits['train'].statistics(), base)
    print(f'\nTrain with a config of these lines:\n\n{lines}')
    if args.config is not None:
        args.config.parent.mkdir(parents=True, exist_ok=True)
        args.config.write_text(lines, encoding='utf-8')
    return 1 if report.errors else 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run from the command line; returns the exit status."""
    args = parse_args(argv)
    return told(lambda: make(args))


if __name__ == '__main__':
    sys.exit(main())
