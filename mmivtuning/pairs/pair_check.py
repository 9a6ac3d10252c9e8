"""Checking one pair, with its labels and boxes."""

import hashlib
import math
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from .decoding import decode_image, exif_orientation, read_bytes
from .errors import PairError
from .formats import decode_label_ids, read_mask
from .hashing import difference_hash, to_text
from .problems import WARNING, Problem
from .reading import (
    Range,
    is_coloured,
    split_pair_file,
    to_grey,
    to_infrared,
    to_visible,
)
from .registration import estimate_misalignment
from .tree import FoundPair

# Mean difference of grey values under which two images are one.
_COPY_TOLERANCE = 1.0
# Boxes are often rounded outwards.
_EDGE_TOLERANCE = 0.5


class PairOptions(NamedTuple):
    """What a pair is held against.

    Attributes:
        classes (Tuple[str, ...]): Label ids are 0 to their number - 1, boxes
            are of one of them; empty: not checked.
        ignored_id (int): Label id that is allowed beside them.
        infrared_range (Tuple[float, float], optional): See
            :func:`to_infrared`.
        alignment (bool): Whether misalignment is estimated.
        max_misalignment (float, optional): Largest accepted estimate.
    """

    classes: Tuple[str, ...] = ()
    ignored_id: int = 255
    infrared_range: Optional[Range] = None
    alignment: bool = True
    max_misalignment: Optional[float] = None


class PairRecord(NamedTuple):
    """What is known of a pair; it can be written as JSON.

    Attributes:
        split (str): Name of its split.
        stem (str): What its files share.
        problems (List[Tuple]): Fields of :class:`Problem`.
        size (Tuple[int, int], optional): Height and width; None if the pair
            could not be read.
        formats (Dict[str, str]): Depth and channels of each modality's file.
        hashes (Dict[str, str]): Difference hash of each modality.
        digests (Dict[str, str]): Digest of each file.
        counts (Dict[str, int]): Pixels of each label id, or boxes of each
            class.
        misalignment (List, optional): Fields of :class:`Misalignment`.
    """

    split: str
    stem: str
    problems: List[Tuple]
    size: Optional[Tuple[int, int]] = None
    formats: Dict[str, str] = {}
    hashes: Dict[str, str] = {}
    digests: Dict[str, str] = {}
    counts: Dict[str, int] = {}
    misalignment: Optional[List] = None


def check_pair(root: Path, pair: FoundPair, options: PairOptions
               ) -> Tuple[PairRecord, Optional[np.ndarray]]:
    """Check the files of a pair.

    Args:
        root (Path): Folder of the data set.
        pair (FoundPair): The pair.
        options (PairOptions): What it is held against.

    Returns:
        Tuple[PairRecord, Optional[np.ndarray]]: What was found; histograms,
        int64 (4, 256) in the order R, G, B, infrared, None if the pair could
        not be read.
    """
    problems: List[Problem] = []
    facts: dict = dict(formats={}, digests={}, hashes={}, counts={})
    planes = _read_planes(root, pair, options, problems, facts)
    histograms = None
    if planes is not None:
        visible, infrared = planes
        facts['size'] = visible.shape[:2]
        histograms = _histograms(visible, infrared)
        _check_values(pair, visible, infrared, options, problems, facts)
    size = facts.get('size')
    _check_labels(root, pair, size, options, problems, facts)
    _check_boxes(pair, size, options, problems, facts)
    record = PairRecord(pair.split, pair.stem, [tuple(p) for p in problems],
                        **facts)
    return record, histograms


def _decode(root: Path, name: str, problems: List[Problem],
            facts: dict, role: str) -> Optional[Tuple[np.ndarray, bytes]]:
    """Read and decode a file; what fails becomes a problem."""
    try:
        data = read_bytes(str(root / name))
    except OSError as error:
        problems.append(Problem('unreadable', name, str(error)))
        return None
    if not data:
        problems.append(Problem('empty file', name, 'has 0 bytes'))
        return None
    facts['digests'][role] = hashlib.sha256(data).hexdigest()[:32]
    try:
        planes = decode_image(data, name)
    except PairError as error:
        problems.append(Problem('unreadable', name, _reason(error, name)))
        return None
    facts['formats'][role] = f'{planes.dtype} x {planes.shape[2]}'
    return planes, data


def _reason(error: Exception, name: str) -> str:
    """The message of an error, without the name that it begins with."""
    text = str(error)
    start = f"'{name}' "
    return text[len(start):] if text.startswith(start) else text


def _read_planes(root: Path, pair: FoundPair, options: PairOptions,
                 problems: List[Problem], facts: dict
                 ) -> Optional[Tuple[np.ndarray, np.ndarray]]:
    """The planes of a pair, None if they are not usable."""
    first = _decode(root, pair.visible, problems, facts, 'visible')
    second = first
    if pair.infrared is not None:
        second = _decode(root, pair.infrared, problems, facts, 'infrared')
    if first is None or second is None:
        return None
    infrared_name = pair.infrared or pair.visible
    visible, infrared = first[0], second[0]
    result = []
    try:
        if pair.infrared is None:
            visible, infrared = split_pair_file(visible, pair.visible)
        result.append(to_visible(visible, pair.visible))
    except PairError as error:
        problems.append(
            Problem('format', pair.visible, _reason(error, pair.visible)))
    try:
        result.append(
            to_infrared(infrared, infrared_name, options.infrared_range))
    except PairError as error:
        problems.append(
            Problem('format', infrared_name, _reason(error, infrared_name)))
    if len(result) < 2:
        return None
    if pair.infrared is not None and is_coloured(infrared):
        hint = ('' if is_coloured(visible) else
                '; the visible file is grey: are the two swapped?')
        problems.append(
            Problem('pseudo-colour', infrared_name,
                    f'has a colour map, its grey value is used{hint}',
                    WARNING))
    marked = (exif_orientation(first[1]), exif_orientation(second[1]))
    if marked[0] != marked[1]:
        problems.append(
            Problem('orientation', infrared_name,
                    f'has the EXIF orientation {marked[1]}, {pair.visible} '
                    f'has {marked[0]}'))
    shapes = [plane.shape[:2] for plane in result]
    if shapes[0] != shapes[1]:
        problems.append(
            Problem('size', infrared_name,
                    f'is {_size_text(shapes[1])}, {pair.visible} is '
                    f'{_size_text(shapes[0])} (height x width)'))
        return None
    return result[0], result[1]


def _size_text(size: Sequence[int]) -> str:
    """Height x width."""
    return f'{size[0]} x {size[1]}'


def _histograms(visible: np.ndarray, infrared: np.ndarray) -> np.ndarray:
    """Counts of the values of R, G, B, infrared: int64 (4, 256)."""
    planes = [visible[..., 2], visible[..., 1], visible[..., 0], infrared]
    return np.stack([
        np.bincount(plane.reshape(-1), minlength=256) for plane in planes
    ]).astype(np.int64)


def _check_values(pair: FoundPair, visible: np.ndarray, infrared: np.ndarray,
                  options: PairOptions, problems: List[Problem],
                  facts: dict) -> None:
    """Judge the pixels of a pair whose files fit each other."""
    infrared_name = pair.infrared or pair.visible
    grey = to_grey(visible)
    blank = False
    for name, plane, role in ((pair.visible, grey, 'visible'),
                              (infrared_name, infrared, 'infrared')):
        facts['hashes'][role] = to_text(difference_hash(plane))
        if plane.min() == plane.max():
            blank = True
            problems.append(
                Problem('blank', name, f'every {role} pixel is '
                        f'{int(plane.min())}'))
    if blank:
        return
    if float(cv2.absdiff(grey, infrared).mean()) < _COPY_TOLERANCE:
        problems.append(
            Problem('same image', infrared_name,
                    f'shows what {pair.visible} shows, in grey'))
    if not options.alignment:
        return
    found = estimate_misalignment(grey, infrared)
    if found is None:
        return
    facts['misalignment'] = list(found)
    limit = options.max_misalignment
    if limit is not None and found.pixels > limit:
        problems.append(
            Problem('misalignment', infrared_name,
                    f'estimated at {found.pixels:.1f} pixels against '
                    f'{pair.visible}, accepted are {limit:g}'))


def _check_labels(root: Path, pair: FoundPair,
                  size: Optional[Tuple[int, int]], options: PairOptions,
                  problems: List[Problem], facts: dict) -> None:
    """Judge the label map or the mask of a pair."""
    for name, is_mask in ((pair.labels, False), (pair.mask, True)):
        if name is None:
            continue
        decoded: dict = dict(digests={}, formats={})
        labels = _decode(root, name, problems, decoded, 'labels')
        if labels is None:
            continue
        try:
            if is_mask:
                ids = read_mask(root / name)[0]
            else:
                ids = decode_label_ids(labels[1], name)[0]
        except PairError as error:
            problems.append(
                Problem('format', name,
                        _reason(error, str(root / name)
                                if is_mask else name)))
            continue
        if size is not None and ids.shape != tuple(size):
            problems.append(
                Problem('size', name,
                        f'is {_size_text(ids.shape)}, {pair.visible} is '
                        f'{_size_text(size)} (height x width)'))
        if is_mask:
            _check_mask(name, ids, problems, facts)
        else:
            _check_ids(name, ids, options, problems, facts)


def _check_mask(name: str, mask: np.ndarray, problems: List[Problem],
                facts: dict) -> None:
    """Judge a mask of 0 and 255."""
    salient = int((mask > 0).sum())
    if not salient:
        problems.append(
            Problem('empty labels', name, 'nothing is salient', WARNING))
    if not facts['counts']:
        facts['counts'] = dict(background=mask.size - salient,
                               salient=salient)


def _check_ids(name: str, ids: np.ndarray, options: PairOptions,
               problems: List[Problem], facts: dict) -> None:
    """Judge a map of label ids."""
    if ids.dtype.kind not in 'ui':
        problems.append(
            Problem('format', name, f'holds {ids.dtype}, expected class ids'))
        return
    values, counts = np.unique(ids, return_counts=True)
    facts['counts'] = {
        str(value): int(count)
        for value, count in zip(values.tolist(), counts)
    }
    number = len(options.classes)
    known = set(range(number or 256)) | {options.ignored_id}
    bad = [value for value in values.tolist() if value not in known]
    if bad:
        shown = ', '.join(map(str, bad[:10])) + (', ...' if bad[10:] else '')
        problems.append(
            Problem('label ids', name,
                    f'holds {shown}; expected 0 to {(number or 256) - 1}, or '
                    f'{options.ignored_id} for what is ignored'))
    if set(values.tolist()) <= {options.ignored_id}:
        problems.append(
            Problem('empty labels', name, 'everything is ignored', WARNING))


def _check_boxes(pair: FoundPair, size: Optional[Tuple[int, int]],
                 options: PairOptions, problems: List[Problem],
                 facts: dict) -> None:
    """Judge the boxes of a pair."""
    if not pair.boxes_from:
        return
    stated = pair.stated_size
    if size is not None and stated and None not in stated and (
            tuple(stated) != tuple(size)):
        problems.append(
            Problem('annotations', pair.boxes_from,
                    f'says that {pair.visible} is {_size_text(stated)} '
                    f'(height x width), it is {_size_text(size)}'))
    counts: Dict[str, int] = {}
    for name, box in pair.boxes:
        counts[name] = counts.get(name, 0) + 1
        reason = _box_problem(box, size)
        if reason:
            problems.append(
                Problem('boxes', pair.boxes_from,
                        f'{pair.visible}: {name} at {list(box)} (left, top, '
                        f'width, height) {reason}'))
    unknown = sorted(set(counts) - set(options.classes))
    if options.classes and unknown:
        problems.append(
            Problem('annotations', pair.boxes_from,
                    f"{pair.visible}: boxes of {', '.join(unknown)}; "
                    f"expected {', '.join(options.classes)}"))
    if not pair.labels:
        facts['counts'] = counts


def _box_problem(box: Sequence, size: Optional[Tuple[int, int]]) -> str:
    """What is wrong with a box, '' if nothing is."""
    try:
        numbers = [float(value) for value in box]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        return 'is no box of 4 finite numbers'
    left, top, width, height = numbers
    if min(width, height) <= 0:
        return 'is empty'
    if size is None:
        return ''
    over = max(-left, -top, left + width - size[1], top + height - size[0])
    if over > _EDGE_TOLERANCE:
        return (f'sticks out of the image of {_size_text(size)} by '
                f'{over:g} pixel(s)')
    return ''
