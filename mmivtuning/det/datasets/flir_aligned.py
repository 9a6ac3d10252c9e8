"""FLIR-aligned."""

from mmivtuning.registry import DATASETS

from .paired import PairedDetDataset, detection_metainfo


@DATASETS.register_module()
class FLIRAlignedDataset(PairedDetDataset):
    """FLIR-aligned (Zhang et al., ICIP 2020): streets, 512 x 640.

    The layout is that of ``data_prep/flir_aligned.py``.
    """

    METAINFO = detection_metainfo('flir_aligned')
