"""LLVIP."""

from mmivtuning.registry import DATASETS

from .paired import PairedDetDataset, detection_metainfo


@DATASETS.register_module()
class LLVIPDataset(PairedDetDataset):
    """LLVIP (Jia et al., ICCVW 2021): night surveillance, 1024 x 1280, person.

    The layout is that of ``data_prep/llvip.py``.
    """

    METAINFO = detection_metainfo('llvip')
