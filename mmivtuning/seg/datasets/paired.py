"""Pairs with label maps, in any two folders."""

import copy
from collections import Counter
from typing import Dict, List, Optional

from mmengine.fileio import exists, join_path, list_dir_or_file, list_from_file
from mmseg.datasets import BaseSegDataset

from mmivtuning.pairs import (
    MissingPartnerError,
    PairError,
    image_stem,
    index_stems,
    list_offenders,
    match_stems,
)
from mmivtuning.registry import DATASETS
from mmivtuning.transforms import archive_backends  # noqa: F401


@DATASETS.register_module()
class PairedSegDataset(BaseSegDataset):
    """Pairs of images with label maps.

    .. code-block:: none

        data_root
        ├── visible/train/0001.jpg
        ├── infrared/train/0001.png
        └── labels/train/0001.png

    The files of a pair and its label map share their stem (subfolders
    included); suffixes are found by looking. That every partner exists is
    checked when the data set is loaded.

    Args:
        ann_file (str): Text file of stems, one a line, that selects pairs.
            Empty: all of the folder. Default: ''.
        data_prefix (dict): Folders ``img_path`` (visible), ``infrared_path``
            and ``seg_map_path``. Without ``infrared_path``, or with None,
            every file has four channels, the infrared one in the alpha plane.
            Without ``seg_map_path`` there are no labels.
        img_suffix (str): How names of visible files end, for example
            ``'_RGB.jpg'``. Empty: any image. Default: ''.
        infrared_suffix (str): Likewise. Default: ''.
        seg_map_suffix (str): Likewise. Default: ''.
        kwargs: What :class:`mmseg.datasets.BaseSegDataset` takes; give
            ``metainfo=dict(classes=..., palette=...)``.
    """

    def __init__(self,
                 ann_file: str = '',
                 data_prefix: dict = dict(  # noqa: B006
                     img_path='visible',
                     infrared_path='infrared',
                     seg_map_path='labels'),
                 img_suffix: str = '',
                 infrared_suffix: str = '',
                 seg_map_suffix: str = '',
                 **kwargs) -> None:
        self.infrared_suffix = infrared_suffix
        # mmengine joins strings only.
        data_prefix = {
            key: folder
            for key, folder in data_prefix.items() if folder is not None
        }
        if 'img_path' not in data_prefix:
            raise ValueError('data_prefix must name the folder of visible '
                             f"images as 'img_path', got {data_prefix}")
        super().__init__(
            ann_file=ann_file,
            data_prefix=data_prefix,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            **kwargs)

    def load_data_list(self) -> List[dict]:
        """List the pairs, in the order of ``ann_file`` or of their stems.

        Raises:
            FileNotFoundError: If a folder or ``ann_file`` does not exist.
            MissingPartnerError: If a listed file, an infrared image or a
                label map is missing; up to ten are listed.
            PairError: If stems are duplicated or a folder has no images.
        """
        visible = self._index('img_path', self.img_suffix)
        infrared = self._index('infrared_path', self.infrared_suffix)
        labels = self._index('seg_map_path', self.seg_map_suffix)
        stems = list(visible)
        if self.ann_file:
            stems = self._selected(visible)
        folders = [
            self.data_prefix.get(key, '')
            for key in ('img_path', 'infrared_path', 'seg_map_path')
        ]
        if infrared is not None:
            match_stems({stem: visible[stem]
                         for stem in stems},
                        infrared,
                        folders[:2],
                        allow_extra_infrared=bool(self.ann_file))
        if labels is not None:
            bare = [visible[stem] for stem in stems if stem not in labels]
            if bare:
                raise MissingPartnerError(
                    f"{len(bare)} image(s) of '{folders[0]}' have no label "
                    f"map in '{folders[2]}':{list_offenders(bare)}")

        shared = dict(
            label_map=self.label_map,
            reduce_zero_label=self.reduce_zero_label,
            num_label_ids=self._num_label_ids(),
            ignore_index=self.ignore_index)
        data_list = []
        for stem in stems:
            entry = dict(
                img_path=join_path(folders[0], visible[stem]),
                seg_fields=[],
                **copy.deepcopy(shared))
            entry['infrared_path'] = entry['img_path']
            if infrared is not None:
                entry['infrared_path'] = join_path(folders[1], infrared[stem])
            if labels is not None:
                entry['seg_map_path'] = join_path(folders[2], labels[stem])
            data_list.append(entry)
        return data_list

    def _index(self, key: str, suffix: str) -> Optional[Dict[str, str]]:
        """Map stems to names in one folder; None if it isn't configured."""
        if key not in self.data_prefix:
            return None
        folder = self.data_prefix[key]
        names = list_dir_or_file(
            folder,
            list_dir=False,
            recursive=True,
            backend_args=self.backend_args)
        return index_stems(names, suffix, folder)

    def _selected(self, visible: Dict[str, str]) -> List[str]:
        """Return the stems that ``ann_file`` lists."""
        if not exists(self.ann_file, backend_args=self.backend_args):
            raise FileNotFoundError(
                f"no such file: '{self.ann_file}' (ann_file)")
        lines = list_from_file(self.ann_file, backend_args=self.backend_args)
        lines = [line.strip() for line in lines if line.strip()]
        # A line may carry the extension, as some published lists do.
        stems = [
            line if line in visible else image_stem(line, self.img_suffix)
            or line for line in lines
        ]
        absent = [stem for stem in stems if stem not in visible]
        if absent:
            raise MissingPartnerError(
                f"{len(absent)} of the stems in '{self.ann_file}' have no "
                f"visible image in '{self.data_prefix['img_path']}':"
                f'{list_offenders(absent)}')
        if not stems:
            raise PairError(f"'{self.ann_file}' lists no stems")
        repeated = sorted(
            stem for stem, count in Counter(stems).items() if count > 1)
        if repeated:
            raise PairError(f"'{self.ann_file}' lists {len(repeated)} stem(s) "
                            f'twice:{list_offenders(repeated)}')
        return stems

    def _num_label_ids(self) -> Optional[int]:
        """Return how many class ids the label files may hold.

        The classes of ``METAINFO``, of which the configured ones may be a
        subset, say what is in the files.
        """
        classes = self.METAINFO.get('classes') or self._metainfo.get('classes')
        return len(classes) if classes else None
