"""Which files make a pair: those that share their stem.

The functions that take names know nothing of a file system, so that the
listings of any storage (mmengine's file backends, an archive) can be matched.
A name is relative to its folder and written with ``/``; its stem is the name
without its suffix, subfolders included: ``day/0001.jpg`` has the stem
``day/0001``.
"""

import os
from pathlib import Path
from typing import (
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Sequence,
)

from .errors import MissingPartnerError, PairError, list_offenders

# What counts as an image when no suffix is given, in lower case.
IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp')


class PairNames(NamedTuple):
    """The names of a pair, relative to the folder of each modality."""

    stem: str
    visible: str
    infrared: str


def image_stem(name: str, suffix: str = '') -> str:
    """Return the stem of a name, or '' if it isn't an image of this kind.

    Args:
        name (str): Name relative to its folder.
        suffix (str): How names must end, extension included, for example
            ``'_RGB.jpg'``; it is cut off. Empty: any of
            :data:`IMAGE_SUFFIXES`, in upper or lower case.
    """
    folder, _, base = name.replace('\\', '/').rpartition('/')
    if base.startswith('.'):
        return ''
    if suffix:
        stem = base[:-len(suffix)] if base.endswith(suffix) else ''
    else:
        stem, extension = os.path.splitext(base)
        if extension.lower() not in IMAGE_SUFFIXES:
            return ''
    return f'{folder}/{stem}' if folder and stem else stem


def index_stems(names: Iterable[str],
                suffix: str = '',
                folder: str = '') -> Dict[str, str]:
    """Map the stem of every image to its name, in the order of the stems.

    Args:
        names (Iterable[str]): Names relative to ``folder``; hidden files and
            files that aren't images are passed over.
        suffix (str): See :func:`image_stem`.
        folder (str): Only for messages.

    Raises:
        PairError: If there is no image, or if two share a stem.
    """
    index: Dict[str, str] = {}
    clashes: List[str] = []
    for name in sorted(names):
        stem = image_stem(name, suffix)
        if not stem:
            continue
        if stem in index:
            clashes.append(f'{index[stem]} and {name}')
        else:
            index[stem] = name
    where = f" in '{folder}'" if folder else ''
    if clashes:
        raise PairError(f'{len(clashes)} duplicated stem(s){where}, a stem '
                        f'must name one image:{list_offenders(clashes)}')
    if not index:
        expected = (f"ends in '{suffix}'"
                    if suffix else 'ends in ' + ', '.join(IMAGE_SUFFIXES))
        raise PairError(f'no images{where}: expected files whose name '
                        f'{expected}')
    return index


def match_stems(visible: Mapping[str, str],
                infrared: Mapping[str, str],
                folders: Sequence[str] = ('visible', 'infrared'),
                allow_extra_infrared: bool = False) -> List[PairNames]:
    """Pair the images of two indices of stems.

    Args:
        visible (Mapping[str, str]): Stem to name, from :func:`index_stems`.
        infrared (Mapping[str, str]): Likewise.
        folders (Sequence[str]): The two folders, for messages.
        allow_extra_infrared (bool): Whether infrared images without a visible
            one are passed over. Default: False.

    Raises:
        MissingPartnerError: If an image has no partner; up to ten are
            listed.
    """
    lonely = unpaired(visible, infrared, folders, allow_extra_infrared)
    if lonely:
        raise MissingPartnerError(
            f'{len(lonely)} missing partner(s); the files of a pair share '
            f'their stem:{list_offenders(lonely.values())}')
    return [
        PairNames(stem, name, infrared[stem])
        for stem, name in visible.items()
    ]


def unpaired(visible: Mapping[str, str],
             infrared: Mapping[str, str],
             folders: Sequence[str] = ('visible', 'infrared'),
             allow_extra_infrared: bool = False) -> Dict[str, str]:
    """Say of every image without a partner that it has none.

    Takes the arguments of :func:`match_stems`.

    Returns:
        dict[str, str]: A sentence by stem, in the order of the stems.
    """
    lonely = {
        stem: f'{folders[0]}/{visible[stem]} has no infrared partner in '
        f"'{folders[1]}'" for stem in visible if stem not in infrared
    }
    if not allow_extra_infrared:
        lonely.update({
            stem: f'{folders[1]}/{infrared[stem]} has no visible partner in '
            f"'{folders[0]}'" for stem in infrared if stem not in visible
        })
    return lonely


def list_names(folder: str) -> Iterator[str]:
    """Yield the names of all files below a folder on disk, unsorted.

    Links to folders are followed, but for those that lead back to a folder
    that they are in.

    Raises:
        FileNotFoundError: If the folder does not exist.
        OSError: If a folder cannot be read.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"no such folder: '{folder}'")

    def stop(error: OSError) -> None:
        raise error

    # of every folder, where it and those above it really are
    above = {str(root): {os.path.realpath(root)}}
    for parent, folders, files in os.walk(
            str(root), onerror=stop, followlinks=True):
        real = above.pop(parent)
        for name in list(folders):
            path = os.path.join(parent, name)
            target = os.path.realpath(path)
            if target in real:
                folders.remove(name)
            else:
                above[path] = real | {target}
        for name in files:
            yield (Path(parent) / name).relative_to(root).as_posix()


def find_pairs(visible_folder: str,
               infrared_folder: str,
               visible_suffix: str = '',
               infrared_suffix: str = '') -> List[PairNames]:
    """Match two folders on disk.

    Args:
        visible_folder (str): Folder of visible images, searched with its
            subfolders.
        infrared_folder (str): Folder of infrared images.
        visible_suffix (str): See :func:`image_stem`. Default: ''.
        infrared_suffix (str): Likewise. Default: ''.

    Returns:
        list[PairNames]: Ordered by stem.

    Raises:
        FileNotFoundError: If a folder does not exist.
        MissingPartnerError: If an image has no partner.
        PairError: If a folder has no image or a stem is duplicated.
    """
    folders = (str(visible_folder), str(infrared_folder))
    visible = index_stems(list_names(folders[0]), visible_suffix, folders[0])
    infrared = index_stems(
        list_names(folders[1]), infrared_suffix, folders[1])
    return match_stems(visible, infrared, folders)
