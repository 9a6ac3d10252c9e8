"""Detection on pairs."""

import json
from pathlib import Path
from typing import Dict, Sequence

from mmengine.structures import BaseDataElement

from .base import LoadedPair, PairedInferencer
from .coco import write_coco


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
        write_coco(out_dir, pred_out_dir, names,
                   self.model.dataset_meta['classes'])
