"""Pairs to analyse: of two folders, or a config's validation data set.

The images go through the part of the config's validation pipeline that
reads and resizes; no label is read for them.
"""

from typing import (
    Any,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DATASETS, init_default_scope

from mmivtuning.engine.data_root import pipeline_of
from mmivtuning.pairs import PairError, PairNames, find_pairs, read_pair
from mmivtuning.pairs.grouping import alike


class Pair(NamedTuple):
    """A pair as a model's data preprocessor takes it."""

    name: str  # path of the visible file
    image: np.ndarray  # (H, W, 4), B, G, R, infrared


class Folders(NamedTuple):
    """Two folders of pairs, and how the names in them end."""

    visible: str
    infrared: str
    visible_suffix: str = ''
    infrared_suffix: str = ''


def reading_part(pipeline: Sequence[Dict]) -> List[Dict]:
    """Leave out of a pipeline what reads labels and what packs.

    Args:
        pipeline (Sequence[dict]): Configs of transforms.
    """
    kept = []
    for transform in pipeline:
        name = str(transform['type']).rpartition('.')[2]
        labels = name.startswith('Load') and any(
            part in name for part in ('Annotations', 'Labels', 'Mask'))
        if not labels and not name.startswith('Pack'):
            kept.append(transform)
    return kept


def _reading_only(config: Any) -> Any:
    """Cut every pipeline of a data set, and of those it wraps."""
    if isinstance(config, dict):
        return {
            key:
            reading_part(value) if key == 'pipeline' else _reading_only(value)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return type(config)(_reading_only(value) for value in config)
    return config


def evenly_spaced(count: int, limit: Optional[int]) -> List[int]:
    """Choose at most ``limit`` of ``count`` indices, evenly spaced.

    Frames of a video that follow each other show the same.
    """
    if limit is None or limit >= count:
        return list(range(count))
    return [index * count // limit for index in range(limit)]


class PairSource:
    """Pairs, read one at a time.

    Args:
        cfg (Config, optional): Whose validation pipeline reads the pairs.
            None: files as they are, needs folders. Defaults to None.
        folders (Folders, optional): None: the validation data set of the
            config, or its data set of tests. Defaults to None.
        max_pairs (int, optional): Take so many at most, evenly spaced.
            Defaults to None.

    Raises:
        FileNotFoundError: If a folder or file does not exist.
        PairError: If there are no pairs, or a partner is missing.
        ValueError: If the config has no validation data set, or there are
            neither folders nor a config.
    """

    def __init__(self,
                 cfg: Optional[Config] = None,
                 folders: Optional[Folders] = None,
                 max_pairs: Optional[int] = None) -> None:
        if cfg is None and folders is None:
            raise ValueError('give a config, or the folders of visible and '
                             'infrared images')
        self._files: List[PairNames] = []
        self._folders = folders
        if cfg is not None:
            init_default_scope(cfg.get('default_scope', 'mmengine'))
            config = self._dataset_config(cfg)
        if folders is not None:
            self._files = find_pairs(*folders)
            count = len(self._files)
            self._transforms = None
            if cfg is not None:
                self._transforms = Compose(reading_part(pipeline_of(config)))
        else:
            self._dataset = DATASETS.build(_reading_only(config))
            count = len(self._dataset)
            if not count:
                raise PairError(f'{cfg.filename}: the validation data set '
                                'has no pairs')
        self.indices = evenly_spaced(count, max_pairs)

    @staticmethod
    def _dataset_config(cfg: Config) -> Dict:
        """Take the config of the validation data set, or that of tests."""
        for name in ('val_dataloader', 'test_dataloader'):
            dataset = (cfg.get(name) or {}).get('dataset')
            if dataset:
                break
        else:
            raise ValueError(
                f'{cfg.filename} has no val_dataloader or test_dataloader '
                'with a dataset: nothing says how pairs are read')
        return dataset.to_dict() if hasattr(dataset, 'to_dict') else dataset

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Pair]:
        """Read the pairs, in order.

        Raises:
            PairError: If a pair is unusable.
        """
        for index in self.indices:
            if self._folders is None:
                results = self._dataset[index]
                yield Pair(str(results['img_path']), results['img'])
                continue
            files = self._files[index]
            visible = f'{self._folders.visible}/{files.visible}'
            infrared = f'{self._folders.infrared}/{files.infrared}'
            if self._transforms is None:
                yield Pair(visible, read_pair(visible, infrared))
            else:
                results = self._transforms(
                    dict(
                        img_path=visible,
                        infrared_path=infrared,
                        seg_fields=[]))
                yield Pair(visible, results['img'])


def batches(pairs: Iterator[Pair],
            batch_size: int) -> Iterator[Tuple[List[str], List[np.ndarray]]]:
    """Collect pairs that follow each other and have one size.

    Args:
        pairs (Iterator[Pair]): Read one at a time.
        batch_size (int): How many at most.

    Yields:
        tuple[list[str], list[np.ndarray]]: Names and images.
    """
    for group in alike(pairs, batch_size, lambda pair: pair.image.shape):
        yield [pair.name for pair in group], [pair.image for pair in group]
