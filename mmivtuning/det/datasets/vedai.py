"""VEDAI."""

from mmivtuning.registry import DATASETS

from .paired import PairedDetDataset, detection_metainfo


@DATASETS.register_module()
class VEDAIDataset(PairedDetDataset):
    """VEDAI (Razakarivony and Jurie, 2016): from the air, upright boxes.

    The layout is that of ``data_prep/vedai.py``.
    """

    METAINFO = detection_metainfo('vedai')
