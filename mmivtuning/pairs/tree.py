"""What a folder of pairs holds, with everything that does not fit.

Two layouts are understood: that of our converters, with a folder for each
split (``visible/train/``, ``annotations/train.json``, ``splits/train.txt``),
and the flat one (``visible/``, ``train.json``, ``train.txt``). Nothing is
decoded here, and nothing raises for a bad file: problems are collected.
"""

import json
import os
import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from .errors import PairError
from .listed_boxes import list_boxes, load_coco
from .matching import image_stem, list_names
from .problems import WARNING, Problem

SPLIT_NAME = re.compile(
    r'(train|training|trainval|val|valid|validation|test|testing)([_-].*)?')
_FLAT_LISTS = ('train', 'val', 'valid', 'validation', 'test')
UNLISTED = 'unlisted'
Index = Dict[str, str]


class Folders(NamedTuple):
    """Where things lie in a data set, and how their names end.

    Attributes:
        visible (str): Folder of visible, or 4-channel, files.
        infrared (str): Folder of infrared files; '' if there are 4-channel
            files.
        labels (str): Folder of label maps.
        masks (str): Folder of saliency masks.
        visible_suffix (str): For example ``'_RGB.jpg'``. Default: '', any
            image.
        infrared_suffix (str): Likewise.
        label_suffix (str): Of label maps and masks, likewise.
    """

    visible: str = 'visible'
    infrared: str = 'infrared'
    labels: str = 'labels'
    masks: str = 'masks'
    visible_suffix: str = ''
    infrared_suffix: str = ''
    label_suffix: str = ''


class FoundPair(NamedTuple):
    """The files of a pair, relative to the data set.

    Attributes:
        split (str): Name of its split.
        stem (str): What its files share.
        visible (str): The visible file, or the 4-channel one.
        infrared (str, optional): None for a 4-channel file.
        labels (str, optional): Label map.
        mask (str, optional): Saliency mask.
        boxes_from (str): The json of ``boxes``; '' if there is none.
        stated_size (Tuple, optional): (height, width) by the json.
        boxes (Tuple): Of each box: class name, then the four numbers as the
            json has them.
    """

    split: str
    stem: str
    visible: str
    infrared: Optional[str] = None
    labels: Optional[str] = None
    mask: Optional[str] = None
    boxes_from: str = ''
    stated_size: Optional[Tuple] = None
    boxes: Tuple = ()


class Tree(NamedTuple):
    """A data set.

    Attributes:
        root (Path): Its folder.
        pairs (List[FoundPair]): In the order of splits and stems.
        problems (List[Problem]): What does not fit together.
        classes (Tuple[str, ...]): By ``meta.json``, empty without.
    """

    root: Path
    pairs: List[FoundPair]
    problems: List[Problem]
    classes: Tuple[str, ...]


def read_tree(root: Path, folders: Folders = Folders()) -> Tree:  # noqa: B008
    """List a data set.

    Args:
        root (Path): Its folder.
        folders (Folders): Where things lie in it.

    Raises:
        FileNotFoundError: If the folder of a modality does not exist.
        PairError: If there is no visible image.
    """
    root = Path(root)
    present: Dict[str, List[str]] = {}
    for field in ('visible', 'infrared', 'labels', 'masks'):
        folder = getattr(folders, field)
        optional = field in ('labels', 'masks')
        if not folder or (optional and not (root / folder).is_dir()):
            continue
        present[field] = sorted(list_names(str(root / folder)))
    images = [n for n in present['visible'] if image_stem(n)]
    if not images:
        raise PairError(f"no images in '{root / folders.visible}'")
    meta = _read_meta(root)
    if _has_split_folders(root, images, meta):
        return _read_split_folders(root, folders, present, meta)
    return _read_flat(root, folders, present, meta)


def _read_meta(root: Path) -> dict:
    """The content of meta.json, empty if there is none."""
    try:
        meta = json.loads((root / 'meta.json').read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    return meta if isinstance(meta, dict) else {}


def _has_split_folders(root: Path, images: Sequence[str],
                       meta: dict) -> bool:
    """Whether every visible image lies in the folder of a split."""
    named = set(meta.get('counts') or ())
    named |= {path.stem for path in root.glob('splits/*.txt')}
    named |= {path.stem for path in root.glob('annotations/*.json')}
    tops = {name.split('/')[0] if '/' in name else '' for name in images}
    return all(
        top and (top in named or SPLIT_NAME.fullmatch(top)) for top in tops)


def _index(names: Sequence[str], folder: str, suffix: str,
           problems: List[Problem]) -> Index:
    """Map stems to names; clashes become problems."""
    index: Index = {}
    for name in names:
        stem = image_stem(name, suffix)
        if not stem:
            continue
        if stem in index:
            problems.append(
                Problem('duplicate stem', f'{folder}/{name}',
                        f'shares its stem with {folder}/{index[stem]}'))
        else:
            index[stem] = name
    return index


def _below(names: Sequence[str], split: str) -> List[str]:
    """The names in the folder of a split, relative to it."""
    start = f'{split}/'
    return [name[len(start):] for name in names if name.startswith(start)]


def _split_order(name: str) -> Tuple[int, str]:
    """Training first, then validation, test, and the rest."""
    for place, start in enumerate(('train', 'val', 'test')):
        if name.startswith(start):
            return place, name
    return (9 if name == UNLISTED else 5), name


def _read_split_folders(root: Path, folders: Folders,
                        present: Dict[str, List[str]], meta: dict) -> Tree:
    """List a data set in the layout of our converters."""
    problems: List[Problem] = []
    pairs: List[FoundPair] = []
    splits = sorted(
        {name.split('/')[0] for names in present.values() for name in names
         if '/' in name}, key=_split_order)
    stems_of: Dict[str, List[str]] = {}
    for split in splits:
        indices = {}
        for field, names in present.items():
            folder = f'{getattr(folders, field)}/{split}'
            if not (root / folder).is_dir():
                # Not every split needs labels, but it needs both modalities.
                if field in ('visible', 'infrared'):
                    problems.append(
                        Problem('missing folder', folder,
                                f'the split {split} has no such folder'))
                continue
            suffix = _suffix_of(folders, field)
            indices[field] = _index(
                _below(names, split), folder, suffix, problems)
        if 'visible' not in indices or (folders.infrared
                                        and 'infrared' not in indices):
            continue
        places = {
            field: f'{getattr(folders, field)}/{split}' for field in indices
        }
        found = _join(split, indices, places, problems)
        # A stem without its partner has been told already.
        stems_of[split] = sorted(
            {*indices['visible'], *indices.get('infrared', ())})
        found = _add_boxes(found, root, f'annotations/{split}.json',
                           indices['visible'], problems)
        pairs += found
    problems += _check_lists(root, stems_of)
    return Tree(root, pairs, problems, tuple(meta.get('classes') or ()))


def _suffix_of(folders: Folders, field: str) -> str:
    """How the names of a kind of files end."""
    if field in ('visible', 'infrared'):
        return getattr(folders, f'{field}_suffix')
    return folders.label_suffix


def _join(split: str, indices: Dict[str, Index], places: Dict[str, str],
          problems: List[Problem], labelled: bool = True) -> List[FoundPair]:
    """Match the files of a split; what is missing becomes problems."""
    visible = indices['visible']
    for field, index in indices.items():
        if field == 'visible':
            continue
        kind = dict(infrared='infrared partner', labels='label map',
                    masks='mask')[field]
        for stem, name in visible.items():
            if stem in index or (field != 'infrared' and not labelled):
                continue
            problems.append(
                Problem(
                    'missing partner' if field == 'infrared' else
                    'missing labels', f"{places['visible']}/{name}",
                    f"no {kind} '{stem}' in {places[field]}"))
        for stem, name in index.items():
            if stem not in visible:
                problems.append(
                    Problem('missing partner', f'{places[field]}/{name}',
                            f"no visible image '{stem}' in "
                            f"{places['visible']}"))
    pairs = []
    for stem in sorted(visible):
        if 'infrared' in indices and stem not in indices['infrared']:
            continue
        paths = {
            field: f'{places[field]}/{index[stem]}'
            for field, index in indices.items() if stem in index
        }
        pairs.append(
            FoundPair(split, stem, paths['visible'], paths.get('infrared'),
                      paths.get('labels'), paths.get('masks')))
    return pairs


def _read_list(path: Path, known: Dict[str, object]) -> List[str]:
    """The stems of a list, with or without extension."""
    text = path.read_text(encoding='utf-8', errors='replace')
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [
        line if line in known else image_stem(line) or line for line in lines
    ]


def _check_lists(root: Path, stems_of: Dict[str, List[str]]
                 ) -> List[Problem]:
    """Compare ``splits/*.txt`` with the files."""
    problems = []
    everything = {stem: 1 for stems in stems_of.values() for stem in stems}
    for path in sorted(root.glob('splits/*.txt')):
        name = path.relative_to(root).as_posix()
        listed = _read_list(path, everything)
        expected = dict.fromkeys(stems_of.get(path.stem, everything))
        problems += [
            Problem('split list', name, f"'{stem}' has no pair of files")
            for stem in listed if stem not in expected
        ]
        if path.stem in stems_of:
            problems += [
                Problem('split list', name,
                        f"does not list '{stem}', which has files", WARNING)
                for stem in expected if stem not in set(listed)
            ]
    return problems


def _read_flat(root: Path, folders: Folders, present: Dict[str, List[str]],
               meta: dict) -> Tree:
    """List a data set without folders of splits."""
    problems: List[Problem] = []
    indices = {
        field: _index(names, getattr(folders, field),
                      _suffix_of(folders, field), problems)
        for field, names in present.items()
    }
    visible = indices['visible']
    split_of: Dict[str, str] = {}
    for split in _FLAT_LISTS:
        for suffix in ('.txt', '.json'):
            path = root / f'{split}{suffix}'
            if path.is_file():
                _assign(path, split, visible, folders, split_of, problems)
    places = {field: getattr(folders, field) for field in indices}
    found = _join('', indices, places, problems, labelled=not split_of)
    default = UNLISTED if split_of else 'all'
    pairs = [p._replace(split=split_of.get(p.stem, default)) for p in found]
    for pair in pairs:
        if pair.stem not in split_of:
            continue
        for field, path in (('labels', pair.labels), ('masks', pair.mask)):
            if field in indices and path is None:
                problems.append(
                    Problem('missing labels', pair.visible,
                            f"no file '{pair.stem}' in {places[field]}"))
    for split in sorted(set(split_of.values())):
        inside = {s: n for s, n in visible.items()
                  if split_of.get(s) == split}
        chosen = _add_boxes([p for p in pairs if p.split == split], root,
                            f'{split}.json', inside, problems)
        pairs = [p for p in pairs if p.split != split] + chosen
    pairs.sort(key=lambda pair: (_split_order(pair.split), pair.stem))
    return Tree(root, pairs, problems, tuple(meta.get('classes') or ()))


def _assign(path: Path, split: str, visible: Index, folders: Folders,
            split_of: Dict[str, str], problems: List[Problem]) -> None:
    """Read which pairs a list or json of a split has."""
    if path.suffix == '.txt':
        stems = _read_list(path, visible)
        problems += [
            Problem('split list', path.name, f"'{stem}' has no visible image "
                    f'in {folders.visible}')
            for stem in stems if stem not in visible
        ]
    else:
        content = load_coco(path) or {}
        stems = [
            image_stem(str(image.get('file_name')), folders.visible_suffix)
            for image in content.get('images', [])
        ]
    for stem in stems:
        if stem not in visible:
            continue
        if split_of.setdefault(stem, split) != split:
            problems.append(
                Problem('leakage', path.name,
                        f"'{stem}' is in the split {split_of[stem]} too"))


def _add_boxes(pairs: List[FoundPair], root: Path, name: str,
               visible: Index, problems: List[Problem]) -> List[FoundPair]:
    """Give every pair its boxes, if the json of its split exists."""
    if not os.path.lexists(root / name):
        return pairs
    found = list_boxes(root / name, name, visible, problems)
    return [
        pair._replace(
            boxes_from=name,
            stated_size=found[pair.stem].size,
            boxes=tuple(found[pair.stem].boxes))
        if pair.stem in found else pair for pair in pairs
    ]
