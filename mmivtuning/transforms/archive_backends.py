"""Reading a data set from one zip file or LMDB, without unpacking it.

Many small files are slow on network file systems. ``python data_prep/pack.py
data/msrs data/msrs.lmdb`` (or ``.zip``) makes one of them, and::

    data_root='data/msrs.lmdb', backend_args=dict(backend='mmivtuning.lmdb')

in the data set, with the same ``backend_args`` in its loading transforms,
reads it: everything after ``.lmdb/`` in a path is a name in the archive.
mmengine's own LMDB backend takes bare keys and cannot list folders, which
pairing needs.
"""

import os
import posixpath
import re
import tempfile
import zipfile
import zlib
from abc import abstractmethod
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, Optional, Tuple, Union

from mmengine.fileio import BaseStorageBackend, register_backend

PathLike = Union[str, Path]
# Its two first pages, which say how many there are.
_SMALLEST_LMDB = 2 * 4096


class ArchiveBackend(BaseStorageBackend):
    """A file backend for the inside of an archive, to read only."""

    suffix: str
    # Opened archives and their names. A process that was forked must open
    # its own: file positions and LMDB environments cannot be shared.
    _opened: Dict[Tuple[int, str], Tuple[Any, Dict[str, None]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._opened = {}

    @staticmethod
    @abstractmethod
    def open_archive(path: str) -> Any:
        """Open an archive that exists.

        Raises:
            ValueError: If it is none of this kind.
        """

    @staticmethod
    @abstractmethod
    def list_names(archive: Any) -> Iterable[str]:
        """List the names in an archive; those of folders end in ``/``.

        Raises:
            ValueError: If it is damaged.
        """

    @staticmethod
    @abstractmethod
    def read(archive: Any, name: str) -> bytes:
        """Read a file that an archive has.

        Raises:
            ValueError: If it is damaged.
        """

    @classmethod
    def split_path(cls, path: PathLike) -> Tuple[str, str]:
        """Split a path into the archive and the name in it.

        Raises:
            ValueError: If no part of the path ends as archives do.
        """
        text = str(path)
        if os.sep == '\\':
            text = text.replace('\\', '/')
        ends = [match.end(1) for match in re.finditer(
            f'({re.escape(cls.suffix)})(?:/|$)', text, re.I | re.A)]
        if not ends:
            raise ValueError(f"'{path}': expected a path like "
                             f'data/set{cls.suffix}/visible/0001.png')
        # A folder that the archive is in may be called like one.
        end = next((end for end in ends if not cls.is_folder(text[:end])),
                   ends[-1])
        # Joined paths may hold ./ and //.
        name = posixpath.normpath(text[end + 1:].lstrip('/'))
        return text[:end], '' if name == '.' else name

    @staticmethod
    def is_folder(path: str) -> bool:
        """Whether a path with the suffix is a folder and no archive."""
        return os.path.isdir(path)

    @classmethod
    def opened(cls, path: str) -> Tuple[Any, Dict[str, None]]:
        """Open an archive and list its names, once a process.

        Raises:
            FileNotFoundError: If there is no such file or folder.
            ValueError: If it is no archive of this kind.
        """
        key = (os.getpid(), path)
        if key not in cls._opened:
            if not os.path.exists(path):
                raise FileNotFoundError(f"no such file: '{path}'")
            archive = cls.open_archive(path)
            try:
                names = dict.fromkeys(cls.list_names(archive))
            except ValueError as error:
                raise ValueError(f"'{path}' is damaged: {error}") from error
            cls._opened[key] = (archive, names)
        return cls._opened[key]

    def get(self, filepath: PathLike) -> bytes:
        """Read a file.

        Raises:
            FileNotFoundError: If the archive has no such file.
            ValueError: If it is damaged.
        """
        path, name = self.split_path(filepath)
        archive, names = self.opened(path)
        if name not in names:
            raise FileNotFoundError(f"no file '{name}' in '{path}'")
        try:
            return self.read(archive, name)
        except ValueError as error:
            raise ValueError(
                f"'{name}' in '{path}' is damaged: {error}") from error

    def get_text(self, filepath: PathLike, encoding: str = 'utf-8') -> str:
        """Read a file as text."""
        return self.get(filepath).decode(encoding)

    def isfile(self, filepath: PathLike) -> bool:
        """Whether the archive has such a file."""
        path, name = self.split_path(filepath)
        return name in self.opened(path)[1]

    def isdir(self, filepath: PathLike) -> bool:
        """Whether the archive has files in such a folder."""
        path, name = self.split_path(filepath)
        start = f'{name}/' if name else ''
        return any(n.startswith(start) for n in self.opened(path)[1])

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
        path, folder = self.split_path(dir_path)
        start = f'{folder}/' if folder else ''
        if not self.isdir(dir_path):
            raise FileNotFoundError(f"no folder '{folder}' in '{path}'")
        folders = set()
        for name in self.opened(path)[1]:
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


@register_backend('mmivtuning.zip', force=True)
class ZipBackend(ArchiveBackend):
    """mmengine's file backend for the inside of a zip file, to read only."""

    suffix = '.zip'

    @staticmethod
    def open_archive(path: str) -> zipfile.ZipFile:
        """Open a zip file that exists.

        Raises:
            ValueError: If it is none.
        """
        try:
            return zipfile.ZipFile(path)
        except (zipfile.BadZipFile, IsADirectoryError) as error:
            raise ValueError(f"'{path}' is no zip file: {error}") from error

    @staticmethod
    def list_names(archive: zipfile.ZipFile) -> Iterable[str]:
        """List the names in an archive; those of folders end in ``/``."""
        return archive.namelist()

    @staticmethod
    def read(archive: zipfile.ZipFile, name: str) -> bytes:
        """Read a file that an archive has.

        Raises:
            ValueError: If it is damaged.
        """
        try:
            return archive.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError,
                NotImplementedError) as error:
            # The last two: encrypted, or packed in an unknown way.
            raise ValueError(str(error)) from error


@register_backend('mmivtuning.lmdb', force=True)
class LmdbBackend(ArchiveBackend):
    """mmengine's file backend for the inside of an LMDB, to read only.

    A key is the path of a file in the data set, in UTF-8, with ``/``.
    """

    suffix = '.lmdb'

    @staticmethod
    def open_archive(path: str) -> Any:
        """Open an LMDB that exists, a folder or one file.

        Raises:
            ImportError: If ``lmdb`` is not installed.
            ValueError: If it is no LMDB.
        """
        try:
            import lmdb
        except ImportError as error:
            raise ImportError(f"'{path}' needs lmdb: pip install lmdb"
                              ) from error
        in_folder = os.path.isdir(path)
        file = os.path.join(path, 'data.mdb') if in_folder else path
        if not os.path.isfile(file):
            raise ValueError(f"'{path}' is no LMDB: a folder without data.mdb")
        size = os.path.getsize(file)
        if size < _SMALLEST_LMDB:
            raise ValueError(f"'{path}' is no LMDB, or one that is cut off: "
                             f'{size} bytes')
        try:
            # Pairs are read in random order: what lies behind one is not
            # needed next. Nobody writes: no locks, on shared disks either.
            archive = lmdb.open(
                path, subdir=in_folder, readonly=True, lock=False,
                readahead=False)
        except lmdb.Error as error:
            raise ValueError(f"'{path}' is no LMDB: {error}") from error
        # Reading behind the end of a mapped file ends the process.
        expected = (archive.info()['last_pgno'] + 1) * archive.stat()['psize']
        if size < expected:
            archive.close()
            raise ValueError(
                f"'{path}' is cut off: {size} bytes, expected {expected}; "
                'copy it again, or, if it is whole, through mdb_copy -c')
        return archive

    @staticmethod
    def is_folder(path: str) -> bool:
        """Whether a path with the suffix is a folder and no archive."""
        return os.path.isdir(path) and not os.path.isfile(
            os.path.join(path, 'data.mdb'))

    @staticmethod
    def list_names(archive: Any) -> Iterable[str]:
        """List the keys.

        Raises:
            ValueError: If it is damaged, or a key is no text.
        """
        import lmdb
        try:
            with archive.begin() as transaction:
                return [bytes(key).decode() for key in
                        transaction.cursor().iternext(values=False)]
        except lmdb.Error as error:
            raise ValueError(str(error)) from error

    @staticmethod
    def read(archive: Any, name: str) -> bytes:
        """Read the value of a key that there is.

        Raises:
            ValueError: If it is damaged.
        """
        import lmdb
        try:
            with archive.begin() as transaction:
                return transaction.get(name.encode())
        except lmdb.Error as error:
            raise ValueError(str(error)) from error
