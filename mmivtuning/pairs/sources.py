"""Finding the files of a benchmark as its authors distribute it."""

import shutil
import tarfile
import zipfile
import zlib
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .errors import PairError
from .formats import ImageBoxes
from .layout import exit_on_sigterm, remove_leftovers, unfinished
from .matching import index_stems


class ConversionError(ValueError):
    """Something in the source is wrong.

    Args:
        problems (Sequence[str]): Each names the file, what was found and
            what was expected.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__('\n'.join(problems))
        self.problems = list(problems)


class Item(NamedTuple):
    """The source files of one pair.

    Attributes:
        split (str): Name of the split.
        stem (str): What the files will be called.
        visible (Path): The visible file, or one 4-channel file.
        infrared (Path): The infrared file; equal to ``visible`` for a
            4-channel file.
        labels (Path, optional): Image of class ids.
        voc (Path, optional): Boxes as Pascal VOC xml.
        boxes (ImageBoxes, optional): Boxes that are read already.
        boxes_from (str): Where they were read from, for messages.
        mask (Path, optional): Image of what is salient, 0 to 255.
        yolo (Path, optional): Boxes as YOLO text.
        border (int): Pixels to cut off at each side of both images; boxes
            refer to what is left. Default: 0.
    """

    split: str
    stem: str
    visible: Path
    infrared: Path
    labels: Optional[Path] = None
    voc: Optional[Path] = None
    boxes: Optional[ImageBoxes] = None
    boxes_from: str = ''
    mask: Optional[Path] = None
    yolo: Optional[Path] = None
    border: int = 0


class Plan(NamedTuple):
    """What a converter found in its source.

    Attributes:
        items (List[Item]): All pairs.
        subsets (Dict[str, List[str]]): Stems of lists within a split.
        problems (List[str]): What is wrong, such as missing partners.
        classes (Tuple[str, ...]): As the archive has them, where the facts of
            the benchmark leave them open. Default: ().
    """

    items: List[Item]
    subsets: Dict[str, List[str]]
    problems: List[str]
    classes: Tuple[str, ...] = ()


def index_folder(folder: Path, suffix: str = '') -> Dict[str, Path]:
    """Map the stem of every image right in a folder to its path.

    Args:
        folder (Path): The folder.
        suffix (str): How names must end; it is cut off. Default: '', any
            image.

    Raises:
        ConversionError: If the folder is missing or empty, or if two images
            share a stem.
    """
    if not folder.is_dir():
        raise ConversionError([f'{folder}: no such folder'])
    names = [path.name for path in folder.iterdir() if path.is_file()]
    try:
        index = index_stems(names, suffix, str(folder))
    except PairError as error:
        raise ConversionError([str(error)]) from error
    return {stem: folder / name for stem, name in index.items()}


def index_xml(folder: Path) -> Dict[str, Path]:
    """Map the stem of every xml file right in a folder to its path.

    Raises:
        ConversionError: If the folder is missing.
    """
    if not folder.is_dir():
        raise ConversionError([f'{folder}: no such folder'])
    return {path.stem: path for path in sorted(folder.glob('*.xml'))}


def read_stems(path: Path) -> List[str]:
    """Read a list of stems, one a line; suffixes of images are cut off.

    Raises:
        ConversionError: If there is no such file, it is empty, or a stem
            occurs twice.
    """
    if not path.is_file():
        raise ConversionError([f'{path}: no such file'])
    stems = []
    for line in path.read_text(encoding='utf-8').split('\n'):
        name = line.strip()
        if name:
            base = Path(name)
            known = base.suffix.lower() in ('.png', '.jpg', '.jpeg', '.xml')
            stems.append(base.stem if known else base.name)
    if not stems:
        raise ConversionError([f'{path}: empty; expected one name a line'])
    repeated = [stem for stem, count in Counter(stems).items() if count > 1]
    if repeated:
        raise ConversionError(
            [f'{path}: listed twice: {", ".join(repeated)}'])
    return stems


def pair_up(split: str, stems: Sequence[str],
            files: Dict[str, Tuple[Path, Dict[str, Path]]]
            ) -> Tuple[List[Item], List[str]]:
    """Collect the files of each stem.

    Args:
        split (str): Name of the split.
        stems (Sequence[str]): What the split consists of.
        files (Dict[str, Tuple[Path, Dict[str, Path]]]): For each field of
            :class:`Item` the folder and its index.

    Returns:
        Tuple[List[Item], List[str]]: The items, and a problem for every
        missing file.
    """
    items, problems = [], []
    for stem in stems:
        missing = [
            f'{folder}: no {field} file for {stem} ({split})'
            for field, (folder, index) in files.items() if stem not in index
        ]
        if missing:
            problems += missing
            continue
        items.append(
            Item(split, stem,
                 **{field: index[stem]
                    for field, (_, index) in files.items()}))
    return items, problems


def unpaired(what: str, stems: Sequence[str],
             files: Dict[str, Tuple[Path, Dict[str, Path]]]) -> List[str]:
    """A problem for every file whose stem is not among the expected ones.

    Args:
        what (str): Where the stems come from, for messages.
        stems (Sequence[str]): The expected ones.
        files (Dict[str, Tuple[Path, Dict[str, Path]]]): As for
            :func:`pair_up`.
    """
    expected = set(stems)
    return [
        f'{index[stem]}: no visible file for it ({what})'
        for _, index in files.values() for stem in index
        if stem not in expected
    ]


def locate(source: Path, names: Sequence[str], depth: int = 3) -> Path:
    """Find the folder that holds all of some entries.

    Args:
        source (Path): Where to start; the folder itself comes first.
        names (Sequence[str]): Names of files or folders.
        depth (int): How many levels down to look. Default: 3.

    Raises:
        ConversionError: If there is no such folder, or more than one on the
            first level that has any.
    """
    level = [source]
    for _ in range(depth + 1):
        hits = [f for f in level if all((f / n).exists() for n in names)]
        if len(hits) == 1:
            return hits[0]
        if hits:
            raise ConversionError([
                f'{source}: expected one folder with {", ".join(names)}, '
                f'found {", ".join(map(str, hits))}'
            ])
        level = sorted(
            child for folder in level for child in folder.iterdir()
            if child.is_dir())[:1000]
    raise ConversionError([
        f'{source}: expected a folder with {", ".join(names)} in it or up to '
        f'{depth} levels below; found none'
    ])


@contextmanager
def opened(source: Path, beside: Path) -> Iterator[Path]:
    """Give the folder of a source, unpacking an archive for a while.

    Args:
        source (Path): A folder, a zip or a tar file.
        beside (Path): The archive is unpacked next to it.

    Yields:
        Path: The folder.

    Raises:
        ConversionError: If the source is missing, no archive, or unsafe.
    """
    if source.is_dir():
        yield source
        return
    if not source.is_file():
        raise ConversionError([f'{source}: no such file or folder'])
    beside.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(beside)
    folder = unfinished(beside, 'unpacked')
    with exit_on_sigterm():
        folder.mkdir()
        try:
            _unpack(source, folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _unpack(source: Path, folder: Path) -> None:
    """Unpack an archive.

    Raises:
        ConversionError: If it is none, damaged, or cannot be unpacked safely.
    """
    try:
        if zipfile.is_zipfile(str(source)):
            with zipfile.ZipFile(str(source)) as archive:
                archive.extractall(str(folder))
        elif tarfile.is_tarfile(str(source)):
            if not hasattr(tarfile, 'data_filter'):
                raise ConversionError([
                    f'{source}: this Python cannot unpack a tar file safely; '
                    'unpack it by hand and give the folder'
                ])
            with tarfile.open(str(source)) as archive:
                archive.extractall(str(folder), filter='data')
        else:
            raise ConversionError(
                [f'{source}: expected a folder, a zip or a tar file'])
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error,
            OSError) as error:
        raise ConversionError([f'{source}: cannot be unpacked: {error}'
                               ]) from error
