"""Segmentation of pairs."""

import io
from typing import Dict

import numpy as np
from mmengine.structures import BaseDataElement

from mmivtuning.engine.sample_pictures import default_palette
from mmivtuning.pairs.reporting import encode_png

from .base import LoadedPair, PairedInferencer

MASK_FORMATS = ('id', 'palette')


class PairedSegInferencer(PairedInferencer):
    """:class:`mmseg.apis.MMSegInferencer` for pairs.

    A prediction is a map of class ids, int64 (H, W), at the original size; of
    a list, folders or videos, a list of them. With ``out_dir`` it is saved as
    ``pred/<name>.png``. See :class:`PairedInferencer` for the arguments.

    A call takes ``mask_format`` in addition: ``'id'`` saves grey PNGs whose
    values are ids, ``'palette'`` the same ids with the colours of the
    classes. Default: ``'id'``.
    """

    toolbox = 'mmseg'
    postprocess_kwargs = PairedInferencer.postprocess_kwargs | {'mask_format'}

    def to_prediction(self, sample: BaseDataElement) -> np.ndarray:
        """Return the class ids, int64 (H, W)."""
        ids = sample.pred_sem_seg.data.squeeze(0).cpu().numpy()
        return ids.astype(np.int64)

    def encode(self,
               pair: LoadedPair,
               prediction: np.ndarray,
               mask_format: str = 'id') -> Dict[str, bytes]:
        """Make a PNG of class ids.

        Raises:
            ValueError: If the format is unknown, or has no place for so many
                classes.
        """
        check_mask_format(mask_format)
        if mask_format == 'id':
            # One depth for all images of a model.
            kind = np.uint8 if self._num_classes() <= 256 else np.uint16
            return {'.png': encode_png(prediction.astype(kind))}
        if self._num_classes() > 256:
            raise ValueError("mask_format='palette' has 256 colours, there "
                             f'are {self._num_classes()} classes')
        # OpenCV writes no palettes.
        from PIL import Image
        meta = self.model.dataset_meta
        palette = meta['palette'] if len(
            meta['palette']) else default_palette(self._num_classes())
        picture = Image.fromarray(prediction.astype(np.uint8))
        picture.putpalette(
            np.asarray(palette, np.uint8)[:256].reshape(-1).tolist())
        file = io.BytesIO()
        picture.save(file, 'PNG')
        return {'.png': file.getvalue()}

    def _num_classes(self) -> int:
        heads = self.model.decode_head
        head = heads if hasattr(heads, 'num_classes') else heads[-1]
        return int(head.num_classes)


def check_mask_format(mask_format: str) -> None:
    """Raise ValueError if there is no such format."""
    if mask_format not in MASK_FORMATS:
        raise ValueError(f"mask_format must be one of "
                         f"{', '.join(MASK_FORMATS)}, got {mask_format!r}")
