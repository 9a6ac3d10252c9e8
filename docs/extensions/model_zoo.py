"""The model zoo: tables made of ``model-index.yml`` and the metafiles.

A page with the line ``<!-- model zoo -->`` gets them there. Two columns keep
apart what the paper reports (``Metadata: Published``) and what was trained
with the config of the row (``Results: Metrics``): a metafile cannot give one
for the other.
"""

from pathlib import Path
from typing import Dict, List

import yaml
from sphinx.application import Sphinx

MARK = '<!-- model zoo -->'
NOTHING = '–'
PAPER = 'the paper, **not ours**'
OURS = 'trained with this config'


def _read(path: Path) -> dict:
    """Read a YAML file; numbers stay as they are written, zeros included."""
    return yaml.load(path.read_text(), Loader=yaml.BaseLoader)


def read_metafiles(root: Path) -> Dict[str, List[dict]]:
    """Read the models of every collection.

    Args:
        root (Path): Of the repository.

    Returns:
        dict[str, list[dict]]: Models by the name of their collection, both
        in the order of the index.

    Raises:
        FileNotFoundError: If the index names a metafile, or a metafile a
            config, that does not exist.
        KeyError: If an entry is incomplete.
        ValueError: If a model is of no collection of its metafile.
    """
    index = _read(root / 'model-index.yml')
    zoo: Dict[str, List[dict]] = {}
    for name in index['Import']:
        if not (root / name).is_file():
            raise FileNotFoundError(f'model-index.yml: {name} does not exist')
        content = _read(root / name)
        for collection in content['Collections']:
            zoo[collection['Name']] = []
        for model in content['Models']:
            if model['In Collection'] not in zoo:
                raise ValueError(f"{name}: {model['Name']} is in the unknown "
                                 f"collection {model['In Collection']}")
            if not (root / model['Config']).is_file():
                raise FileNotFoundError(f"{name}: {model['Config']} does not "
                                        'exist')
            zoo[model['In Collection']].append(model)
    return zoo


def measures(results: List[dict]) -> str:
    """Write results as text, the data set in front where there are several.

    Args:
        results (list[dict]): ``Dataset`` and ``Metrics`` of each.
    """
    parts = []
    for result in results:
        values = ', '.join(f'{name} {value}'
                           for name, value in result['Metrics'].items())
        if values:
            place = f"{result['Dataset']}: " if len(results) > 1 else ''
            parts.append(place + values)
    return '<br>'.join(parts) or NOTHING


def published(model: dict) -> str:
    """Write what the paper reports for the model of a config.

    Raises:
        KeyError: If figures come without their source.
    """
    found = model['Metadata'].get('Published')
    if not found:
        return NOTHING
    return f"{measures(found['Results'])}<br>*{found['Source']}*"


def table(models: List[dict], up: str = '../') -> str:
    """Write the table of a collection in Markdown.

    Args:
        models (list[dict]): Entries of a metafile.
        up (str): Path of the repository's root, as seen from the page.
    """
    lines = [f'| config | backbone, head | tuning | {PAPER} | {OURS} |',
             '| --- | --- | --- | --- | --- |']
    for model in models:
        facts = model['Metadata']
        lines.append(
            f"| [{model['Name']}]({up}{model['Config']}) "
            f"| {', '.join(facts['Architecture'])} | `{facts['Tuning']}` "
            f"| {published(model)} | {measures(model['Results'])} |")
    return '\n'.join(lines)


def zoo_markdown(root: Path) -> str:
    """Write all tables, a section a collection."""
    return '\n\n'.join(
        f"## {name.replace('IV-tuning ', '')}\n\n{table(models)}"
        for name, models in read_metafiles(root).items())


def fill(app: Sphinx, docname: str, source: List[str]) -> None:
    """Put the tables into the page that has the mark."""
    if MARK in source[0]:
        root = Path(app.srcdir).parent
        source[0] = source[0].replace(MARK, zoo_markdown(root))
        # The page changes with these files.
        for path in [root / 'model-index.yml',
                     *root.glob('configs/*/*/metafile.yml')]:
            app.env.note_dependency(str(path), docname=docname)


def setup(app: Sphinx) -> dict:
    """Connect to the build."""
    app.connect('source-read', fill)
    return dict(parallel_read_safe=True, parallel_write_safe=True)
