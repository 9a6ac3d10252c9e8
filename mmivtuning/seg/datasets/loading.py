"""Loading label maps, checked."""

from typing import Optional

import mmcv
import numpy as np
from mmengine.fileio import get
from mmseg.datasets.transforms import LoadAnnotations

from mmivtuning.pairs import PairError, check_complete
from mmivtuning.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadSegLabels(LoadAnnotations):
    """:class:`mmseg.datasets.transforms.LoadAnnotations` that checks.

    The stock transform casts to 8 bits, so that id 256 becomes 0, and passes
    ids without a class on to the loss, which fails far from the file or, on a
    GPU, without a message. Here a map that is truncated, has channels, ids
    out of range or another size than the image ends in an error that names
    it. Results equal those of the stock transform otherwise.

    Required Keys:

    - seg_map_path
    - label_map, reduce_zero_label, seg_fields, as mmseg's data sets give them
    - num_label_ids, ignore_index (optional), as
      :class:`PairedSegDataset` gives them
    - ori_shape (optional)

    Args:
        num_classes (int, optional): Class ids are 0 to ``num_classes - 1``
            (one more with ``reduce_zero_label``). None: ``num_label_ids`` of
            the data set; ids are not checked if it gives none.
            Default: None.
        kwargs: What the stock class takes.
    """

    # How mmcv decodes the map.
    imdecode_flag = 'unchanged'

    def __init__(self, num_classes: Optional[int] = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes

    def _load_seg_map(self, results: dict) -> None:
        """Load, check and map the label ids; sets ``gt_seg_map``.

        Raises:
            FileNotFoundError: If the file does not exist.
            PairError: If the map is unusable.
        """
        ids = self._read_map(results)
        if self.reduce_zero_label is None:
            self.reduce_zero_label = results['reduce_zero_label']
        self._check_ids(ids, results)
        results['gt_seg_map'] = self._lookup_table(
            results.get('label_map'))[ids.astype(np.uint8)]
        results['seg_fields'].append('gt_seg_map')

    def _read_map(self, results: dict) -> np.ndarray:
        """Return the map as integers (H, W), of the size of the image.

        Raises:
            FileNotFoundError: If the file does not exist.
            PairError: If the map is unusable.
        """
        path = results['seg_map_path']
        try:
            data = get(path, backend_args=self.backend_args)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"no such file: '{path}'") from error
        check_complete(data, path)
        try:
            ids = mmcv.imfrombytes(
                data, flag=self.imdecode_flag, backend=self.imdecode_backend)
        except Exception as error:
            raise PairError(f"'{path}' cannot be decoded: {error}") from error
        if ids is None:
            raise PairError(f"'{path}' cannot be decoded")
        if ids.ndim == 3 and ids.shape[2] == 1:
            ids = ids[..., 0]
        if ids.ndim != 2 or ids.dtype.kind not in 'uib':
            raise PairError(
                f"'{path}' has the shape {ids.shape} and the type "
                f'{ids.dtype}; a label map has one channel of class ids')
        size = tuple(results.get('ori_shape', ids.shape))[:2]
        if ids.shape != size:
            raise PairError(
                f"'{path}' is {ids.shape[0]} x {ids.shape[1]} (height x "
                f"width), its image '{results.get('img_path')}' is "
                f'{size[0]} x {size[1]}')
        return ids

    def _check_ids(self, ids: np.ndarray, results: dict) -> None:
        """Raise PairError if there are ids without a class."""
        count = self.num_classes or results.get('num_label_ids')
        if count is None:
            count = 256
        elif self.reduce_zero_label:
            count += 1
        ignored = results.get('ignore_index', 255)
        valid = np.zeros(256, dtype=bool)
        valid[:count] = True
        if 0 <= ignored <= 255:
            valid[ignored] = True
        in_bytes = ids.dtype == np.uint8 or (ids.min() >= 0
                                             and ids.max() <= 255)
        if in_bytes and valid[ids.astype(np.uint8)].all():
            return
        wrong = [
            int(value) for value in np.unique(ids)
            if not 0 <= value <= 255 or not valid[value]
        ]
        raise PairError(
            f"'{results['seg_map_path']}' holds label ids out of range: "
            f'{wrong[:10]}{" ..." if len(wrong) > 10 else ""}; expected 0 to '
            f'{count - 1}, or {ignored} for what is ignored')

    def _lookup_table(self, label_map: Optional[dict]) -> np.ndarray:
        """Return the label of each id, uint8 (256, ), as mmseg maps them."""
        table = np.arange(256, dtype=np.uint8)
        if self.reduce_zero_label:
            table = np.where((table == 0) | (table == 255), 255,
                             table - 1).astype(np.uint8)
        if label_map is not None:
            reduced = table.copy()
            for old, new in label_map.items():
                table[reduced == old] = new
        return table
