"""From a benchmark as its authors distribute it to our layout.

A converter in ``data_prep`` says where the files of each pair are (a
:class:`~mmivtuning.pairs.sources.Plan`); everything else is here: checking
every file, copying or linking, counts, boxes, statistics, all or nothing. The
command line is in ``data_prep/command_line.py``. A conversion that was
interrupted is resumed.
"""

import shutil
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import (
    Callable,
    Dict,
    Iterator,
    List,
    Optional,
    Sequence,
    Tuple,
)

import cv2
import numpy as np

from .benchmarks import BENCHMARKS
from .errors import PairError
from .formats import place_boxes, read_label_ids, read_mask, read_voc
from .journal import Journal, digest_of
from .layout import (
    Interrupted,
    PairStatistics,
    atomic_folder,
    coco_document,
    write_json,
    write_stems,
)
from .processes import one_opencv_thread, worker_pool
from .reading import read_pair
from .sources import ConversionError, Item, Plan
from .yolo import read_yolo

# Of the layout that is written and of what is checked on the way.
VERSION = 1
_MODALITIES = ('visible', 'infrared')
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 3]


def check_counts(name: str, plan: Plan) -> List[str]:
    """Compare the number of pairs with the published one.

    Args:
        name (str): Key of ``BENCHMARKS``.
        plan (Plan): What was found.

    Returns:
        List[str]: A line for every split or subset that differs.
    """
    facts = BENCHMARKS[name]
    found = {split: 0 for split in facts['splits']}
    for item in plan.items:
        found[item.split] = found.get(item.split, 0) + 1
    found.update({n: len(stems) for n, stems in plan.subsets.items()})
    published = dict(facts['splits'], **facts['subsets'])
    if 'total' in facts:
        found['all splits'] = len(plan.items)
        published['all splits'] = facts['total']
    return [
        f'{split}: found {found.get(split, 0)} pairs, published are {count} '
        '(--allow-subset accepts it)' for split, count in published.items()
        if found.get(split, 0) != count
    ]


def convert_item(job: Tuple[Item, Optional[dict]], root: Path, facts: dict,
                 link: bool, ignore: Sequence[str]) -> dict:
    """Check the files of a pair and put them where they belong.

    Args:
        job (tuple[Item, dict or None]): The source files, and what this
            returned for the pair before the conversion was interrupted. If
            the sources have not changed since, that is returned again.
        root (Path): Folder of the data set.
        facts (dict): As an entry of ``BENCHMARKS``.
        link (bool): Link unchanged files instead of copying them.
        ignore (Sequence[str]): Classes whose boxes are left out.

    Returns:
        dict: ``problem`` (str) if there is one, else ``file_name``, ``size``,
        ``boxes``, ``notes``, ``statistics``, a digest of the ``sources`` and
        the sizes of the files ``written``. JSON gives it back as it is.
    """
    item, finished = job
    classes = facts['classes']
    written: List[Path] = []
    try:
        sources = digest_of(item, ignore)
        if finished and finished.get('sources') == sources and all(
                _size(root / name) == size
                for name, size in finished['written'].items()):
            return finished
        pair = _read(item)
        size = pair.shape[:2]
        boxes, notes = [], []
        if item.voc is not None:
            boxes, notes = place_boxes(
                read_voc(item.voc), size, classes, str(item.voc), ignore)
        elif item.boxes is not None:
            boxes, notes = place_boxes(item.boxes, size, classes,
                                       item.boxes_from, ignore)
        elif item.yolo is not None:
            boxes, notes = place_boxes(
                read_yolo(item.yolo, classes, size), size, classes,
                str(item.yolo), ignore)
        if item.labels is not None:
            written.append(_put_labels(item, root, facts, size, link))
        if item.mask is not None:
            path, found = _put_mask(item, root, size, link)
            written.append(path)
            notes = notes + found
        if item.visible == item.infrared or item.border:
            file_name = f'{item.stem}.png'
            planes = (pair[..., :3], pair[..., 3])
            for modality, plane in zip(_MODALITIES, planes):
                path = root / modality / item.split / file_name
                written.append(_write(path, plane))
        else:
            file_name = item.stem + item.visible.suffix.lower()
            for modality in _MODALITIES:
                path = getattr(item, modality)
                written.append(_put(
                    path, root / modality / item.split /
                    (item.stem + path.suffix.lower()), link))
    except (PairError, FileNotFoundError) as error:
        return dict(problem=str(error))
    return dict(
        problem=None,
        sources=sources,
        written={path.relative_to(root).as_posix(): _size(path)
                 for path in written},
        file_name=file_name,
        size=list(size),
        boxes=boxes,
        notes=notes,
        statistics=PairStatistics.of_pair(pair[..., :3], pair[..., 3]))


def _read(item: Item) -> np.ndarray:
    """Read a pair and cut its border off.

    Raises:
        PairError: If the pair is not usable, or nothing but border.
    """
    pair = read_pair(str(item.visible), str(item.infrared))
    if not item.border:
        return pair
    cut = item.border
    inner = pair[cut:-cut, cut:-cut]
    if not inner.size:
        raise PairError(
            f"'{item.visible}' is {pair.shape[0]} x {pair.shape[1]} (height x "
            f'width), expected more than a border of {cut} pixels')
    return inner


def _size(path: Path) -> Optional[int]:
    """Size of a file, None if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _put_labels(item: Item, root: Path, facts: dict,
                size: Tuple[int, int], link: bool) -> Path:
    """Check and place an image of class ids; returns where it is.

    Raises:
        PairError: If it is not usable or not of the size of the pair.
    """
    ids, as_is = read_label_ids(item.labels, facts['classes'],
                                facts.get('ignored_ids', ()))
    if ids.shape != size:
        raise PairError(
            f"'{item.labels}' is {ids.shape[0]} x {ids.shape[1]} (height x "
            f"width), the pair '{item.visible}' is {size[0]} x {size[1]}")
    target = root / 'labels' / item.split / f'{item.stem}.png'
    return (_put(item.labels, target, link) if as_is else
            _write(target, ids))


def _put_mask(item: Item, root: Path, size: Tuple[int, int],
              link: bool) -> Tuple[Path, List[str]]:
    """Check and place a mask, binarised; returns where it is, and notes.

    Raises:
        PairError: If it is not usable or not of the size of the pair.
    """
    mask, as_is = read_mask(item.mask)
    if mask.shape != size:
        raise PairError(
            f"'{item.mask}' is {mask.shape[0]} x {mask.shape[1]} (height x "
            f"width), the pair '{item.visible}' is {size[0]} x {size[1]}")
    target = root / 'masks' / item.split / f'{item.stem}.png'
    if as_is:
        _put(item.mask, target, link)
    else:
        _write(target, mask)
    return target, ([] if mask.any() else
                    [f'{item.mask}: nothing is salient'])


def _put(source: Path, target: Path, link: bool) -> Path:
    """Copy or link a file; returns where it is."""
    # An interrupted conversion may have left one.
    target.unlink(missing_ok=True)
    if link:
        target.symlink_to(source.resolve())
    else:
        shutil.copyfile(source, target)
    return target


def _write(path: Path, image: np.ndarray) -> Path:
    """Write a PNG; returns where it is."""
    # An interrupted conversion may have left a link to a source, which would
    # be written to.
    path.unlink(missing_ok=True)
    if not cv2.imwrite(str(path), image, _PNG):
        raise OSError(f'{path}: could not be written')
    return path


def convert(name: str,
            plan: Plan,
            out: Path,
            recipe: dict,
            link: bool = False,
            force: bool = False,
            ignore: Sequence[str] = (),
            jobs: int = 1,
            progress: Optional[Callable] = None,
            facts: Optional[dict] = None) -> List[str]:
    """Write a planned data set.

    Args:
        name (str): Key of ``BENCHMARKS``, or any name with ``facts``.
        plan (Plan): What to write.
        out (Path): The folder to make.
        recipe (dict): What the result depends on; kept in ``meta.json``.
        link (bool): Link unchanged files instead of copying. Default: False.
        force (bool): Replace ``out``. Default: False.
        ignore (Sequence[str]): Classes whose boxes are left out.
        jobs (int): Number of processes. Default: 1.
        progress (Callable, optional): Wraps the iterable of finished pairs,
            and takes ``total``.
        facts (dict, optional): As an entry of ``BENCHMARKS``; ``ignored_ids``
            are label ids allowed beside the classes. Default: None, those of
            the benchmark.

    Returns:
        List[str]: Notes on boxes that were clipped or left out, and on empty
        masks.

    Raises:
        ConversionError: If a file is bad; all of them are named.
        FileExistsError: If ``out`` exists and not ``force``.
        Interrupted: If a process was killed; the same call resumes.
    """
    facts = facts or BENCHMARKS[name]
    splits = list(dict.fromkeys(item.split for item in plan.items))
    folders = [*_MODALITIES]
    truth = dict(segmentation='labels', saliency='masks')
    if facts['task'] in truth:
        folders.append(truth[facts['task']])
    journal = Journal(dict(recipe, link=link, facts=facts), plan.items)
    with atomic_folder(out, force, journal.belongs_to) as root:
        for split in splits:
            for folder in folders:
                (root / folder / split).mkdir(parents=True, exist_ok=True)
        task = partial(
            convert_item, root=root, facts=facts, link=link, ignore=ignore)
        finished = journal.finished(root)
        work = [(item, finished.get((item.split, item.stem)))
                for item in plan.items]
        progress = progress or (lambda done, total: done)
        records = list(progress(
            journal.write(root, plan.items, _run(task, work, jobs)),
            total=len(work)))
        problems = [r['problem'] for r in records if r['problem']]
        if problems:
            raise ConversionError(problems)
        notes = [note for record in records for note in record['notes']]
        counts: Dict[str, int] = {}
        statistics = PairStatistics()
        for split in splits:
            chosen = [(item, record)
                      for item, record in zip(plan.items, records)
                      if item.split == split]
            counts[split] = len(chosen)
            write_stems(root / 'splits' / f'{split}.txt',
                        [item.stem for item, _ in chosen])
            if facts['task'] == 'detection':
                write_json(root / 'annotations' / f'{split}.json',
                           _coco(facts, [r for _, r in chosen]))
            if split == splits[0]:
                for _, record in chosen:
                    statistics.add(record['statistics'])
        for subset, stems in plan.subsets.items():
            write_stems(root / 'splits' / f'{subset}.txt', stems)
            counts[subset] = len(stems)
        write_json(
            root / 'meta.json',
            dict(
                name=name,
                source=facts['source'],
                licence=facts['licence'],
                classes=facts['classes'],
                palette=facts['palette'],
                counts=counts,
                published=dict(facts['splits'], **facts['subsets']),
                statistics=statistics.result(),
                statistics_of=splits[0],
                notes=notes,
                converter=name,
                converter_version=VERSION,
                recipe=recipe), 2)
        journal.remove(root)
    return notes


def _coco(facts: dict, records: List[dict]) -> dict:
    """The boxes of a split as a COCO document."""
    images, annotations = [], []
    for number, record in enumerate(records, 1):
        height, width = record['size']
        images.append(
            dict(
                id=number,
                file_name=record['file_name'],
                height=height,
                width=width))
        annotations += [dict(image_id=number, **b) for b in record['boxes']]
    return coco_document(facts['classes'], images, annotations,
                         facts['source'])


def _run(task: Callable, work: List[tuple], jobs: int) -> Iterator[dict]:
    """Do the work in order."""
    if jobs == 1 or len(work) < 8:
        with one_opencv_thread():
            yield from map(task, work)
        return
    try:
        with worker_pool(jobs) as pool:
            yield from pool.map(task, work, chunksize=8)
    except BrokenProcessPool as error:
        raise Interrupted('a process was killed, perhaps for want of memory '
                          '(fewer --jobs need less)') from error
