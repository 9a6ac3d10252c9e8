"""Equations as MathML, by the converter that docutils ships.

Every browser of today draws it without a script. MathJax would be loaded
from the network when a page is read, images need a LaTeX installation.
"""

from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


def _convert(node: nodes.Node, as_block: bool) -> str:
    """Turn the LaTeX of a node into MathML, or say where it is wrong."""
    try:
        return tex2mathml(node.astext(), as_block=as_block)
    except Exception as error:
        raise ExtensionError(f'{node.source}:{node.line}: not drawable as '
                             f'MathML: {node.astext()}: {error}') from error


def inline(self: Any, node: nodes.math) -> None:
    """Write an equation within a line."""
    self.body.append(_convert(node, as_block=False))
    raise nodes.SkipNode


def block(self: Any, node: nodes.math_block) -> None:
    """Write an equation of its own."""
    self.body.append('<div class="equation">'
                     f'{_convert(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict:
    """Register the renderer."""
    app.add_html_math_renderer(
        'mathml', inline_renderers=(inline, None), block_renderers=(block,
                                                                    None))
    app.config.html_math_renderer = 'mathml'
    return dict(parallel_read_safe=True, parallel_write_safe=True)
