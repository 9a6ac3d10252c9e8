"""Which pairs of a folder of results are done.

``manifest.jsonl`` begins with a line that says what the results were made
with; every pair that is done adds one with the sizes and times of its input
files, after its result files are in place.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional

from mmivtuning.pairs.reporting import write_atomically

from .inputs import PairRequest

MANIFEST = 'manifest.jsonl'


def hash_file(path: Optional[str]) -> str:
    """Return the SHA-256 of a file in hexadecimal, '' for None."""
    if path is None:
        return ''
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()


def hash_texts(*texts: str) -> str:
    """Return one SHA-256 of several texts."""
    return hashlib.sha256('\0'.join(texts).encode()).hexdigest()


class Manifest:
    """Remember which pairs are done; what other runs did does not count.

    Args:
        out (Path): The folder of results.
        made_with (dict): What they are made with; ``key`` tells runs apart.
    """

    def __init__(self, out: Path, made_with: Dict[str, Any]) -> None:
        self.path = out / MANIFEST
        self.key = made_with['key']
        lines = self._read()
        before = lines[0].get('made_with') if lines else None
        self.key_before = before.get('key') if isinstance(before,
                                                          dict) else None
        self.done: Dict[str, dict] = {}
        if self.key_before == self.key:
            self.done = {
                line['name']: line
                for line in lines[1:] if isinstance(line.get('name'), str)
            }
        # Written anew: a line may be cut off, or of another run.
        content = [dict(made_with=made_with), *self.done.values()]
        write_atomically(
            self.path, ''.join(f'{json.dumps(line)}\n'
                               for line in content).encode())
        self.file = open(self.path, 'a', encoding='utf-8')

    def _read(self) -> List[dict]:
        """Read what is there, without the lines that are damaged."""
        try:
            text = self.path.read_text(encoding='utf-8', errors='replace')
        except FileNotFoundError:
            return []
        lines = []
        for line in text.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            lines.append(entry if isinstance(entry, dict) else {})
        return lines

    def has(self, request: PairRequest, results: Iterable[Path]) -> bool:
        """Whether a pair is done, from the files as they are now."""
        entry = self.done.get(request.name)
        return (entry is not None
                and entry.get('inputs') == _facts(request.files)
                and all(path.is_file() for path in results))

    def add(self, request: PairRequest) -> None:
        """Remember that a pair is done."""
        entry = dict(name=request.name, inputs=_facts(request.files))
        self.done[request.name] = entry
        self.file.write(f'{json.dumps(entry)}\n')
        self.file.flush()

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def _facts(paths: Iterable[str]) -> List[list]:
    """Return path, size and time of each file; of one that is gone, -1."""
    facts = []
    for path in paths:
        try:
            stat = os.stat(path)
            facts.append([path, stat.st_size, stat.st_mtime_ns])
        except OSError:
            facts.append([path, -1, -1])
    return facts
