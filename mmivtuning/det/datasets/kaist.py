"""KAIST Multispectral Pedestrian."""

from typing import List, Union

from mmivtuning.registry import DATASETS

from .paired import PairedDetDataset, detection_metainfo


@DATASETS.register_module()
class KAISTDataset(PairedDetDataset):
    """KAIST (Hwang et al., CVPR 2015): streets, 512 x 640, person.

    The layout is that of ``data_prep/kaist.py``. Instances carry their
    ``occlusion`` (0 none, 1 partial, 2 heavy) for
    :class:`LogAverageMissRate`; people, cyclists and unclear persons are
    marked to be ignored.
    """

    METAINFO = detection_metainfo('kaist')

    def parse_data_info(self, raw_data_info: dict) -> Union[dict, List[dict]]:
        """Parse one image; occlusions are added by their boxes."""
        data_info = super().parse_data_info(raw_data_info)
        by_box = {}
        for entry in raw_data_info['raw_ann_info']:
            left, top, width, height = entry['bbox']
            box = (left, top, left + width, top + height)
            by_box[box] = entry.get('occlusion', 0)
        for instance in data_info['instances']:
            instance['occlusion'] = by_box[tuple(instance['bbox'])]
        return data_info
