"""Checking a whole data set of pairs.

Pairs are checked in parts, by several processes. With a journal, every
finished part is a line of a file: a check that was killed goes on from there,
unless files or options have changed, which the key of a part shows.
"""

import hashlib
import json
import os
from collections import Counter
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from .hashing import near_pairs
from .pair_check import PairOptions, PairRecord, check_pair
from .problems import ERROR, WARNING, Problem
from .processes import one_opencv_thread, worker_pool
from .tree import UNLISTED, Folders, FoundPair, Tree, read_tree

# Of the journal: raise it with every change of what a record holds.
VERSION = 1
PART = 16
LEAK_DISTANCE = 0.04


class SplitReport(NamedTuple):
    """What a split holds.

    Attributes:
        pairs (int): Number of pairs.
        sizes (Dict[str, int]): Number of pairs of each height x width.
        formats (Dict[str, Dict[str, int]]): Of each modality, the number of
            files of each depth and number of channels.
        histograms (np.ndarray): int64 (4, 256): R, G, B, infrared.
        counts (Dict[str, int]): Pixels or boxes of each class.
        present (Dict[str, int]): Pairs in which a class occurs.
    """

    pairs: int
    sizes: Dict[str, int]
    formats: Dict[str, Dict[str, int]]
    histograms: np.ndarray
    counts: Dict[str, int]
    present: Dict[str, int]

    def statistics(self) -> Optional[Dict[str, List[float]]]:
        """Mean and std of R, G, B, infrared; None without pixels."""
        pixels = self.histograms[0].sum()
        if not pixels:
            return None
        values = np.arange(256)
        mean = self.histograms @ values / pixels
        square = self.histograms @ values**2 / pixels
        std = np.sqrt(np.maximum(square - mean**2, 0))
        return dict(mean=[round(float(v), 3) for v in mean],
                    std=[round(float(v), 3) for v in std])


class Report(NamedTuple):
    """What the check of a data set found.

    Attributes:
        tree (Tree): The data set.
        records (List[PairRecord]): Of every pair, in the order of the tree.
        splits (Dict[str, SplitReport]): By name.
        problems (List[Problem]): Everything that was found, sorted.
        classes (Tuple[str, ...]): What labels were held against.
    """

    tree: Tree
    records: List[PairRecord]
    splits: Dict[str, SplitReport]
    problems: List[Problem]
    classes: Tuple[str, ...] = ()

    @property
    def errors(self) -> List[Problem]:
        """Problems that are no warnings."""
        return [p for p in self.problems if p.severity == ERROR]

    def worst_aligned(self) -> List[Tuple[FoundPair, List]]:
        """Pairs with their estimates, the worst first."""
        both = [(pair, record.misalignment)
                for pair, record in zip(self.tree.pairs, self.records)
                if record.misalignment is not None]
        return sorted(both, key=lambda entry: (-entry[1][0], entry[0].stem))


def check_tree(root: Path,
               folders: Folders = Folders(),  # noqa: B008
               options: PairOptions = PairOptions(),  # noqa: B008
               jobs: int = 1,
               journal: Optional[Path] = None,
               leak_distance: float = LEAK_DISTANCE,
               progress: Optional[Callable] = None) -> Report:
    """Check a data set.

    Args:
        root (Path): Its folder.
        folders (Folders): Where things lie in it.
        options (PairOptions): What pairs are held against. Without classes,
            those of ``meta.json`` count.
        jobs (int): Number of processes. Default: 1.
        journal (Path, optional): File of finished parts. Default: None.
        leak_distance (float): Share of differing bits of the hash up to
            which two images are one. Default: 0.04.
        progress (Callable, optional): Wraps the iterable of finished parts,
            and takes ``total``.

    Returns:
        Report: What was found. The order of its contents depends on neither
        ``jobs`` nor interruptions.

    Raises:
        FileNotFoundError: If the folder of a modality does not exist.
        PairError: If there is no visible image.
        RuntimeError: If a process died, for lack of memory for example.
    """
    tree = read_tree(root, folders)
    if not options.classes and tree.classes:
        options = options._replace(classes=tree.classes)
    parts = _parts(tree.pairs)
    keys = [_key(tree.root, part, options) for part in parts]
    done = _read_journal(journal, set(keys))
    todo = [n for n, key in enumerate(keys) if key not in done]
    task = partial(check_part, root=tree.root, options=options)
    results = _run(task, [parts[n] for n in todo], jobs)
    progress = progress or (lambda results, total: results)
    for number, result in zip(todo, progress(results, total=len(todo))):
        done[keys[number]] = result
        if journal is not None:
            _append(journal, keys[number], result)
    ordered = [done[key] for key in keys]
    records = [
        PairRecord(**record) for result in ordered
        for record in result['records']
    ]
    problems = list(tree.problems)
    problems += [Problem(*fields) for r in records for fields in r.problems]
    problems += _find_duplicates(tree.pairs, records, leak_distance)
    splits = _summarise(parts, ordered)
    problems += _mixed_formats(tree.pairs, records)
    problems = sorted(set(problems),
                      key=lambda p: (p.severity, p.kind, p.file, p.message))
    return Report(tree, records, splits, problems, options.classes)


def check_part(pairs: Sequence[FoundPair], root: Path,
               options: PairOptions) -> dict:
    """Check some pairs of one split.

    Returns:
        dict: ``records`` (fields of :class:`PairRecord`), ``histograms``
        (nested list (4, 256)), as they come back from the journal.
    """
    records, total = [], np.zeros((4, 256), np.int64)
    for pair in pairs:
        record, histograms = check_pair(root, pair, options)
        records.append(record._asdict())
        if histograms is not None:
            total += histograms
    return json.loads(
        json.dumps(dict(records=records, histograms=total.tolist())))


def _parts(pairs: Sequence[FoundPair]) -> List[List[FoundPair]]:
    """Cut a list into parts, each of one split."""
    parts: List[List[FoundPair]] = []
    for pair in pairs:
        if (not parts or len(parts[-1]) == PART
                or parts[-1][-1].split != pair.split):
            parts.append([])
        parts[-1].append(pair)
    return parts


def _key(root: Path, part: Sequence[FoundPair], options: PairOptions) -> str:
    """What the result of a part depends on."""
    state: List[object] = [VERSION, tuple(options)]
    for pair in part:
        state.append(tuple(pair))
        for name in (pair.visible, pair.infrared, pair.labels, pair.mask):
            if name is not None:
                try:
                    facts = os.stat(root / name)
                    state.append((facts.st_size, facts.st_mtime_ns))
                except OSError as error:
                    state.append(type(error).__name__)
    return hashlib.sha256(repr(state).encode()).hexdigest()


def _read_journal(journal: Optional[Path], keys: set) -> Dict[str, dict]:
    """Finished parts; a line that was cut off is passed over."""
    done: Dict[str, dict] = {}
    if journal is None or not journal.is_file():
        return done
    with open(journal, encoding='utf-8') as file:
        for line in file:
            try:
                entry = json.loads(line)
                if entry['key'] in keys:
                    done[entry['key']] = entry['result']
            except (ValueError, KeyError, TypeError):
                continue
    return done


def _append(journal: Path, key: str, result: dict) -> None:
    """Add a finished part, after the end of a line that was cut off."""
    text = json.dumps(dict(key=key, result=result), separators=(',', ':'))
    with open(journal, 'a', encoding='utf-8') as file:
        file.write(f'\n{text}\n')


def _run(task: Callable, parts: List[List[FoundPair]], jobs: int):
    """Do the work in order, yielding results."""
    if jobs == 1 or len(parts) < 2:
        with one_opencv_thread():
            yield from map(task, parts)
        return
    with worker_pool(jobs) as pool:
        futures = [pool.submit(task, part) for part in parts]
        try:
            for future in futures:
                yield future.result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                'a process of the check died, maybe for lack of memory; try '
                '--jobs 1') from error
        finally:
            for future in futures:
                future.cancel()


def _summarise(parts: List[List[FoundPair]],
               results: List[dict]) -> Dict[str, SplitReport]:
    """Add up the parts of each split."""
    splits: Dict[str, SplitReport] = {}
    for part, result in zip(parts, results):
        report = splits.setdefault(
            part[0].split,
            SplitReport(0, {}, dict(visible={}, infrared={}),
                        np.zeros((4, 256), np.int64), {}, {}))
        for record in result['records']:
            if record['size'] is not None:
                height, width = record['size']
                _count(report.sizes, f'{height} x {width}')
            for modality, form in record['formats'].items():
                _count(report.formats[modality], form)
            for name, count in record['counts'].items():
                _count(report.counts, name, count)
                _count(report.present, name)
        splits[part[0].split] = report._replace(
            pairs=report.pairs + len(part),
            histograms=report.histograms + np.array(result['histograms']))
    return splits


def _count(table: Dict[str, int], key: str, number: int = 1) -> None:
    """Add to an entry of a table."""
    table[key] = table.get(key, 0) + number


def _mixed_formats(pairs: Sequence[FoundPair],
                   records: Sequence[PairRecord]) -> List[Problem]:
    """A warning for files that are stored unlike most of the set."""
    problems = []
    for modality in ('visible', 'infrared'):
        forms = [
            None if any(fields[0] == 'format' for fields in record.problems)
            else record.formats.get(modality) for record in records
        ]
        common = Counter(form for form in forms if form).most_common(1)
        for pair, form in zip(pairs, forms):
            if form and form != common[0][0]:
                problems.append(
                    Problem('mixed formats', getattr(pair, modality),
                            f'is {form} (depth x channels), {common[0][1]} '
                            f'others are {common[0][0]}', WARNING))
    return problems


def _find_duplicates(pairs: Sequence[FoundPair],
                     records: Sequence[PairRecord],
                     distance: float) -> List[Problem]:
    """Find images that occur twice: leakage between splits, or copies."""
    problems = _same_files(pairs, records)
    told = {(p.file, p.kind) for p in problems}
    blank = {
        n for n, record in enumerate(records)
        if any(fields[0] == 'blank' for fields in record.problems)
    }
    by_split: Dict[str, List[int]] = {}
    for number, (pair, record) in enumerate(zip(pairs, records)):
        if record.hashes and number not in blank and pair.split != UNLISTED:
            by_split.setdefault(pair.split, []).append(number)
    names = list(by_split)
    for place, first in enumerate(names):
        for second in names[place + 1:]:
            for a, b, share in _near(records, by_split[first],
                                     by_split[second], distance):
                if (pairs[b].visible, 'leakage') in told:
                    continue
                told.add((pairs[b].visible, 'leakage'))
                problems.append(
                    Problem('leakage', pairs[b].visible,
                            f'shows what {pairs[a].visible} shows: both '
                            f'modalities differ in at most {share:.1%} of '
                            'the bits of their hashes'))
    return problems


def _near(records: Sequence[PairRecord], first: List[int], second: List[int],
          distance: float) -> List[Tuple[int, int, float]]:
    """Pairs of which both modalities nearly agree."""
    shares = []
    for modality in ('visible', 'infrared'):
        found = near_pairs([records[n].hashes[modality] for n in first],
                           [records[n].hashes[modality] for n in second],
                           distance)
        shares.append({(a, b): share for a, b, share in found})
    return [(first[a], second[b], max(share, shares[1][a, b]))
            for (a, b), share in sorted(shares[0].items())
            if (a, b) in shares[1]]


def _same_files(pairs: Sequence[FoundPair],
                records: Sequence[PairRecord]) -> List[Problem]:
    """Files whose bytes occur twice, in either modality."""
    seen: Dict[str, Tuple[FoundPair, str]] = {}
    problems = []
    for pair, record in zip(pairs, records):
        for modality, digest in record.digests.items():
            name = getattr(pair, modality)
            if digest not in seen:
                seen[digest] = (pair, name)
                continue
            first, other = seen[digest]
            if first is pair:
                problems.append(
                    Problem('same image', name, f'is the file {other}'))
            elif UNLISTED in (first.split, pair.split) or (
                    first.split == pair.split):
                problems.append(
                    Problem('duplicate', name, f'is the file {other}',
                            WARNING))
            else:
                problems.append(
                    Problem('leakage', name, f'is the file {other}'))
    return problems
