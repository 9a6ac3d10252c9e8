"""MSRS."""

from mmivtuning.pairs.benchmarks import benchmark_metainfo
from mmivtuning.registry import DATASETS

from .paired import PairedSegDataset


@DATASETS.register_module()
class MSRSDataset(PairedSegDataset):
    """MSRS (Tang et al., Information Fusion 2022), 480 x 640.

    The nine classes of MFNet. The layout is that of ``data_prep/msrs.py``; the
    archive as distributed is read with ``data_prefix=dict(
    img_path='train/vi', infrared_path='train/ir',
    seg_map_path='train/Segmentation_labels')``.
    """

    METAINFO = benchmark_metainfo('msrs')
