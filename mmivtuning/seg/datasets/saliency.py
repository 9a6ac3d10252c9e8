"""Pairs with masks of what is salient: VT5000, VT1000, VT821, one's own."""

import copy
from typing import List, Optional, Sequence

from mmengine.dataset import ConcatDataset

from mmivtuning.pairs import PairError
from mmivtuning.pairs.benchmarks import benchmark_metainfo
from mmivtuning.registry import DATASETS, TRANSFORMS

from .loading import LoadSegLabels
from .paired import PairedSegDataset


@TRANSFORMS.register_module()
class LoadSaliencyMask(LoadSegLabels):
    """Load a mask of 0 to 255 as the labels 0 (background) and 1 (salient).

    Masks of the benchmarks are soft at their edges, some are JPEG: a pixel is
    salient above the threshold, as in PySODMetrics. Colour is reduced to
    grey. A mask that is missing, truncated or of another size than the image
    ends in an error that names it.

    Required Keys:

    - seg_map_path
    - seg_fields
    - ori_shape (optional)

    Args:
        threshold (int): Values above it are salient. Default: 128.
        imdecode_backend (str): See mmcv; the default expands palettes and
            single bits. Default: 'cv2'.
        kwargs: What the stock class takes.
    """

    imdecode_flag = 'grayscale'

    def __init__(self,
                 threshold: int = 128,
                 imdecode_backend: str = 'cv2',
                 **kwargs) -> None:
        super().__init__(imdecode_backend=imdecode_backend, **kwargs)
        if not 0 < threshold < 255:
            raise ValueError('threshold must be between 0 and 255, got '
                             f'{threshold}')
        self.threshold = threshold

    def _load_seg_map(self, results: dict) -> None:
        """Load and binarise the mask; sets ``gt_seg_map``.

        Raises:
            FileNotFoundError: If the file does not exist.
            PairError: If the mask is unusable, or holds class ids.
        """
        values = self._read_map(results)
        if values.max() == 1:
            raise PairError(
                f"'{results['seg_map_path']}' holds the values 0 and 1, a "
                'mask 0 to 255; class ids are loaded with '
                'mmivtuning.LoadSegLabels')
        results['gt_seg_map'] = (values > self.threshold).astype('uint8')
        results['seg_fields'].append('gt_seg_map')


@DATASETS.register_module()
class VTSaliencyDataset(PairedSegDataset):
    """Pairs with masks of salient objects, evaluated at their own size.

    VT5000 (Tu et al., TMM 2022), VT1000 (Tu et al., TMM 2019), VT821 (Wang et
    al., 2018) and any other three folders. The layout is that of
    ``data_prep/vt_saliency.py``::

        data_root
        ├── visible/train/0001.jpg
        ├── infrared/train/0001.jpg
        └── masks/train/0001.png

    The archives as distributed are read with ``data_prefix=dict(
    img_path='Train/RGB', infrared_path='Train/T', seg_map_path='Train/GT')``.
    Masks are loaded with :class:`LoadSaliencyMask`, after ``Resize`` in
    testing.

    Args:
        name (str, optional): What the measures of this set are called where
            several are evaluated in one run; list ``'dataset_name'`` among
            the ``meta_keys`` of ``PackSegInputs``. Default: None.
        data_prefix (dict): See :class:`PairedSegDataset`. Default: the
            folders ``visible``, ``infrared`` and ``masks``.
        kwargs: What :class:`PairedSegDataset` takes.
    """

    METAINFO = benchmark_metainfo('vt5000')

    def __init__(self,
                 name: Optional[str] = None,
                 data_prefix: dict = dict(  # noqa: B006
                     img_path='visible',
                     infrared_path='infrared',
                     seg_map_path='masks'),
                 **kwargs) -> None:
        self.name = name
        super().__init__(data_prefix=data_prefix, **kwargs)

    def load_data_list(self) -> List[dict]:
        """List the pairs; each carries ``dataset_name``."""
        data_list = super().load_data_list()
        for entry in data_list:
            entry['dataset_name'] = self.name or ''
        return data_list


@DATASETS.register_module()
class SaliencyBenchmarks(ConcatDataset):
    """Several saliency sets as one, so that one run evaluates them all.

    Unlike the stock class, it takes what the sets have in common: the folder,
    and the pipeline, which mmseg's test script replaces for ``--tta``.

    Args:
        datasets (Sequence[dict]): Configs of :class:`VTSaliencyDataset`; each
            with a ``name`` of its own.
        pipeline (Sequence[dict], optional): Pipeline of all sets.
            Default: None, each has its own.
        data_root (str, optional): Folder of all sets. Default: None, each
            has its own.
        test_mode (bool, optional): For all sets. Default: None.
        kwargs: What :class:`mmengine.dataset.ConcatDataset` takes.

    Raises:
        ValueError: If names are missing or repeated.
    """

    def __init__(self,
                 datasets: Sequence[dict],
                 pipeline: Optional[Sequence[dict]] = None,
                 data_root: Optional[str] = None,
                 test_mode: Optional[bool] = None,
                 **kwargs) -> None:
        datasets = [copy.deepcopy(dict(dataset)) for dataset in datasets]
        names = [dataset.get('name') for dataset in datasets]
        if not all(names) or len(set(names)) < len(names):
            raise ValueError('every data set of SaliencyBenchmarks needs a '
                             f'name of its own, got {names}')
        shared = dict(
            pipeline=pipeline, data_root=data_root, test_mode=test_mode)
        for dataset in datasets:
            dataset.update({
                key: copy.deepcopy(value)
                for key, value in shared.items() if value is not None
            })
        super().__init__(datasets, **kwargs)
