"""The boxes of a COCO file as they are, with all that is wrong with it.

Unlike :func:`.formats.read_coco`, which stops at the first contradiction.
"""

import json
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Tuple

from .problems import Problem


class ListedImage(NamedTuple):
    """What a COCO file says of an image.

    Attributes:
        size (Tuple): Height and width, None where it does not say.
        boxes (List[tuple]): Of each: class name, then its ``bbox``.
    """

    size: Tuple
    boxes: List[tuple]


def load_coco(path: Path) -> Optional[dict]:
    """A COCO document, None if it is damaged."""
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        if all(
                isinstance(content[key], list)
                and all(isinstance(entry, dict) for entry in content[key])
                for key in ('images', 'annotations', 'categories')):
            return content
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def list_boxes(path: Path, name: str, visible: Mapping[str, str],
               problems: List[Problem]) -> Dict[str, ListedImage]:
    """Collect the boxes of every image.

    Args:
        path (Path): The json.
        name (str): Its name, for messages.
        visible (Mapping[str, str]): File name of each stem.
        problems (List[Problem]): What is wrong is added.

    Returns:
        Dict[str, ListedImage]: By stem.
    """
    content = load_coco(path)
    if content is None:
        problems.append(
            Problem('annotations', name, 'no COCO json: expected images, '
                    'annotations and categories'))
        return {}

    def bad(message: str) -> None:
        problems.append(Problem('annotations', name, message))

    stem_of = {file: stem for stem, file in visible.items()}
    names = {_key(c.get('id')): str(c.get('name'))
             for c in content['categories']}
    stems: Dict[str, str] = {}
    found: Dict[str, ListedImage] = {}
    for image in content['images']:
        file = str(image.get('file_name'))
        stem = stem_of.get(file, '')
        if not stem:
            bad(f"lists the image '{file}', which is not in the folder of "
                'visible images')
        elif stem in found:
            bad(f"lists the image '{file}' twice")
        stems[_key(image.get('id'))] = stem
        if stem:
            size = (image.get('height'), image.get('width'))
            found[stem] = ListedImage(size, [])
    for entry in content['annotations']:
        number = entry.get('id')
        image, category = (_key(entry.get(key))
                           for key in ('image_id', 'category_id'))
        if image not in stems:
            bad(f'annotation {number} is of the image id {image}, which is '
                'not listed')
        elif category not in names:
            bad(f'annotation {number} has the category id {category}, which '
                'is not defined')
        elif stems[image]:
            box = entry.get('bbox')
            found[stems[image]].boxes.append(
                (names[category],
                 tuple(box) if isinstance(box, list) else (box, )))
    return found


def _key(value: object) -> str:
    """An id as a key, whatever a damaged file has in its place."""
    return repr(value)
