"""The data of a study: where they are, how many pairs, their fingerprint."""

import hashlib
import json
import os
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmivtuning.engine.data_root import set_data_root
from mmivtuning.models.pretrained import COMMANDS, SCHEME, backbone_file
from mmivtuning.scenes import write_scenes

from .study import Subject

REAL_DATA = 'MMIVTUNING_REAL_DATA'
_FILES = ('img_path', 'infrared_path', 'seg_map_path')
_DIGESTS: Dict[str, str] = {}


@dataclass(frozen=True)
class Absent:
    """A data set that cannot be used here, and why."""

    subject: Subject
    reason: str


@dataclass(frozen=True)
class Present:
    """A data set that can.

    Args:
        subject (Subject): What the study says of it.
        root (str): Its folder.
        config (Config): Its config, in that folder; not to be changed.
        positions (list[int]): Of the training pairs, in the data set as it
            is without ``indices``.
        tested (int): Number of pairs that are tested on.
        fingerprint (str): Of all files and labels, wherever they lie.
    """

    subject: Subject
    root: str
    config: Config
    positions: List[int]
    tested: int
    fingerprint: str


def file_digest(path: Union[str, Path]) -> str:
    """Hash the content of a file; each file is read once."""
    key = os.path.abspath(path)
    if key not in _DIGESTS:
        digest = hashlib.blake2b(digest_size=16)
        with open(key, 'rb') as file:
            for block in iter(lambda: file.read(1 << 20), b''):
                digest.update(block)
        _DIGESTS[key] = digest.hexdigest()
    return _DIGESTS[key]


def pretrained_file(cfg: Config) -> Optional[Path]:
    """Return the file of the pretrained backbone of a config.

    Raises:
        FileNotFoundError: If it does not exist.
    """
    name = (cfg.model.backbone.get('init_cfg') or {}).get('checkpoint')
    if not name:
        return None
    path = Path(name)
    made = ''
    if name.startswith(SCHEME):
        path = backbone_file(name[len(SCHEME):])
        made = COMMANDS.get(name[len(SCHEME):], '')
        made = made and f'; `{made}` makes it'
    if not path.is_file():
        raise FileNotFoundError(f'the pretrained backbone {name} is absent: '
                                f'no file {path}{made}')
    return path


def _data_list(cfg: Config, mode: str) -> List[Dict[str, Any]]:
    """List the entries of a data set of a config, nothing loaded."""
    dataset = dict(cfg[f'{mode}_dataloader'].dataset, pipeline=[])
    dataset.pop('indices', None)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        built = DATASETS.build(dataset)
    if not hasattr(built, 'get_data_info'):
        raise ValueError(f'{cfg.filename}: a study needs a data set that '
                         f'lists its pairs, not {type(built).__name__}')
    built.full_init()
    return [built.get_data_info(index) for index in range(len(built))]


def _describe(entry: Dict[str, Any], root: str) -> Dict[str, Any]:
    """Describe a pair by what is in its files and labels."""
    described: Dict[str, Any] = {}
    for key in _FILES:
        if entry.get(key):
            described[key] = (os.path.relpath(entry[key], root),
                              file_digest(entry[key]))
    described['instances'] = entry.get('instances', [])
    return described


def _chosen(cfg: Config, mode: str, count: int) -> List[int]:
    """Return the positions that a config chooses of a data set."""
    indices = cfg[f'{mode}_dataloader'].dataset.get('indices')
    if indices is None:
        return list(range(count))
    if isinstance(indices, int):
        return list(range(count))[:indices]
    return [int(index) for index in indices]


def find(subject: Subject, cache: Path) -> Union[Present, Absent]:
    """Look for a data set; scenes are made if they are not there.

    Args:
        subject (Subject): What the study says of it.
        cache (Path): Folder for scenes.

    Returns:
        Present | Absent: Absent with the reason: nothing is left out in
        silence.
    """
    cfg = Config.fromfile(subject.config)
    cfg.merge_from_dict(dict(subject.options))
    root = ''
    try:
        root = _folder(subject, cache)
        pretrained_file(cfg)
        if subject.task == 'saliency':
            import py_sod_metrics  # noqa: F401
        set_data_root(cfg, root)
        # Stock classes print what they load.
        with redirect_stdout(StringIO()):
            entries = {
                mode: _data_list(cfg, mode)
                for mode in ('train', 'test')
            }
    except (FileNotFoundError, ImportError) as error:
        return Absent(subject, _without(root, str(error)))
    except Exception as error:  # whatever bad files lead stock classes to
        return Absent(subject, 'its data cannot be used: '
                      f'{type(error).__name__}: {_without(root, str(error))}')
    chosen = {
        mode: _chosen(cfg, mode, len(found))
        for mode, found in entries.items()
    }
    described = {
        mode: [_describe(entries[mode][i], root) for i in chosen[mode]]
        for mode in entries
    }
    text = json.dumps(described, sort_keys=True, default=str)
    return Present(subject, root, cfg, chosen['train'], len(chosen['test']),
                   hashlib.sha256(text.encode()).hexdigest())


def _without(root: str, text: str) -> str:
    """Take the folder of a data set out of what pages show."""
    return text.replace(root, Path(root).name) if root else text


def _folder(subject: Subject, cache: Path) -> str:
    """Return the folder of a data set.

    Raises:
        FileNotFoundError: If it does not exist.
    """
    if subject.scenes is not None:
        recipe = dict(subject.scenes)
        size = tuple(recipe.pop('size', (224, 294)))
        numbers = '-'.join(str(n) for n in (*recipe.values(), *size))
        folder = cache / f'scenes-{numbers}'
        write_scenes(folder, recipe, size=size, jobs=1)
        return str(folder.resolve())
    base = os.environ.get(REAL_DATA)
    if not base:
        raise FileNotFoundError(f'{REAL_DATA} is not set: it names the '
                                'folder of the real pairs')
    folder = Path(base, subject.folder).resolve()
    if not folder.is_dir():
        raise FileNotFoundError(f'no folder {subject.folder} in {REAL_DATA}')
    return str(folder)


def _shuffled(positions: List[int], seed: int) -> List[int]:
    """Shuffle positions by a seed."""
    order = np.random.default_rng(seed).permutation(len(positions))
    return [positions[index] for index in order]


def fraction_of(positions: List[int], fraction: float,
                seed: int) -> List[int]:
    """Choose a share of the training pairs.

    Those of a smaller share are among those of a larger one of that seed.

    Args:
        positions (list[int]): Of all training pairs.
        fraction (float): Above 0 to 1.
        seed (int): Of the run.

    Returns:
        list[int]: Sorted, at least one.
    """
    if fraction >= 1:
        return sorted(positions)
    number = max(int(round(fraction * len(positions))), 1)
    return sorted(_shuffled(positions, seed)[:number])


def hold_out(positions: List[int], share: float) -> Dict[str, List[int]]:
    """Split the training pairs for the choice of a rate.

    The same split for every method and rate.

    Args:
        positions (list[int]): Of all training pairs.
        share (float): That is held out.

    Returns:
        dict[str, list[int]]: ``train`` and ``held_out``, disjoint.

    Raises:
        ValueError: If there are fewer than two pairs.
    """
    if len(positions) < 2:
        raise ValueError('rates are chosen on training pairs that are held '
                         f'out, which needs 2 of them, found {positions}')
    number = min(max(int(round(share * len(positions))), 1),
                 len(positions) - 1)
    order = _shuffled(positions, 20241222)
    return dict(
        held_out=sorted(order[:number]), train=sorted(order[number:]))
