"""FMB."""

from mmivtuning.pairs.benchmarks import benchmark_metainfo
from mmivtuning.registry import DATASETS

from .paired import PairedSegDataset


@DATASETS.register_module()
class FMBDataset(PairedSegDataset):
    """FMB (Liu et al., ICCV 2023): streets, 600 x 800.

    Fourteen classes and the background, in the order of public code; if that
    of your archive differs (``meta.json`` has it), give ``metainfo``. The
    layout is that of ``data_prep/fmb.py``.
    """

    METAINFO = benchmark_metainfo('fmb')
