"""One COCO document of the boxes of many pairs."""

import json
from pathlib import Path
from typing import Any, Dict, List, Sequence

from mmivtuning.pairs.layout import coco_document
from mmivtuning.pairs.reporting import write_atomically

COCO_FILE = 'predictions.json'


def write_coco(out_dir: Path, pred_out_dir: Path, names: Sequence[str],
               classes: Sequence[str]) -> None:
    """Put the files of all pairs together.

    Args:
        out_dir (Path): Where the document goes.
        pred_out_dir (Path): Where the JSON of each pair is, with its
            ``file_name``, ``height``, ``width``, ``labels``, ``scores`` and
            ``bboxes``.
        names (Sequence[str]): The pairs; image ids count from 1.
        classes (Sequence[str]): Names of the labels; category ids count
            from 1. A label without a name is called by its number.
    """
    images: List[Dict[str, Any]] = []
    annotations: List[Dict[str, Any]] = []
    for number, name in enumerate(names, 1):
        found = json.loads(
            (pred_out_dir / f'{name}.json').read_text(encoding='utf-8'))
        images.append(
            dict(
                id=number,
                file_name=found['file_name'],
                infrared=found['infrared'],
                height=found['height'],
                width=found['width']))
        annotations += [
            _annotation(number, *one) for one in zip(
                found['labels'], found['scores'], found['bboxes'])
        ]
    categories = list(classes)
    last = max((x['category_id'] for x in annotations), default=0)
    categories += map(str, range(len(categories), last))
    document = coco_document(categories, images, annotations,
                             'predictions of mmivtuning')
    write_atomically(out_dir / COCO_FILE, json.dumps(document).encode())


def _annotation(image: int, label: int, score: float,
                box: Sequence[float]) -> Dict[str, Any]:
    """One box as COCO has it."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    return dict(
        image_id=image,
        category_id=label + 1,
        bbox=[left, top, width, height],
        area=width * height,
        iscrowd=0,
        score=score)
