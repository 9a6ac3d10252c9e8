"""Readers of the annotations of KAIST, DroneVehicle and VEDAI.

Oriented boxes become the upright boxes around them.
"""

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Collection, Dict, List, Mapping, Sequence, Tuple

from .decoding import read_bytes
from .errors import PairError
from .formats import Box, ImageBoxes


def read_kaist(path: Path, classes: Collection[str],
               ignored: Collection[str]) -> ImageBoxes:
    """Read one file of KAIST: ``% bbGt version=3``, then a line an object.

    A line is ``class left top width height occlusion ...``, its 11th word
    whether to ignore it. Objects of the ignored classes become boxes of the
    first class that are marked as crowds: they neither count nor do
    detections on them.

    Args:
        path (Path): The text file.
        classes (Collection[str]): What counts; its first names ignored boxes.
        ignored (Collection[str]): What is ignored.

    Returns:
        ImageBoxes: With the occlusion of each box.

    Raises:
        FileNotFoundError: If there is no such file.
        PairError: If the first line or an object is of another form, or a
            class is none of these.
    """
    lines = read_bytes(str(path)).decode('utf-8', 'replace').splitlines()
    if not lines or not lines[0].replace(' ', '').startswith('%bbGtversion='):
        raise PairError(f"'{path}' begins with '{(lines or [''])[0][:40]}', "
                        "expected '% bbGt version=3'")
    boxes = []
    for number, line in enumerate(lines[1:], 2):
        words = line.split()
        if not words:
            continue
        try:
            bbox = tuple(float(word) for word in words[1:5])
            occlusion = int(float(words[5])) if len(words) > 5 else 0
            skip = len(words) > 10 and float(words[10]) != 0
        except ValueError:
            bbox, occlusion, skip = (), 0, False
        if len(bbox) != 4 or not all(map(math.isfinite, bbox)):
            raise PairError(f"'{path}', line {number}: expected a class and "
                            f"at least 4 numbers, found '{line[:60]}'")
        name = words[0]
        if name not in classes and name not in ignored:
            raise PairError(f"'{path}', line {number}: unknown class "
                            f"'{name}'; expected "
                            f"{', '.join([*classes, *ignored])}")
        crowd = skip or name not in classes
        boxes.append(
            Box(next(iter(classes)) if crowd else name, bbox, crowd,
                occlusion))
    return ImageBoxes(None, boxes)


def upright(corners: Sequence[Tuple[float, float]], shift: float = 0
            ) -> Tuple[float, float, float, float]:
    """Left, top, width, height of the box around corners.

    Args:
        corners (Sequence[Tuple[float, float]]): x and y of each.
        shift (float): Subtracted from all. Default: 0.
    """
    across, down = zip(*corners)
    return (min(across) - shift, min(down) - shift, max(across) - min(across),
            max(down) - min(down))


def read_polygon_voc(path: Path, aliases: Mapping[str, str], border: int = 0
                     ) -> ImageBoxes:
    """Read one file of DroneVehicle: VOC-like, with corners.

    Args:
        path (Path): The xml file.
        aliases (Mapping[str, str]): Right spelling of other spellings.
        border (int): Width of the border that is cut off. Default: 0.

    Returns:
        ImageBoxes: Upright boxes of what is left without the border.

    Raises:
        FileNotFoundError: If there is no such file.
        PairError: If it is no xml, or an object lacks its name or place.
    """
    try:
        root = ElementTree.fromstring(read_bytes(str(path)))
    except ElementTree.ParseError as error:
        raise PairError(
            f"'{path}' is not well-formed xml: {error}") from error
    size = None
    try:
        size = tuple(
            int(root.findtext(f'size/{key}')) - 2 * border
            for key in ('height', 'width'))
    except (TypeError, ValueError):
        pass
    boxes = []
    for number, thing in enumerate(root.iter('object'), 1):
        name = (thing.findtext('name') or '').strip()
        corners = _corners(thing)
        if not name or not corners:
            raise PairError(
                f"'{path}', object {number} ('{name}'): expected <name> and "
                'either <polygon> with x1, y1 to x4, y4 or <bndbox> with '
                'xmin, ymin, xmax, ymax')
        boxes.append(Box(aliases.get(name, name), upright(corners, border)))
    return ImageBoxes(size, boxes)


def _corners(thing: ElementTree.Element) -> List[Tuple[float, float]]:
    """Corners of an object, empty if it has none."""
    keys: Dict[str, List[Tuple[str, str]]] = dict(
        polygon=[(f'x{n}', f'y{n}') for n in (1, 2, 3, 4)],
        bndbox=[('xmin', 'ymin'), ('xmax', 'ymax')])
    for kind, names in keys.items():
        try:
            found = [(float(thing.findtext(f'{kind}/{x}')),
                      float(thing.findtext(f'{kind}/{y}'))) for x, y in names]
        except (TypeError, ValueError):
            continue
        if all(map(math.isfinite, sum(found, ()))):
            return found
    return []


def read_vedai(path: Path, classes: Mapping[int, str], with_image: bool
               ) -> Dict[str, List[Box]]:
    """Read annotations of VEDAI.

    A line is ``[image] x y angle x1 x2 x3 x4 y1 y2 y3 y4 class contained
    occluded``, x and y of the centre; that they are is checked.

    Args:
        path (Path): The text file.
        classes (Mapping[int, str]): Class of each id; '' leaves it out.
        with_image (bool): Whether lines begin with the number of the image.

    Returns:
        Dict[str, List[Box]]: By image, '' without ``with_image``.

    Raises:
        FileNotFoundError: If there is no such file.
        PairError: If a line is of another form or its class unknown.
    """
    first = 1 if with_image else 0
    found: Dict[str, List[Box]] = {}
    text = read_bytes(str(path)).decode('utf-8', 'replace')
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            values = [float(word) for word in words[first:]]
        except ValueError:
            values = []
        if len(values) < 12 or not all(map(math.isfinite, values)):
            raise PairError(
                f"'{path}', line {number}: expected at least "
                f"{12 + first} numbers, found '{line[:60]}'")
        corners = list(zip(values[3:7], values[7:11]))
        left, top, width, height = upright(corners)
        off = max(abs(left + width / 2 - values[0]),
                  abs(top + height / 2 - values[1]))
        if off > 2 + 0.1 * max(width, height):
            raise PairError(
                f"'{path}', line {number}: the corners {corners} are not "
                f'around the centre {values[:2]}: the columns are not those '
                'that were expected (x y angle x1-x4 y1-y4 class)')
        label = int(values[11])
        if label not in classes:
            raise PairError(f"'{path}', line {number}: unknown class id "
                            f'{label}; expected {sorted(classes)}')
        boxes = found.setdefault(words[0] if with_image else '', [])
        if classes[label]:
            boxes.append(Box(classes[label], (left, top, width, height)))
    return found
