"""Loading a pair."""

from typing import Optional, Sequence, Tuple

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.fileio import get

from mmivtuning.pairs import PairError, decode_pair
from mmivtuning.pairs.radiometry import Alignment, Radiometry
from mmivtuning.registry import TRANSFORMS

_KEPT_BYTES = 24 * 2**20


def keep_freed_memory() -> None:
    """Let the C library keep the memory of freed images for the next ones.

    glibc hands freed memory back to the system above a threshold that grows
    with the largest block that was freed. Below it, every pair is paged in
    anew, which takes longer than to decode it. The block is never written
    to, so that it takes no memory.
    """
    np.empty(_KEPT_BYTES, dtype=np.uint8)


@TRANSFORMS.register_module()
class LoadPairedImage(BaseTransform):
    """Load a visible-infrared pair as one 4-channel image.

    Files of 8 and 16 bits, grey and colour, are brought to one form by
    :func:`mmivtuning.pairs.decode_pair`; see there for the rules.

    Required Keys:

    - img_path
    - infrared_path (optional; without it, or equal to ``img_path``, the file
      has four channels, R, G, B and the infrared image in the alpha plane)

    Modified Keys:

    - img (np.ndarray): uint8 (H, W, 4), the planes B, G, R, infrared.
    - img_shape, ori_shape (tuple[int, int]): (H, W).
    - infrared_path (str): Equal to ``img_path`` for a 4-channel file.

    Args:
        infrared_range (tuple[float, float], optional): ``(low, high)`` in the
            values of the infrared files, mapped linearly to 0 and 255. None:
            8-bit files stay as they are, deeper ones are stretched from the
            smallest to the largest value of each image. Default: None.
        to_float32 (bool): Whether ``img`` is float32. Default: False.
        backend_args (dict, optional): File backend, as for
            :func:`mmengine.fileio.get`. Default: None.
        infrared_scale (tuple[float, float], optional): ``infrared_range``,
            which must be given then, is in degrees, which are
            ``value * scale[0] + scale[1]``, for example (0.01, -273.15).
            Default: None.
        infrared_percentiles (tuple[float, float], optional): In place of the
            range: these percentiles of each image, for example (1, 99).
            Default: None.
        infrared_clahe (float, optional): Clip limit of adaptive histogram
            equalisation. Default: None.
        align (str): What becomes of an infrared file of another size:
            ``'error'``, ``'resize'``, or ``'homography'``.
            Default: ``'error'``.
        homography (sequence, optional): 3 x 3, from pixels of the infrared
            file to those of the visible one. Default: None.
    """

    def __init__(self,
                 infrared_range: Optional[Tuple[float, float]] = None,
                 to_float32: bool = False,
                 backend_args: Optional[dict] = None,
                 infrared_scale: Optional[Tuple[float, float]] = None,
                 infrared_percentiles: Optional[Tuple[float, float]] = None,
                 infrared_clahe: Optional[float] = None,
                 align: str = 'error',
                 homography: Optional[Sequence] = None) -> None:
        infrared_range, infrared_scale, infrared_percentiles = (
            None if values is None else tuple(values) for values in
            (infrared_range, infrared_scale, infrared_percentiles))
        keep_freed_memory()
        self.radiometry = Radiometry(infrared_range, infrared_percentiles,
                                     infrared_scale, infrared_clahe).checked()
        self.alignment = Alignment(align, homography).checked()
        self.infrared_range = infrared_range
        self.to_float32 = to_float32
        self.backend_args = backend_args.copy() if backend_args else None

    def transform(self, results: dict) -> dict:
        """Load the pair that ``results`` names.

        Raises:
            FileNotFoundError: If a file does not exist.
            PairError: If a file is unusable, the two do not fit each other,
                or the size is not the ``height`` and ``width`` that the
                annotations give; the message names the file.
        """
        visible_path = str(results['img_path'])
        infrared_path = str(results.get('infrared_path') or visible_path)
        infrared_data = None
        if infrared_path != visible_path:
            infrared_data = self._read(infrared_path)
        image = decode_pair(
            self._read(visible_path), visible_path, infrared_data,
            infrared_path, convert=self.radiometry.convert,
            align=self.alignment.apply)

        size = image.shape[:2]
        annotated = (results.get('height', size[0]),
                     results.get('width', size[1]))
        if annotated != size:
            raise PairError(
                f"'{visible_path}' is {size[0]} x {size[1]} (height x width), "
                f'its annotations say {annotated[0]} x {annotated[1]}')

        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = size
        results['ori_shape'] = size
        results['infrared_path'] = infrared_path
        return results

    def _read(self, path: str) -> bytes:
        try:
            return get(path, backend_args=self.backend_args)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"no such file: '{path}'") from error

    def __repr__(self) -> str:
        more = ''
        if self.radiometry != Radiometry(self.infrared_range):
            more += f', {self.radiometry}'
        if self.alignment != Alignment():
            more += f', {self.alignment}'
        return (f'{self.__class__.__name__}('
                f'infrared_range={self.infrared_range}, '
                f'to_float32={self.to_float32}, '
                f'backend_args={self.backend_args}{more})')
