"""Readers of the annotations that data sets are distributed with.

Boxes come out as COCO has them: left, top, width, height in pixels. A box
that sticks out of its image is clipped, one of which nothing is left is left
out; both are told in the notes, never done silently.
"""

import json
import math
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path
from typing import (
    Collection,
    Dict,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import cv2
import numpy as np

from .decoding import decode_image, read_bytes
from .errors import PairError

_PNG_START = b'\x89PNG\r\n\x1a\n'
_PNG_PALETTE = 3
# Grey values of fewer than 8 bits are scaled up by the decoder.
_PNG_SCALE = {1: 255, 2: 85, 4: 17, 8: 1}


class Box(NamedTuple):
    """One labelled box.

    Attributes:
        name (str): Name of the class.
        bbox (Tuple[float, float, float, float]): Left, top, width, height.
        crowd (bool): Whether COCO marks it as a crowd, or it is to be ignored
            otherwise. Default: False.
        occlusion (int, optional): 0 none, 1 partial, 2 heavy. Default: None.
    """

    name: str
    bbox: Tuple[float, float, float, float]
    crowd: bool = False
    occlusion: Optional[int] = None


class ImageBoxes(NamedTuple):
    """The boxes of one image.

    Attributes:
        size (Tuple[int, int], optional): Height and width as the file states
            them; None if it does not.
        boxes (List[Box]): As in the file: neither clipped nor judged.
    """

    size: Optional[Tuple[int, int]]
    boxes: List[Box]


def read_voc(path: Path) -> ImageBoxes:
    """Read one Pascal VOC file.

    The width is ``xmax - xmin``, as mmdet's ``XMLDataset`` and the code of
    the benchmarks have it.

    Args:
        path (Path): The xml file.

    Returns:
        ImageBoxes: What it holds.

    Raises:
        FileNotFoundError: If there is no such file.
        PairError: If it is no xml, or an object lacks its name or box.
    """
    data = read_bytes(str(path))
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise PairError(
            f"'{path}' is not well-formed xml: {error}") from error
    size = None
    stated = [_number(root, f'size/{key}') for key in ('height', 'width')]
    if all(stated):
        size = (int(stated[0]), int(stated[1]))
    boxes = []
    for number, thing in enumerate(root.iter('object'), 1):
        name = (thing.findtext('name') or '').strip()
        corners = [
            _number(thing, f'bndbox/{key}')
            for key in ('xmin', 'ymin', 'xmax', 'ymax')
        ]
        if not name or None in corners:
            raise PairError(
                f"'{path}', object {number}: expected <name> and <bndbox> "
                'with the numbers xmin, ymin, xmax, ymax; found name '
                f"'{name}' and {corners}")
        left, top, right, bottom = corners
        boxes.append(Box(name, (left, top, right - left, bottom - top)))
    return ImageBoxes(size, boxes)


def _number(element: ElementTree.Element, path: str) -> Optional[float]:
    """Read a finite number, None where there is none."""
    try:
        value = float(element.findtext(path))
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def read_coco(path: Path) -> Dict[str, ImageBoxes]:
    """Read a COCO file.

    Args:
        path (Path): The json file.

    Returns:
        Dict[str, ImageBoxes]: By ``file_name``, in the order of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        PairError: If it is no json, lacks a key, refers to an image or a
            category that it does not have, or names an image twice.
    """
    try:
        content = json.loads(read_bytes(str(path)).decode('utf-8'))
    except ValueError as error:
        raise PairError(f"'{path}' is not valid json: {error}") from error
    result: Dict[str, ImageBoxes] = {}
    by_id: Dict[object, str] = {}
    try:
        names = {c['id']: c['name'] for c in content['categories']}
        for image in content['images']:
            file_name = image['file_name']
            if file_name in result or image['id'] in by_id:
                raise PairError(f"'{path}' has the image '{file_name}' or "
                                f"the id {image['id']} twice")
            size = None
            if image.get('height') and image.get('width'):
                size = (int(image['height']), int(image['width']))
            by_id[image['id']] = file_name
            result[file_name] = ImageBoxes(size, [])
        for entry in content['annotations']:
            bbox = tuple(float(value) for value in entry['bbox'])
            if len(bbox) != 4 or not all(map(math.isfinite, bbox)):
                raise PairError(f"'{path}', annotation {entry.get('id')}: "
                                f'bbox {bbox}, expected 4 finite numbers')
            result[by_id[entry['image_id']]].boxes.append(
                Box(names[entry['category_id']], bbox,
                    bool(entry.get('iscrowd', 0))))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, PairError):
            raise
        raise PairError(
            f"'{path}' is no complete COCO file: {type(error).__name__} "
            f'{error}; expected images, annotations and categories that '
            'refer to each other') from error
    return result


def place_boxes(found: ImageBoxes, size: Tuple[int, int],
                classes: Sequence[str], source: str,
                ignore: Collection[str] = ()
                ) -> Tuple[List[dict], List[str]]:
    """Turn boxes into COCO annotations of an image.

    Args:
        found (ImageBoxes): What the annotation file holds.
        size (Tuple[int, int]): Height and width of the image.
        classes (Sequence[str]): The first one gets category id 1.
        source (str): Name of the annotation file, for messages.
        ignore (Collection[str]): Classes to leave out. Default: ().

    Returns:
        Tuple[List[dict], List[str]]: Annotations with ``category_id``,
        ``bbox``, ``area``, ``iscrowd``; notes on boxes that were clipped or
        left out.

    Raises:
        PairError: If a class is unknown or the stated size is not the
            image's.
    """
    if found.size is not None and tuple(found.size) != tuple(size):
        raise PairError(
            f"'{source}' is of an image of {found.size[0]} x {found.size[1]} "
            f'(height x width), the image is {size[0]} x {size[1]}')
    unknown = sorted(
        {b.name for b in found.boxes} - set(classes) - set(ignore))
    if unknown:
        raise PairError(
            f"'{source}' has the unknown class(es) {', '.join(unknown)}; "
            f"expected {', '.join(classes)}")
    annotations, notes = [], []
    for box in found.boxes:
        if box.name in ignore:
            continue
        left, top, width, height = box.bbox
        x0, y0 = max(left, 0), max(top, 0)
        x1 = min(left + width, size[1])
        y1 = min(top + height, size[0])
        shown = [_short(value) for value in box.bbox]
        what = f"'{source}': {box.name} at {shown} (left, top, width, height)"
        if min(width, height) <= 0 or x1 <= x0 or y1 <= y0:
            why = ('is empty' if min(width, height) <= 0 else
                   f'lies outside the image of {size[0]} x {size[1]}')
            notes.append(f'{what} {why}; left out')
            continue
        if (x0, y0, x1, y1) != (left, top, left + width, top + height):
            notes.append(f'{what} sticks out of the image of {size[0]} x '
                         f'{size[1]}; clipped')
        bbox = [_short(v) for v in (x0, y0, x1 - x0, y1 - y0)]
        annotations.append(
            dict(
                category_id=list(classes).index(box.name) + 1,
                bbox=bbox,
                area=_short(bbox[2] * bbox[3]),
                iscrowd=int(box.crowd)))
        if box.occlusion is not None:
            annotations[-1]['occlusion'] = box.occlusion
    return annotations, notes


def _short(value: float) -> float:
    """Write whole numbers without a fraction."""
    return int(value) if float(value).is_integer() else round(value, 3)


def read_label_ids(path: Path, classes: Sequence[str],
                   ignored: Collection[int] = ()
                   ) -> Tuple[np.ndarray, bool]:
    """Read an image of class ids.

    Args:
        path (Path): Grey or palette PNG, or three equal channels. Of a
            palette the indices count, not the colours.
        classes (Sequence[str]): The ids are 0 to ``len(classes) - 1``.
        ignored (Collection[int]): Ids that are allowed too. Default: ().

    Returns:
        Tuple[np.ndarray, bool]: Ids, shape (H, W), uint8; whether the file is
        stored in this very form, so that it can be copied as it is.

    Raises:
        FileNotFoundError: If there is no such file.
        PairError: If the file cannot be decoded, is a colour picture, or has
            an id out of range.
    """
    ids, as_is = decode_label_ids(read_bytes(str(path)), str(path))
    bad = sorted(
        set(np.unique(ids).tolist()) - set(range(len(classes))) -
        set(ignored))
    if bad:
        raise PairError(f"'{path}' has the label id(s) "
                        f"{', '.join(map(str, bad))}; expected 0 to "
                        f'{len(classes) - 1}')
    return ids.astype(np.uint8), as_is


def decode_label_ids(data: bytes, name: str) -> Tuple[np.ndarray, bool]:
    """Decode an image of class ids, whatever the ids.

    Args:
        data (bytes): The file.
        name (str): Its name, for messages.

    Returns:
        Tuple[np.ndarray, bool]: Ids, shape (H, W), in the depth of the file;
        whether it is a grey PNG of 8 bits.

    Raises:
        PairError: If the file cannot be decoded or is a colour picture.
    """
    plain, scale = _without_palette(data)
    planes = decode_image(plain, name)
    if planes.shape[2] != 1 and (planes[..., :1] != planes[..., :3]).any():
        raise PairError(f"'{name}' is a colour picture of {planes.shape[2]} "
                        'channels; expected one channel of class ids')
    ids = planes[..., 0] // scale
    as_is = plain is data and planes.shape[2] == 1 and (
        planes.dtype == np.uint8) and data.startswith(_PNG_START) and (
            data[24] == 8)
    return ids, as_is


def read_mask(path: Path) -> Tuple[np.ndarray, bool]:
    """Read a mask of what is salient.

    Args:
        path (Path): Grey or colour image; more than 128 of 255 is salient.

    Returns:
        Tuple[np.ndarray, bool]: 0 and 255, shape (H, W), uint8; whether the
        file is a grey PNG of these values, so that it can be copied.

    Raises:
        FileNotFoundError: If there is no such file.
        PairError: If the file cannot be decoded, or holds the ids 0 and 1.
    """
    data = read_bytes(str(path))
    planes = decode_image(data, str(path))
    if planes.dtype == np.uint16:
        planes = (planes // 257).astype(np.uint8)
    if planes.dtype != np.uint8:
        raise PairError(f"'{path}' holds {planes.dtype}, expected a mask of 8 "
                        'or 16 bits')
    values = planes[..., 0]
    if planes.shape[2] > 2:
        values = cv2.cvtColor(
            np.ascontiguousarray(planes[..., :3]), cv2.COLOR_BGR2GRAY)
    if values.max() == 1:
        raise PairError(f"'{path}' holds the values 0 and 1, expected a mask "
                        '0 to 255')
    mask = np.where(values > 128, 255, 0).astype(np.uint8)
    as_is = planes.shape[2] == 1 and data.startswith(_PNG_START) and (
        data[24] == 8) and np.array_equal(mask, values)
    return mask, as_is


def _without_palette(data: bytes) -> Tuple[bytes, int]:
    """Turn a palette PNG into a grey one whose values are the indices.

    Returns:
        Tuple[bytes, int]: The file, and what the decoder multiplies the
        values by. Other files come back unchanged.
    """
    if not data.startswith(_PNG_START) or len(data) < 33:
        return data, 1
    depth, kind = data[24], data[25]
    if kind != _PNG_PALETTE:
        return data, (_PNG_SCALE.get(depth, 1) if kind == 0 else 1)
    header = bytearray(data[12:29])
    header[13] = 0
    parts = [
        _PNG_START, data[8:12],
        bytes(header),
        struct.pack('>I', zlib.crc32(bytes(header)))
    ]
    position = 33
    while position + 12 <= len(data):
        length, name = struct.unpack_from('>I4s', data, position)
        end = position + 12 + length
        if name not in (b'PLTE', b'tRNS'):
            parts.append(data[position:end])
        position = end
    return b''.join(parts), _PNG_SCALE[depth]
