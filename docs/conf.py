"""Sphinx builds the documentation: ``make docs``.

Nothing is fetched: equations become MathML, which browsers draw by
themselves, and the theme brings its own fonts and scripts.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'docs' / 'extensions')]

project = 'mmivtuning'
author = 'the authors of mmivtuning'
copyright = author
release = version = re.search(
    r"__version__ = '(.+)'",
    (ROOT / 'mmivtuning' / 'version.py').read_text()).group(1)

extensions = [
    'myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'mathml',
    'model_zoo', 'code_links'
]
exclude_patterns = ['_build', 'benchmarks/*/*.md', 'evidence/*/*.md']

myst_enable_extensions = ['dollarmath']
# Links to headings of other pages, as on GitHub.
myst_heading_anchors = 4

# Docstrings give types, shapes and ranges in words; those of stock classes
# that are not overridden are not ours to repeat.
autodoc_typehints = 'none'
autodoc_inherit_docstrings = False
autodoc_member_order = 'bysource'
napoleon_use_rtype = False
napoleon_use_param = False
napoleon_use_ivar = True
add_module_names = False

# A reference to something of ours that does not exist is an error; names of
# other packages are not looked up, which would need the network.
nitpicky = True
nitpick_ignore = [
    ('py:class', 'optional'),  # of napoleon
    ('py:class', 'Path'),  # in the signature of a named tuple
]
nitpick_ignore_regex = [
    (r'py:.*', r'(torch|numpy|mmengine|mmcv|mmseg|mmdet|mmpretrain)\..*')
]

html_theme = 'furo'
html_static_path = ['static']
html_css_files = ['equations.css']
html_title = f'mmivtuning {release}'
# Nothing of the page's source or of Sphinx is advertised.
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
