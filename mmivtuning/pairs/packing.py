"""A prepared data set as one file: a zip file, or an LMDB.

Read by :mod:`mmivtuning.transforms.archive_backends`.
"""

import os
import zipfile
from pathlib import Path
from typing import Any, Callable, Iterable, List, Optional, Tuple

from .layout import atomic_file, exit_on_sigterm
from .matching import list_names

# What is committed at once; LMDB holds it in memory until then.
_BATCH_BYTES = 64 * 2**20
_PAGE = 4096

Entry = Tuple[str, Path]
Progress = Callable[[Iterable[Entry]], Iterable[Entry]]


def list_entries(folder: Path) -> List[Entry]:
    """List all files below a folder: names in the archive, and paths.

    In the order of the names' bytes, in which an LMDB is filled fastest.

    Raises:
        FileNotFoundError: If there is no such folder, or no file in it.
        OSError: If a folder in it cannot be read.
        ValueError: If a name is no text in UTF-8.
    """
    entries = []
    for name in list_names(str(folder)):
        try:
            entries.append((name.encode(), name))
        except UnicodeEncodeError as error:
            raise ValueError(f"{os.fsencode(name)!r} in '{folder}': expected "
                             'a name in UTF-8; rename the file') from error
    if not entries:
        raise FileNotFoundError(f"no files in '{folder}'")
    return [(name, folder / name) for _, name in sorted(entries)]


def pack(folder: Path,
         out: Path,
         force: bool = False,
         progress: Optional[Progress] = None) -> int:
    """Write every file below a folder into one archive.

    Bytes are stored as they are, images are compressed already. All or
    nothing: ``out`` appears when it is complete.

    Args:
        folder (Path): The data set; links are followed.
        out (Path): ``*.zip`` or ``*.lmdb``, a file, too.
        force (bool): Replace ``out``, if it is a link, the link. Default:
            False.
        progress (callable, optional): Wraps the iterable of entries.

    Returns:
        int: Number of files.

    Raises:
        FileExistsError: If ``out`` exists and not ``force``.
        FileNotFoundError: If there is nothing to pack.
        OSError: If something cannot be read or written.
        ImportError: If ``out`` is an LMDB and ``lmdb`` is not installed.
        ValueError: If ``out`` ends in something else, lies in ``folder``, or
            a name is no text in UTF-8 or too long for a key.
    """
    writers = {'.zip': _write_zip, '.lmdb': _write_lmdb}
    if out.suffix.lower() not in writers:
        raise ValueError(f"'{out}': expected a name that ends in "
                         f"{' or '.join(writers)}")
    if out.is_dir():
        raise FileExistsError(f"'{out}' is a folder, expected a file to make")
    if os.path.lexists(out) and not force:
        raise FileExistsError(f"'{out}' exists (--force replaces it)")
    if folder.resolve() in out.resolve().parents:
        raise ValueError(f"'{out}' would lie in what is packed, '{folder}'")
    entries = list_entries(folder)
    with exit_on_sigterm(), atomic_file(out) as partial:
        writers[out.suffix.lower()](entries, partial,
                                    progress or (lambda entries: entries))
    return len(entries)


def _write_zip(entries: List[Entry], out: Path, progress: Progress) -> None:
    """Write a zip file."""
    # Files of 1970, which containers are full of, become files of 1980.
    with zipfile.ZipFile(out, 'w', strict_timestamps=False) as archive:
        for name, path in progress(entries):
            archive.write(path, name)


def _write_lmdb(entries: List[Entry], out: Path, progress: Progress) -> None:
    """Write an LMDB."""
    try:
        import lmdb
    except ImportError as error:
        raise ImportError('an LMDB needs lmdb: pip install lmdb') from error
    try:
        _fill_lmdb(lmdb, entries, out, progress)
    except lmdb.Error as error:
        raise OSError(f'the LMDB cannot be written: {error}') from error


def _fill_lmdb(lmdb: Any, entries: List[Entry], out: Path,
               progress: Progress) -> None:
    """Put every file into a new LMDB."""
    # A value has pages of its own; the tree of keys is small beside them.
    pages = sum(path.stat().st_size // _PAGE + 3 for _, path in entries)
    # Synced once, at the end: an unfinished one is thrown away.
    with lmdb.open(str(out), subdir=False, map_size=2 * pages * _PAGE + 2**20,
                   sync=False, lock=False) as archive:
        longest = archive.max_key_size()
        for name, _ in entries:
            size = len(name.encode())
            if size > longest:
                raise ValueError(f"'{name}' has {size} bytes, a key of an "
                                 f'LMDB at most {longest}: use a .zip')
        transaction, waiting = archive.begin(write=True), 0
        try:
            for name, path in progress(entries):
                data = path.read_bytes()
                transaction.put(name.encode(), data, append=True)
                waiting += len(data)
                if waiting > _BATCH_BYTES:
                    transaction.commit()
                    transaction, waiting = archive.begin(write=True), 0
            transaction.commit()
        except BaseException:
            transaction.abort()
            raise
        archive.sync(True)
