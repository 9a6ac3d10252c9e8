"""M3FD."""

from mmivtuning.registry import DATASETS

from .paired import PairedDetDataset, detection_metainfo


@DATASETS.register_module()
class M3FDDataset(PairedDetDataset):
    """M3FD (Liu et al., CVPR 2022): 4,200 pairs, mostly 768 x 1024.

    The layout is that of ``data_prep/m3fd.py``.
    """

    METAINFO = detection_metainfo('m3fd')
