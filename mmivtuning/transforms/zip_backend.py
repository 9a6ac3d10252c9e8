"""Reading a data set from one zip file, without unpacking it.

Many small files are slow on network file systems. ``zip -0 -r msrs.zip
visible infrared labels`` (or Python's zipfile) makes one file of them, and::

    data_root='data/msrs.zip', backend_args=dict(backend='mmivtuning.zip')

in the data set, with the same ``backend_args`` in its loading transforms,
reads it: everything after ``.zip/`` in a path is a name in the archive.
"""

import os
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, Optional, Tuple, Union

from mmengine.fileio import BaseStorageBackend, register_backend

NAME = 'mmivtuning.zip'
_SUFFIX = '.zip'
# Opened archives. A process that was forked must open its own: file
# positions are shared.
_OPENED: Dict[Tuple[int, str], zipfile.ZipFile] = {}

PathLike = Union[str, Path]


def split_path(path: PathLike) -> Tuple[str, str]:
    """Split a path into the archive and the name in it.

    Raises:
        ValueError: If no part of the path ends in ``.zip``.
    """
    text = str(path).replace('\\', '/')
    place = text.lower().find(f'{_SUFFIX}/')
    if place < 0 and text.lower().endswith(_SUFFIX):
        return text, ''
    if place < 0:
        raise ValueError(f"'{path}': expected a path like data/set.zip/"
                         'visible/0001.png')
    end = place + len(_SUFFIX)
    # Joined paths may hold ./ and //.
    name = os.path.normpath(text[end + 1:]).replace('\\', '/')
    return text[:end], '' if name == '.' else name


def opened(archive: str) -> zipfile.ZipFile:
    """Open an archive, once a process.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no zip file.
    """
    key = (os.getpid(), archive)
    if key not in _OPENED:
        try:
            _OPENED[key] = zipfile.ZipFile(archive)
        except FileNotFoundError:
            raise FileNotFoundError(f"no such file: '{archive}'") from None
        except zipfile.BadZipFile as error:
            raise ValueError(f"'{archive}' is no zip file: {error}"
                             ) from error
    return _OPENED[key]


@register_backend(NAME, force=True)
class ZipBackend(BaseStorageBackend):
    """mmengine's file backend for the inside of a zip file, to read only."""

    def get(self, filepath: PathLike) -> bytes:
        """Read a file.

        Raises:
            FileNotFoundError: If the archive has no such file.
            ValueError: If it is damaged.
        """
        archive, name = split_path(filepath)
        try:
            return opened(archive).read(name)
        except KeyError:
            raise FileNotFoundError(
                f"no file '{name}' in '{archive}'") from None
        except zipfile.BadZipFile as error:
            raise ValueError(f"'{name}' in '{archive}' is damaged: {error}"
                             ) from error

    def get_text(self, filepath: PathLike, encoding: str = 'utf-8') -> str:
        """Read a file as text."""
        return self.get(filepath).decode(encoding)

    def isfile(self, filepath: PathLike) -> bool:
        """Whether the archive has such a file."""
        archive, name = split_path(filepath)
        return name in opened(archive).NameToInfo

    def isdir(self, filepath: PathLike) -> bool:
        """Whether the archive has files in such a folder."""
        archive, name = split_path(filepath)
        start = f'{name}/' if name else ''
        return any(n.startswith(start) for n in opened(archive).NameToInfo)

    def exists(self, filepath: PathLike) -> bool:
        """Whether the archive has such a file or folder."""
        return self.isfile(filepath) or self.isdir(filepath)

    def join_path(self, filepath: PathLike, *filepaths: PathLike) -> str:
        """Join parts of a path."""
        return '/'.join([str(filepath).rstrip('/'), *map(str, filepaths)])

    @contextmanager
    def get_local_path(self, filepath: PathLike) -> Iterator[str]:
        """Give a copy of a file on disk, for a while."""
        handle, path = tempfile.mkstemp(suffix=Path(filepath).suffix)
        try:
            with os.fdopen(handle, 'wb') as file:
                file.write(self.get(filepath))
            yield path
        finally:
            os.remove(path)

    def list_dir_or_file(self,
                         dir_path: PathLike,
                         list_dir: bool = True,
                         list_file: bool = True,
                         suffix: Optional[Union[str, Tuple[str]]] = None,
                         recursive: bool = False) -> Iterator[str]:
        """List a folder, as mmengine's local backend does.

        Raises:
            FileNotFoundError: If the archive has no such folder.
        """
        archive, folder = split_path(dir_path)
        start = f'{folder}/' if folder else ''
        if not self.isdir(dir_path):
            raise FileNotFoundError(f"no folder '{folder}' in '{archive}'")
        folders = set()
        for name in opened(archive).namelist():
            if not name.startswith(start) or name == start:
                continue
            rest = name[len(start):]
            parts = rest.rstrip('/').split('/')
            depth = len(parts) if name.endswith('/') else len(parts) - 1
            for level in range(1, depth + 1):
                parent = '/'.join(parts[:level])
                if (level == 1 or recursive) and parent not in folders:
                    folders.add(parent)
                    if list_dir:
                        yield parent
            if (not name.endswith('/') and list_file
                    and (recursive or len(parts) == 1)
                    and (suffix is None or rest.endswith(suffix))):
                yield rest
