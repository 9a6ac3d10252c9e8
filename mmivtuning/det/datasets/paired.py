"""Pairs with boxes in a COCO json."""

from collections import Counter
from typing import Dict, List, Union

from mmdet.datasets import CocoDataset
from mmengine.fileio import exists, join_path, list_dir_or_file

from mmivtuning.pairs import (
    MissingPartnerError,
    PairError,
    image_stem,
    index_stems,
    list_offenders,
)
from mmivtuning.pairs.benchmarks import benchmark_metainfo
from mmivtuning.registry import DATASETS
from mmivtuning.transforms import archive_backends  # noqa: F401

from .categories import NamedCOCO


def detection_metainfo(name: str) -> dict:
    """Metainfo of a benchmark, with the tuples that mmdet's painter wants."""
    metainfo = benchmark_metainfo(name)
    return dict(
        classes=metainfo['classes'],
        palette=[tuple(colour) for colour in metainfo['palette']])


@DATASETS.register_module()
class PairedDetDataset(CocoDataset):
    """Pairs of images with boxes.

    .. code-block:: none

        data_root
        ├── visible/train/0001.jpg
        ├── infrared/train/0001.png
        └── annotations/train.json

    ``file_name`` in the json is the visible file's name, the infrared file
    shares its stem. Label k is the class at place k of
    ``metainfo['classes']``, found **by name** in whatever order and with
    whatever ids the json has them (use :class:`PairedCocoMetric` with such a
    json). Categories without a class are left out. That all files exist is
    checked when the data set is loaded. Boxes are treated as by the stock
    class: those outside the image or under one pixel are left out, those that
    cross its edge are kept as they are.

    Args:
        data_prefix (dict): Folders ``img`` (visible) and ``infrared``.
            Without ``infrared``, or with None, every file has four channels,
            the infrared one in the alpha plane.
        img_suffix (str): How ``file_name`` ends, for example
            ``'_RGB.jpg'``, to be replaced by the suffix of the infrared file.
            Empty: only the extension may differ. Default: ''.
        infrared_suffix (str): How names of infrared files end, for example
            ``'_PreviewData.jpeg'``. Empty: any image. Default: ''.
        kwargs: What :class:`mmdet.datasets.CocoDataset` takes; give
            ``metainfo=dict(classes=(...))``.
    """

    METAINFO: dict = dict(classes=(), palette=[])
    COCOAPI = NamedCOCO

    def __init__(self,
                 *args,
                 data_prefix: dict = dict(  # noqa: B006
                     img='visible', infrared='infrared'),
                 img_suffix: str = '',
                 infrared_suffix: str = '',
                 **kwargs) -> None:
        self.img_suffix = img_suffix
        self.infrared_suffix = infrared_suffix
        # mmengine joins strings only.
        data_prefix = {
            key: folder
            for key, folder in data_prefix.items() if folder is not None
        }
        if 'img' not in data_prefix:
            raise ValueError('data_prefix must name the folder of visible '
                             f"images as 'img', got {data_prefix}")
        super().__init__(*args, data_prefix=data_prefix, **kwargs)

    def load_data_list(self) -> List[dict]:
        """Load the json and find the partner of every image.

        Raises:
            FileNotFoundError: If a folder or the json does not exist.
            MissingPartnerError: If images or infrared partners are missing;
                up to ten are listed.
            PairError: If the json lists no image, or one twice.
            ValueError: If a class is not in the json, or an annotation has no
                box or area.
        """
        if not exists(self.ann_file, backend_args=self.backend_args):
            raise FileNotFoundError(
                f"no such file: '{self.ann_file}' (ann_file)")
        data_list = super().load_data_list()
        if not data_list:
            raise PairError(f"'{self.ann_file}' lists no images")
        self._add_infrared(data_list)
        return data_list

    def parse_data_info(self, raw_data_info: dict) -> Union[dict, List[dict]]:
        """Parse one image; its name is kept to find the partner."""
        for annotation in raw_data_info['raw_ann_info']:
            absent = [
                key for key in ('bbox', 'area')
                if key not in annotation
            ]
            if absent:
                raise ValueError(
                    f"'{self.ann_file}': annotation {annotation.get('id')} "
                    f'has no {absent}')
        data_info = super().parse_data_info(raw_data_info)
        data_info['file_name'] = raw_data_info['raw_img_info']['file_name']
        return data_info

    def filter_data(self) -> List[dict]:
        """Filter as the stock class does.

        Raises:
            PairError: If nothing is left.
        """
        kept = super().filter_data()
        if not kept:
            raise PairError(
                f'none of the {len(self.data_list)} images of '
                f"'{self.ann_file}' is left by filter_cfg={self.filter_cfg}")
        return kept

    def _names(self, key: str) -> List[str]:
        """List the files of one folder."""
        return list(
            list_dir_or_file(
                self.data_prefix[key],
                list_dir=False,
                recursive=True,
                backend_args=self.backend_args))

    def _add_infrared(self, data_list: List[dict]) -> None:
        """Set ``infrared_path`` of every entry."""
        visible_folder = self.data_prefix['img']
        present = set(self._names('img'))
        infrared: Dict[str, str] = {}
        infrared_folder = self.data_prefix.get('infrared')
        if infrared_folder is not None:
            infrared = index_stems(
                self._names('infrared'), self.infrared_suffix, infrared_folder)
        names = [entry['file_name'] for entry in data_list]
        if len(set(names)) < len(names):
            repeated = sorted(
                name for name, count in Counter(names).items() if count > 1)
            raise PairError(f"'{self.ann_file}' lists {len(repeated)} file(s) "
                            f'twice:{list_offenders(repeated)}')
        absent: List[str] = []
        for entry in data_list:
            name = entry.pop('file_name')
            if name not in present:
                absent.append(f"{name}: not in '{visible_folder}'")
                continue
            entry['infrared_path'] = entry['img_path']
            if infrared_folder is None:
                continue
            stem = image_stem(name, self.img_suffix)
            if stem in infrared:
                entry['infrared_path'] = join_path(infrared_folder,
                                                   infrared[stem])
            else:
                absent.append(f'{name}: no infrared partner of the stem '
                              f"'{stem}' in '{infrared_folder}'")
        if absent:
            raise MissingPartnerError(
                f"{len(absent)} missing file(s) of '{self.ann_file}':"
                f'{list_offenders(absent)}')
