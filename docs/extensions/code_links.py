"""Names of ours link to the API reference.

Two things, so that sources stay readable on GitHub and in a terminal:

- code in a line that is the full name of something documented,
  ``mmivtuning.models.SimAM``, becomes a link to it;
- a role in a docstring finds a class by its bare name, as a reader does.
"""

from typing import List, Optional, Tuple

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

PACKAGE = 'mmivtuning'


def find(env: BuildEnvironment, name: str) -> Optional[Tuple[str, str]]:
    """Find a documented object by the end of its full name.

    Args:
        env (BuildEnvironment): Of the build.
        name (str): Full or bare name.

    Returns:
        tuple[str, str] | None: Page and anchor, if there is exactly one
        object of that name; documented twice, as where it is defined and
        where it is exported, the shortest full name is the one to use.
    """
    objects = env.domains['py'].objects
    if name in objects:
        return objects[name].docname, objects[name].node_id
    found: List[str] = [
        full for full in objects if full.endswith(f'.{name}')
    ]
    if not found:
        return None
    best = min(found, key=lambda full: (full.count('.'), full))
    return objects[best].docname, objects[best].node_id


def without_modules(name: str) -> str:
    """Take the modules off a name, such as those of a type in a config.

    Examples:
        >>> without_modules('mmivtuning.models.backbones.IVViTEVA02.forward')
        'IVViTEVA02.forward'
    """
    parts = name.split('.')
    for index, part in enumerate(parts):
        if part[0].isupper():
            return '.'.join(parts[index:])
    return parts[-1]


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref,
            contents: nodes.Node) -> Optional[nodes.Node]:
    """Resolve a role that names something of ours by its bare name."""
    if node.get('refdomain') != 'py':
        return None
    target = find(env, node['reftarget'])
    if target is None:
        return None
    return make_refnode(app.builder, node['refdoc'], *target, contents)


def link_names(app: Sphinx, tree: nodes.document, docname: str) -> None:
    """Link code that is the full name of something documented."""
    for literal in list(tree.findall(nodes.literal)):
        name = literal.astext()
        inside = isinstance(literal.parent, nodes.reference)
        if inside or not name.startswith(f'{PACKAGE}.'):
            continue
        target = find(app.env, name) or find(app.env, without_modules(name))
        if target is not None:
            literal.replace_self(
                make_refnode(app.builder, docname, *target,
                             literal.deepcopy()))


def setup(app: Sphinx) -> dict:
    """Connect to the build."""
    app.connect('missing-reference', resolve)
    app.connect('doctree-resolved', link_names)
    return dict(parallel_read_safe=True, parallel_write_safe=True)
