"""PST900."""

from mmivtuning.pairs.benchmarks import benchmark_metainfo
from mmivtuning.registry import DATASETS

from .paired import PairedSegDataset


@DATASETS.register_module()
class PST900Dataset(PairedSegDataset):
    """PST900 (Shivakumar et al., ICRA 2020): underground, 720 x 1280.

    Four kinds of objects and the background. The layout is that of
    ``data_prep/pst900.py``.
    """

    METAINFO = benchmark_metainfo('pst900')
