"""Reading YOLO text: a line an object, in shares of the image."""

import math
from pathlib import Path
from typing import List, Sequence, Tuple

from .decoding import read_bytes
from .errors import PairError
from .formats import Box, ImageBoxes


def read_yolo(path: Path, classes: Sequence[str],
              size: Tuple[int, int]) -> ImageBoxes:
    """Read the boxes of one image.

    A line is ``class x y width height`` (x and y of the centre), or ``class``
    and the corners of a polygon, of which the upright box is taken.

    Args:
        path (Path): The text file.
        classes (Sequence[str]): The class is a place in them.
        size (Tuple[int, int]): Height and width of the image.

    Returns:
        ImageBoxes: Boxes in pixels.

    Raises:
        FileNotFoundError: If there is no such file.
        PairError: If a line is none of these, or its class is unknown.
    """
    try:
        text = read_bytes(str(path)).decode('utf-8')
    except UnicodeDecodeError as error:
        raise PairError(f"'{path}' is no text: {error}") from error
    boxes: List[Box] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.split():
            continue
        try:
            values = [float(word) for word in line.split()]
        except ValueError:
            values = []
        corners = len(values) >= 7 and len(values) % 2 == 1
        if (not all(map(math.isfinite, values))
                or not (len(values) == 5 or corners)):
            raise PairError(
                f"'{path}', line {number}: expected a class and 4 numbers, "
                f"or the corners of a polygon; found '{line.strip()[:60]}'")
        if values[0] not in range(len(classes)):
            raise PairError(f"'{path}', line {number}: class {values[0]:g}, "
                            f'expected 0 to {len(classes) - 1}')
        if corners:
            across, down = values[1::2], values[2::2]
            left, top = min(across), min(down)
            width, height = max(across) - left, max(down) - top
        else:
            width, height = values[3:]
            left, top = values[1] - width / 2, values[2] - height / 2
        if max(map(abs, values[1:])) > 2:
            raise PairError(
                f"'{path}', line {number}: expected shares of the image, 0 "
                f"to 1; found '{line.strip()[:60]}'")
        # Digits that text does not carry would stick out of the image.
        boxes.append(
            Box(
                classes[int(values[0])],
                tuple(
                    round(share * side, 2) for share, side in zip(
                        (left, top, width, height),
                        (size[1], size[0], size[1], size[0])))))
    return ImageBoxes(None, boxes)
