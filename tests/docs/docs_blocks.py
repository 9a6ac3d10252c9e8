"""Pages of the documentation: their code blocks, links and names."""

import re
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ('bash', 'python', 'text', 'bibtex')
# Variables that commands in the documentation may set.
VARIABLES = ('CUDA_VISIBLE_DEVICES', 'OMP_NUM_THREADS', 'MMIVTUNING_DATA',
             'PYTHONPATH')
# bash runs a block for us: loops, quotes and variables are its business. It
# finds no program, and tells what it looked for.
_RECORDER = r"""
exec 3>&1 1>/dev/null
command_not_found_handle() {
    printf '%s\037' @values@ "$@" >&3
    printf '\036' >&3
}
cd() { command_not_found_handle cd "$@"; }
source() { command_not_found_handle source "$@"; }
D=/real/data
PATH=/nonexistent
""".replace('@values@', ' '.join(f'"${{{name}}}"' for name in VARIABLES))


class Block(NamedTuple):
    """A code block of a page."""

    page: str
    line: int
    language: str  # '' if it is indented
    text: str
    mark: str  # text of the HTML comment right before it


class Command(NamedTuple):
    """A command as a shell would run it."""

    page: str
    arguments: Tuple[str, ...]
    environment: Dict[str, str]

    def __str__(self) -> str:
        return ' '.join(self.arguments)


def pages() -> List[str]:
    """List every page that is written by hand."""
    found = [ROOT / name for name in
             ('README.md', 'CONTRIBUTING.md', 'configs/README.md')]
    found += sorted(
        path for path in (ROOT / 'docs').rglob('*.md')
        if '_build' not in path.parts
        and path.name not in ('benchmark.md', 'results.md'))
    return [path.relative_to(ROOT).as_posix() for path in found]


def tokens(page: str) -> Sequence:
    """Parse a page as GitHub would."""
    text = (ROOT / page).read_text(encoding='utf-8')
    return MarkdownIt('commonmark').enable('table').parse(text)


def blocks(page: str) -> Iterator[Block]:
    """Yield the code blocks of a page; directives of Sphinx are none."""
    mark = ''
    for token in tokens(page):
        if token.type == 'html_block':
            found = re.fullmatch(r'<!--\s*(.*?)\s*-->', token.content.strip())
            mark = found[1] if found else ''
            continue
        if token.type in ('fence', 'code_block'):
            language = token.info.strip() if token.type == 'fence' else ''
            if not language.startswith('{'):
                yield Block(page, token.map[0] + 1, language, token.content,
                            mark)
        mark = ''


def replaced(text: str, changes: Sequence[Tuple[str, str]],
             used: set) -> str:
    """Replace parts of a block, and remember which were there."""
    for old, new in changes:
        if old in text:
            used.add(old)
            text = text.replace(old, new)
    return text


def commands(page: str, script: str) -> List[Command]:
    """Have bash take a block apart into the commands that it would run."""
    result = subprocess.run(
        ['bash', '--noprofile', '--norc', '-c', _RECORDER + script],
        capture_output=True,
        env={},
        text=True,
        timeout=60)
    assert not result.stderr, f'{page}: {result.stderr}\n{script}'
    found = []
    for record in result.stdout.split('\036')[:-1]:
        values = record.split('\037')[:-1]
        environment = {
            name: value
            for name, value in zip(VARIABLES, values) if value
        }
        found.append(
            Command(page, tuple(values[len(VARIABLES):]), environment))
    return found


def slug(heading: str) -> str:
    """Anchor of a heading, as on GitHub and in MyST."""
    text = re.sub(r'[^\w\- ]', '', heading.lower())
    return text.replace(' ', '-')


def anchors(page: str) -> List[str]:
    """Anchors of the headings of a page."""
    found = []
    stream = tokens(page)
    for token, after in zip(stream, stream[1:]):
        if token.type == 'heading_open':
            found.append(slug(''.join(
                child.content for child in after.children)))
    return found


def links(page: str) -> Iterator[str]:
    """Yield the targets of links and pictures of a page."""
    for token in tokens(page):
        for child in token.children or ():
            if child.type == 'link_open':
                yield child.attrs['href']
            elif child.type == 'image':
                yield child.attrs['src']


def code_spans(page: str) -> Iterator[str]:
    """Yield what a page sets as code within a line."""
    for token in tokens(page):
        for child in token.children or ():
            if child.type == 'code_inline':
                yield child.content
