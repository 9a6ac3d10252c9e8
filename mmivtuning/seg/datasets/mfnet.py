"""MFNet."""

from mmivtuning.pairs.benchmarks import benchmark_metainfo
from mmivtuning.registry import DATASETS

from .paired import PairedSegDataset


@DATASETS.register_module()
class MFNetDataset(PairedSegDataset):
    """MFNet (Ha et al., IROS 2017): streets by day and night, 480 x 640.

    Nine classes; unlabeled, id 0, is one of them. The layout is that of
    ``data_prep/mfnet.py``. The archive as distributed, whose files hold
    R, G, B and the infrared image in the alpha plane, is read with
    ``ann_file='train.txt', data_prefix=dict(img_path='images',
    seg_map_path='labels')``.
    """

    METAINFO = benchmark_metainfo('mfnet')
