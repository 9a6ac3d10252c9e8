"""Salient objects of pairs."""

import io
from typing import Dict, List

import numpy as np
from mmengine.structures import BaseDataElement, PixelData

from mmivtuning.engine.pictures import draw_map
from mmivtuning.pairs.reporting import encode_png

from .base import LoadedPair, PairedInferencer


class PairedSaliencyInferencer(PairedInferencer):
    """Salient objects, called as :class:`PairedSegInferencer` is.

    A prediction is the probability that a pixel is salient, float32 (H, W),
    0 to 1, at the original size; of a list, folders or videos, a list of
    them. With ``out_dir`` it is saved as ``pred/<name>.png``, grey, 8 bits,
    0 to 255 for 0 to 1 (not stretched as the maps that
    :class:`~mmivtuning.seg.SaliencyMetric` saves). See
    :class:`PairedInferencer` for the arguments.

    A call takes ``float_maps`` in addition: whether the unrounded map is
    saved too, as ``pred/<name>.npy``. Default: False.

    Raises:
        ValueError: If the head has more than two outputs.
    """

    toolbox = 'mmseg'
    postprocess_kwargs = PairedInferencer.postprocess_kwargs | {'float_maps'}

    def forward(self, inputs: dict, **kwargs) -> List[BaseDataElement]:
        """Feed a batch to the model.

        Returns:
            list: A data sample a pair; ``seg_logits`` is its map, float
            (1, H, W), 0 to 1.
        """
        samples = super().forward(inputs, **kwargs)
        for sample in samples:
            scores = sample.seg_logits.data.float()
            if len(scores) > 2:
                raise ValueError(
                    f'the head has {len(scores)} outputs, expected 1, or 2 '
                    '(background, salient): is this a model of segmentation?')
            # mmseg gives a probability already if there is one output.
            if len(scores) == 2:
                scores = scores.softmax(dim=0)[1:]
            sample.set_data(dict(seg_logits=PixelData(data=scores)))
        return samples

    def to_prediction(self, sample: BaseDataElement) -> np.ndarray:
        """Return the map, float32 (H, W), 0 to 1."""
        return sample.seg_logits.data[0].cpu().numpy()

    def encode(self,
               pair: LoadedPair,
               prediction: np.ndarray,
               float_maps: bool = False) -> Dict[str, bytes]:
        """Make a grey PNG, and the array."""
        files = {'.png': encode_png(draw_map(prediction)[..., 0])}
        if float_maps:
            file = io.BytesIO()
            np.save(file, prediction)
            files['.npy'] = file.getvalue()
        return files
