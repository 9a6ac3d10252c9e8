"""What can be asked for: pairs of files, arrays, folders, videos."""

import os
from itertools import chain
from pathlib import Path
from typing import (
    Any,
    Callable,
    Collection,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Tuple,
    Union,
)

import cv2
import numpy as np

from mmivtuning.pairs import (
    PairError,
    combine_planes,
    find_pairs,
    index_stems,
    list_names,
    match_stems,
    split_pair_file,
    unpaired,
)
from mmivtuning.transforms import LoadPairedImage

VIDEO_SUFFIXES = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg',
                  '.webm', '.wmv')

# A path, or the planes of an image.
Source = Union[str, np.ndarray]
# One pair: (visible, infrared), or one source of four channels.
PairInput = Union[Tuple[Any, Any], str, Path, np.ndarray]


class PairRequest(NamedTuple):
    """A pair that is asked for; nothing is read yet.

    Attributes:
        name (str): What its results are called; unique within a call.
        visible (str | np.ndarray): File, or planes (H, W, C), B, G, R; or
            four planes.
        infrared (str | np.ndarray, optional): Likewise; None if the first
            holds both.
        labels (Tuple[str, str]): What messages call the two.
        files (Tuple[str, ...]): The files that it comes from.
        file_name (str): The visible file within its folder; of what is no
            image file, the name.
    """

    name: str
    visible: Source
    infrared: Optional[Source]
    labels: Tuple[str, str]
    files: Tuple[str, ...] = ()
    file_name: str = ''


class VideoPair:
    """The frames of two videos, read one after the other.

    Args:
        visible (str): Video file.
        infrared (str): Video file.

    Raises:
        FileNotFoundError: If a file does not exist.
        PairError: If a video cannot be read, or they have not the same
            number of frames.
    """

    def __init__(self, visible: str, infrared: str) -> None:
        self.paths = (visible, infrared)
        # The container's own figure is an estimate: frames are counted.
        counts = [_count_frames(path) for path in self.paths]
        if counts[0] != counts[1]:
            raise PairError(
                f"'{visible}' (visible) has {counts[0]} frames, '{infrared}' "
                f'(infrared) has {counts[1]}: the videos of a pair must have '
                'the same number')
        self.count = counts[0]

    def __len__(self) -> int:
        return self.count

    def __contains__(self, item: object) -> bool:
        return any(item is request for request in self)

    def __iter__(self) -> Iterator[PairRequest]:
        captures = [_open_video(path) for path in self.paths]
        stem = Path(self.paths[0]).stem
        try:
            for number in range(self.count):
                frames = []
                for path, capture in zip(self.paths, captures):
                    done, frame = capture.read()
                    if not done:
                        raise PairError(f"'{path}': frame {number} cannot be "
                                        'decoded')
                    frames.append(_as_planes(frame, path))
                name = f'{stem}_{number:06}'
                yield PairRequest(
                    name, *frames,
                    tuple(f'{path}, frame {number}' for path in self.paths),
                    self.paths, name)
        finally:
            for capture in captures:
                capture.release()


class PairRequests:
    """All pairs of a call, in order, each under a name of its own.

    Args:
        parts (List[Collection[PairRequest]]): Lists, or what makes requests
            when it is iterated.
    """

    def __init__(self, parts: List[Collection[PairRequest]]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def __iter__(self) -> Iterator[PairRequest]:
        taken: Dict[str, int] = {}
        for request in chain.from_iterable(self.parts):
            name = request.name
            while name in taken:
                taken[request.name] += 1
                name = f'{request.name}_{taken[request.name]}'
            taken[name] = 1
            yield request._replace(name=name)


def open_inputs(inputs: Any,
                visible_suffix: str = '',
                infrared_suffix: str = '',
                on_unpaired: Optional[Callable[[str, str], Any]] = None
                ) -> PairRequests:
    """Find the pairs that inputs stand for.

    Args:
        inputs: ``(visible, infrared)``, a tuple of two files, two arrays, two
            folders or two videos; one file, array or folder of four channels;
            or a list of these.
        visible_suffix (str): How names in folders end, see
            :func:`mmivtuning.pairs.image_stem`. Default: ''.
        infrared_suffix (str): Likewise. Default: ''.
        on_unpaired (callable, optional): Takes the stem of every image of
            two folders that has no partner, and a message. Default: None,
            they are an error.

    Raises:
        FileNotFoundError: If a video or folder does not exist.
        MissingPartnerError: If images of two folders have no partner.
        PairError: If inputs do not fit each other.
        TypeError: If inputs are none of these.
    """
    options = (visible_suffix, infrared_suffix, on_unpaired)
    if isinstance(inputs, PairRequests):
        return inputs
    if not isinstance(inputs, (list, tuple)) or (
            isinstance(inputs, tuple) and _is_pair(inputs)):
        return PairRequests([_open(inputs, 0, *options)])
    return PairRequests(
        [_open(item, number, *options) for number, item in enumerate(inputs)])


def is_single(inputs: Any) -> bool:
    """Whether inputs are one pair, rather than a list, folders or videos."""
    if isinstance(inputs, (PairRequests, list)):
        return False
    if isinstance(inputs, tuple) and not _is_pair(inputs):
        return False
    first = inputs[0] if isinstance(inputs, tuple) else inputs
    return isinstance(first, np.ndarray) or not (
        os.path.isdir(first) or _is_video(str(first)))


def check_apart(inputs: Any, written: Iterable[Path]) -> None:
    """Refuse to write where images are read.

    Args:
        inputs: See :func:`open_inputs`; arrays lie nowhere.
        written (Iterable[Path]): Folders of results.

    Raises:
        ValueError: If such a folder and an input lie in each other.
    """
    folders = [Path(folder).resolve() for folder in written]
    for path in _paths_in(inputs):
        source = Path(path)
        # A result replaces a link to a file, not the file.
        source = (source if source.is_dir() else source.parent).resolve()
        for folder in folders:
            if folder in (source, *source.parents):
                raise ValueError(f"'{path}' is in the folder '{folder}': "
                                 'results would replace images')
            if Path(path).is_dir() and source in folder.parents:
                raise ValueError(f"'{folder}' is in the folder '{path}': "
                                 'results would be read as images')


def _paths_in(inputs: Any) -> Iterator[Union[str, Path]]:
    """Yield the files and folders of nested inputs."""
    if isinstance(inputs, (str, Path)):
        yield inputs
    elif isinstance(inputs, (list, tuple)):
        for item in inputs:
            yield from _paths_in(item)


def _is_pair(item: Any) -> bool:
    """Whether these are the two sources of a pair."""
    return len(item) == 2 and all(
        isinstance(source, (str, Path, np.ndarray)) for source in item)


def _open(item: Any, number: int, visible_suffix: str, infrared_suffix: str,
          on_unpaired: Optional[Callable]) -> Collection[PairRequest]:
    """Find the pairs of one item of a list."""
    if isinstance(item, (list, tuple)):
        if not _is_pair(item):
            raise TypeError(
                f'input {number}: expected a pair (visible, infrared) of '
                'paths or arrays, found a '
                f'{type(item).__name__} of {[type(x).__name__ for x in item]}')
        visible, infrared = item
    elif isinstance(item, (str, Path, np.ndarray)):
        visible, infrared = item, None
    else:
        raise TypeError(f'input {number}: expected a path, an array or a '
                        f'pair of them, found {type(item).__name__}')
    kinds = {_kind(x) for x in (visible, infrared) if x is not None}
    if len(kinds) > 1:
        raise PairError(f'input {number}: {_kind(visible)} and '
                        f'{_kind(infrared)} make no pair: expected two files, '
                        'folders, videos or arrays')
    kind = kinds.pop()
    if kind == 'an array':
        return [_of_arrays(visible, infrared, number)]
    visible = str(visible)
    infrared = None if infrared is None else str(infrared)
    if kind == 'a folder':
        return _of_folders(visible, infrared, visible_suffix,
                           infrared_suffix, on_unpaired)
    if kind == 'a video':
        if infrared is None:
            raise PairError(f"'{visible}' is one video: expected a pair, "
                            '(visible, infrared)')
        return VideoPair(visible, infrared)
    path = Path(visible)
    return [_of_files(path.stem, visible, infrared, path.name)]


def _kind(source: Any) -> str:
    """What a source is, for messages."""
    if isinstance(source, np.ndarray):
        return 'an array'
    if os.path.isdir(source):
        return 'a folder'
    return 'a video' if _is_video(str(source)) else 'a file'


def _is_video(path: str) -> bool:
    return path.lower().endswith(VIDEO_SUFFIXES)


def _of_files(name: str, visible: str, infrared: Optional[str],
              file_name: str) -> PairRequest:
    if infrared is None or infrared == visible:
        return PairRequest(name, visible, None, (visible, visible),
                           (visible, ), file_name)
    return PairRequest(name, visible, infrared, (visible, infrared),
                       (visible, infrared), file_name)


def _of_arrays(visible: np.ndarray, infrared: Optional[np.ndarray],
               number: int) -> PairRequest:
    """Check the shapes of arrays; what is in them is checked later."""
    labels = (f'visible array {number}', f'infrared array {number}')
    if infrared is None:
        labels = (f'array {number}', ) * 2
    planes = [
        None if array is None else _as_planes(array, label)
        for array, label in zip((visible, infrared), labels)
    ]
    name = f'{number:08}'
    return PairRequest(name, *planes, labels, file_name=name)


def _as_planes(array: np.ndarray, label: str) -> np.ndarray:
    """Give an array three axes.

    Raises:
        PairError: If it is no image.
    """
    if array.ndim not in (2, 3) or array.size == 0 or (
            array.dtype.kind not in 'uif'):
        raise PairError(f"'{label}' has the shape {array.shape} and the type "
                        f'{array.dtype}: expected an image (H, W, C) of '
                        'numbers')
    return array if array.ndim == 3 else array[..., None]


def _of_folders(visible: str, infrared: Optional[str], visible_suffix: str,
                infrared_suffix: str, on_unpaired: Optional[Callable]
                ) -> List[PairRequest]:
    """Match two folders, or list one of files of four channels."""
    names = index_stems(list_names(visible), visible_suffix, visible)
    if infrared is None:
        return [
            _of_files(stem, os.path.join(visible, name), None, name)
            for stem, name in names.items()
        ]
    if on_unpaired is None:
        pairs = find_pairs(visible, infrared, visible_suffix, infrared_suffix)
    else:
        others = index_stems(
            list_names(infrared), infrared_suffix, infrared)
        for told in unpaired(names, others, (visible, infrared)).items():
            on_unpaired(*told)
        both = {stem: name for stem, name in names.items() if stem in others}
        pairs = match_stems(both, others, allow_extra_infrared=True)
    return [
        _of_files(pair.stem, os.path.join(visible, pair.visible),
                  os.path.join(infrared, pair.infrared), pair.visible)
        for pair in pairs
    ]


def _open_video(path: str) -> cv2.VideoCapture:
    """Open a video.

    Raises:
        FileNotFoundError: If it does not exist.
        PairError: If OpenCV cannot read it.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"no such file: '{path}'")
    capture = cv2.VideoCapture(path)
    if not capture.isOpened():
        raise PairError(f"'{path}' cannot be opened as a video")
    return capture


def _count_frames(path: str) -> int:
    """Count the frames of a video.

    Raises:
        FileNotFoundError: If it does not exist.
        PairError: If it cannot be read or has none.
    """
    capture = _open_video(path)
    count = 0
    try:
        while capture.grab():
            count += 1
    finally:
        capture.release()
    if count == 0:
        raise PairError(f"'{path}' has no frame that can be decoded")
    return count


class PairLoader:
    """Load what is asked for, arrays as files are loaded.

    Args:
        loader (LoadPairedImage): Of the test pipeline: its options decide
            what becomes of infrared values and sizes.
    """

    def __init__(self, loader: LoadPairedImage) -> None:
        self.loader = loader

    def __call__(self, request: PairRequest) -> dict:
        """Load a pair.

        Returns:
            dict: What :class:`LoadPairedImage` gives.

        Raises:
            FileNotFoundError: If a file does not exist.
            PairError: If the pair is unusable; the message names it.
        """
        if not isinstance(request.visible, np.ndarray):
            return self.loader(
                dict(
                    img_path=request.visible,
                    infrared_path=request.infrared or request.visible))
        visible, infrared = request.visible, request.infrared
        if infrared is None:
            visible, infrared = split_pair_file(visible, request.labels[0])
        image = combine_planes(
            visible,
            infrared,
            *request.labels,
            convert=self.loader.radiometry.convert,
            align=self.loader.alignment.apply)
        if self.loader.to_float32:
            image = image.astype(np.float32)
        size = image.shape[:2]
        # As the stock inferencers: an array has no path.
        return dict(
            img=image,
            img_shape=size,
            ori_shape=size,
            img_path=None,
            infrared_path=None)
