"""What a conversion has finished, for the next process if this one ends.

A file beside what is written: a line that identifies the conversion, then one
for each finished pair. Only whole lines count.
"""

import hashlib
import json
from pathlib import Path
from typing import (
    BinaryIO,
    Dict,
    Iterable,
    Iterator,
    Optional,
    Sequence,
    Tuple,
)

from .decoding import read_bytes
from .sources import Item

_NAME = 'journal.jsonl'


def digest_of(item: Item, ignore: Sequence[str] = ()) -> str:
    """Hash everything that the result for a pair depends on.

    Contents count and not places: an archive is unpacked anew each time.

    Raises:
        FileNotFoundError: If a source file does not exist.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in (item.visible, item.infrared, item.labels, item.mask,
                 item.voc, item.yolo):
        data = b'' if path is None else read_bytes(str(path))
        digest.update(b'%d:' % (-1 if path is None else len(data)))
        digest.update(data)
    digest.update(repr((item.boxes, item.border, tuple(ignore))).encode())
    return digest.hexdigest()


def _is_entry(entry: object) -> bool:
    """Whether a line holds a split, a stem and a record."""
    return (isinstance(entry, list) and len(entry) == 3
            and isinstance(entry[0], str) and isinstance(entry[1], str)
            and isinstance(entry[2], dict))


class Journal:
    """The finished pairs of a conversion.

    Args:
        recipe (dict): What all results depend on.
        items (Iterable[Item]): All pairs.
    """

    def __init__(self, recipe: dict, items: Iterable[Item]) -> None:
        # With other pairs, files of those that are no more would stay.
        targets = [(item.split, item.stem, item.visible.suffix,
                    item.infrared.suffix) for item in items]
        identity = json.dumps([recipe, targets], sort_keys=True)
        self._first = hashlib.sha256(identity.encode()).hexdigest()

    def belongs_to(self, folder: Path) -> bool:
        """Whether a folder holds the beginning of the same conversion."""
        return self._read(folder)[0] is not None

    def finished(self, folder: Path) -> Dict[Tuple[str, str], dict]:
        """Read the records of the pairs in a folder, by split and stem."""
        return self._read(folder)[0] or {}

    def write(self, folder: Path, items: Sequence[Item],
              records: Iterable[dict]) -> Iterator[dict]:
        """Pass records on, each after it is noted down.

        Those with a ``problem`` are not noted, nor are those that are.
        """
        noted, length = self._read(folder)
        with open(folder / _NAME, 'ab') as file:
            file.truncate(length)
            if noted is None:
                noted = {}
                self._add(file, self._first)
            for record, item in zip(records, items):
                key = (item.split, item.stem)
                if not record['problem'] and noted.get(key) != record:
                    self._add(file, [*key, record])
                yield record

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove the journal of a folder that is complete."""
        (folder / _NAME).unlink()

    @staticmethod
    def _add(file: BinaryIO, entry: object) -> None:
        file.write(json.dumps(entry).encode() + b'\n')
        file.flush()

    def _read(self, folder: Path
              ) -> Tuple[Optional[Dict[Tuple[str, str], dict]], int]:
        """Records, None if they are of something else, and their bytes."""
        try:
            lines = (folder / _NAME).read_bytes().splitlines(keepends=True)
            if (json.loads(lines[0]) != self._first
                    or not lines[0].endswith(b'\n')):
                return None, 0
        except (OSError, ValueError, IndexError):
            return None, 0
        found, length = {}, len(lines[0])
        for line in lines[1:]:
            try:
                entry = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b'\n') or not _is_entry(entry):
                break
            found[entry[0], entry[1]] = entry[2]
            length += len(line)
        return found, length
