"""Write synthetic paired scenes as a data set in our layout."""

import json
import os
from functools import partial
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import cv2
from rich.progress import track

from ..pairs.benchmarks import BENCHMARKS, SCENE_THINGS
from ..pairs.layout import (
    PairStatistics,
    atomic_folder,
    coco_document,
    run_length,
    write_json,
    write_stems,
)
from ..pairs.processes import one_opencv_thread, worker_pool
from .scene import make_scene

VERSION = 1
# The position of a split is a part of the key of its scenes.
SPLITS = ('train', 'val', 'test')
# 16 x 21 patches of 14 pixels.
SIZE = (224, 294)
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92]


def write_scene(job: Tuple[str, int], root: Path, size: Tuple[int, int],
                seed: int, suffix: str) -> dict:
    """Make one scene and write its files.

    Args:
        job (Tuple[str, int]): Split and number of the scene in it.
        root (Path): Folder of the data set.
        size (Tuple[int, int]): Height and width.
        seed (int): Seed of the data set.
        suffix (str): 'png' or 'jpg' for the visible file.

    Returns:
        dict: ``stem``, ``night``, ``file_name``, ``boxes``, ``statistics``.
    """
    split, index = job
    scene = make_scene((seed, SPLITS.index(split), index), *size)
    stem = f'{split}_{index:05d}' + ('N' if scene.night else 'D')
    name = f'{stem}.{suffix}'
    for folder, file_name, image in (('visible', name, scene.visible),
                                     ('infrared', f'{stem}.png',
                                      scene.infrared),
                                     ('labels', f'{stem}.png', scene.labels),
                                     ('masks', f'{stem}.png', scene.salient)):
        path = root / folder / split / file_name
        flags = _JPEG if path.suffix == '.jpg' else _PNG
        if not cv2.imwrite(str(path), image, flags):
            raise OSError(f'{path}: could not be written')
    # Thing classes follow the background, so label ids are category ids.
    boxes = [
        dict(
            category_id=thing.label,
            bbox=list(thing.box),
            area=int(thing.mask.sum()),
            segmentation=run_length(thing.mask),
            iscrowd=0) for thing in scene.things
    ]
    return dict(
        stem=stem,
        night=scene.night,
        file_name=name,
        boxes=boxes,
        statistics=PairStatistics.of_pair(scene.visible, scene.infrared))


def write_split(root: Path, split: str, records: List[dict],
                size: Tuple[int, int]) -> None:
    """Write boxes and lists of a split."""
    images, annotations = [], []
    for number, record in enumerate(records, 1):
        images.append(
            dict(
                id=number,
                file_name=record['file_name'],
                height=size[0],
                width=size[1]))
        annotations += [dict(image_id=number, **b) for b in record['boxes']]
    write_json(
        root / 'annotations' / f'{split}.json',
        coco_document(SCENE_THINGS, images, annotations,
                      BENCHMARKS['scenes']['source']))
    lists = {
        split: [r['stem'] for r in records],
        f'{split}_day': [r['stem'] for r in records if not r['night']],
        f'{split}_night': [r['stem'] for r in records if r['night']]
    }
    for name, stems in lists.items():
        write_stems(root / 'splits' / f'{name}.txt', stems)


def write_scenes(out: Path,
                 counts: Dict[str, int],
                 size: Tuple[int, int] = SIZE,
                 seed: int = 0,
                 suffix: str = 'png',
                 jobs: Optional[int] = None,
                 force: bool = False) -> bool:
    """Make a data set of scenes.

    Args:
        out (Path): The folder to make.
        counts (Dict[str, int]): Number of pairs of each of the splits
            ``'train'``, ``'val'`` and ``'test'``.
        size (Tuple[int, int]): Height and width. Default: (224, 294).
        seed (int): Seed; each scene has a stream of its own.
            Default: 0.
        suffix (str): 'png' or 'jpg' for the visible files.
            Default: 'png'.
        jobs (int, optional): Number of processes. Default: None, one a
            core.
        force (bool): Replace ``out`` if it exists. Default: False.

    Returns:
        bool: False if ``out`` holds this very data set already.

    Raises:
        FileExistsError: If ``out`` holds anything else and not ``force``.
    """
    recipe = dict(
        version=VERSION, seed=seed, size=list(size), visible_format=suffix,
        counts=counts)
    if not force and _holds(out, recipe):
        return False
    work = [(s, i) for s, count in counts.items() for i in range(count)]
    facts = BENCHMARKS['scenes']
    with atomic_folder(out, force) as root:
        for split in counts:
            for folder in ('visible', 'infrared', 'labels', 'masks'):
                (root / folder / split).mkdir(parents=True)
        task = partial(
            write_scene, root=root, size=size, seed=seed, suffix=suffix)
        records = _run(task, work, jobs or os.cpu_count() or 1)
        statistics = PairStatistics()
        for split in counts:
            of_split = [
                record for (name, _), record in zip(work, records)
                if name == split
            ]
            write_split(root, split, of_split, size)
            if split == next(iter(counts)):
                for record in of_split:
                    statistics.add(record['statistics'])
        write_json(
            root / 'meta.json',
            dict(
                name='scenes',
                source=facts['source'],
                licence=facts['licence'],
                classes=facts['classes'],
                palette=facts['palette'],
                things=SCENE_THINGS,
                counts=counts,
                statistics=statistics.result(),
                statistics_of=next(iter(counts)),
                converter='make_scenes',
                converter_version=VERSION,
                recipe=recipe), 2)
    return True


def _holds(out: Path, recipe: dict) -> bool:
    """Whether a folder holds the data set of a recipe."""
    try:
        meta = json.loads((out / 'meta.json').read_text(encoding='utf-8'))
        return meta['converter'] == 'make_scenes' and meta['recipe'] == recipe
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _run(task: partial, work: list, jobs: int) -> list:
    """Do the work, in order, with a progress bar."""
    if jobs == 1 or len(work) < 8:
        with one_opencv_thread():
            return [task(job) for job in track(work, 'Making scenes')]
    with worker_pool(jobs) as pool:
        done = pool.map(task, work, chunksize=4)
        return list(track(done, 'Making scenes', total=len(work)))
