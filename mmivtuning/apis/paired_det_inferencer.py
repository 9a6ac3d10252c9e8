"""Detection on pairs."""

import json
from pathlib import Path
from typing import Any, Dict, List, Sequence

from mmengine.structures import BaseDataElement

from mmivtuning.pairs.layout import coco_document
from mmivtuning.pairs.reporting import write_atomically

from .base import LoadedPair, PairedInferencer

COCO_FILE = 'predictions.json'


class PairedDetInferencer(PairedInferencer):
    """:class:`mmdet.apis.DetInferencer` for pairs.

    Predictions are a list of dicts with ``labels``, ``scores`` and
    ``bboxes`` (x1, y1, x2, y2 in pixels of the original image). With
    ``out_dir`` each is saved as ``pred/<name>.json``, and all of a call as
    ``predictions.json``, a COCO document whose annotations have a ``score``:
    ``pycocotools.coco.COCO`` reads it, its ``annotations`` are what
    ``loadRes`` takes. See :class:`PairedInferencer` for the arguments.
    """

    toolbox = 'mmdet'
    preprocessor = 'PairedDetDataPreprocessor'
    # As the stock class.
    unlist_single = False

    def to_prediction(self, sample: BaseDataElement) -> Dict[str, list]:
        """Return labels, scores and boxes."""
        instances = sample.pred_instances.cpu()
        boxes = instances.bboxes
        boxes = getattr(boxes, 'tensor', boxes)
        return dict(
            labels=instances.labels.tolist(),
            scores=instances.scores.tolist(),
            bboxes=boxes.tolist())

    def encode(self, pair: LoadedPair,
               prediction: Dict[str, list]) -> Dict[str, bytes]:
        """Make a JSON of what the pair is and what was found."""
        height, width = pair.image.shape[:2]
        labels = pair.request.labels
        content = dict(
            file_name=pair.request.file_name,
            visible=labels[0],
            infrared=labels[1],
            height=height,
            width=width,
            **prediction)
        return {'.json': json.dumps(content).encode()}

    def finish(self, out_dir: Path, pred_out_dir: Path,
               names: Sequence[str]) -> None:
        """Put the files of all pairs together to one COCO document."""
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
        classes = list(self.model.dataset_meta['classes'])
        # A class without a name is called by its number.
        last = max((x['category_id'] for x in annotations), default=0)
        classes += map(str, range(len(classes), last))
        document = coco_document(classes, images, annotations,
                                 'predictions of mmivtuning')
        write_atomically(
            out_dir / COCO_FILE, json.dumps(document).encode())


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
