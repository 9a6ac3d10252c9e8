"""What pages name exists: links, files, classes; Python blocks are valid."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from docs_blocks import (
    ROOT,
    anchors,
    blocks,
    code_spans,
    links,
    pages,
    tokens,
)

PAGES = pages()
TEXTS = [*PAGES, 'CHANGELOG.md']
TOP = ('configs/', 'data_prep/', 'docs/', 'mmivtuning/', 'requirements/',
       'tests/', 'tools/')
# Files that a user has, or that a build makes.
NOT_HERE = re.compile(r'[<>*…{}\s]|CONFIG|NAME|^docs/_build')
DOTTED = re.compile(r'mmivtuning(\.[A-Za-z_]\w*)+')


def exists(name: str) -> bool:
    """Whether something of that name can be imported, or is registered."""
    parts = name.split('.')
    for stop in range(len(parts), 0, -1):
        try:
            found = import_module('.'.join(parts[:stop]))
        except ModuleNotFoundError:
            continue
        for part in parts[stop:]:
            if not hasattr(found, part):
                break
            found = getattr(found, part)
        else:
            return True
    return registered(name)


def registered(name: str) -> bool:
    """Whether a config can write it as a type or a file backend."""
    from mmengine.fileio.backends.registry_utils import backends

    from mmivtuning import registry
    kinds = (registry.MODELS, registry.TRANSFORMS, registry.DATASETS,
             registry.METRICS, registry.HOOKS)
    return name.count('.') == 1 and (
        name in backends or any(kind.get(name) for kind in kinds))


@pytest.mark.parametrize('page', TEXTS)
def test_links(page):
    for link in links(page):
        if re.match(r'[a-z]+:', link):
            continue
        path, _, anchor = link.partition('#')
        # Pages that include one of the root stand in docs/.
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f'{page}: {link} does not exist'
        if anchor:
            name = target.resolve().relative_to(ROOT).as_posix()
            found = anchors(name)
            included = re.findall(r'```\{include\} (\S+)', target.read_text())
            for other in included:
                found += anchors((target.parent / other).resolve().relative_to(
                    ROOT).as_posix())
            assert anchor in found, f'{page}: {link}, found {found}'


def test_every_page_is_in_the_table_of_contents():
    listed = set()
    for page in PAGES:
        text = (ROOT / page).read_text()
        for tree in re.findall(r'```\{toctree\}\n(.*?)```', text, re.DOTALL):
            for entry in tree.split('\n'):
                if entry and not entry.startswith(':'):
                    listed.add((Path(page).parent / f'{entry}.md').as_posix())
    written = {page for page in PAGES if page.startswith('docs/')}
    assert listed | {'docs/index.md'} == written


@pytest.mark.parametrize('page', TEXTS)
def test_files_that_are_named(page):
    for name in code_spans(page):
        if name.startswith(TOP) and not NOT_HERE.search(name):
            path = name.split('::')[0].rstrip('/')
            assert (ROOT / path).exists(), f'{page}: no {name}'


@pytest.mark.parametrize('page', TEXTS)
def test_classes_and_functions_that_are_named(page):
    for name in code_spans(page):
        name = name.partition('(')[0]
        if DOTTED.fullmatch(name) and name != 'mmivtuning.Name':
            assert exists(name), f'{page}: there is no {name}'


def test_the_map_of_the_paper_names_something_in_every_row():
    text = (ROOT / 'docs/method.md').read_text()
    section = text[text.index('## Paper ↔ code'):]
    rows = [line for line in section[:section.index('\n## ', 5)].splitlines()
            if line.startswith('| ')][2:]
    assert len(rows) >= 15
    for row in rows:
        names = re.findall(r'`(mmivtuning\.[\w.]+)`', row)
        assert names, row
        assert all(exists(name) for name in names), row
    for figure in ('Fig. 1a', 'Fig. 2', 'Fig. 3', 'Fig. 4', 'Fig. 5'):
        assert figure in section


def test_names_that_do_not_exist_are_found():
    assert exists('mmivtuning.models.modules.SimAM.forward')
    assert exists('mmivtuning.LoadPairedImage')
    assert not exists('mmivtuning.models.modules.SimAN')
    assert not exists('mmivtuning.NoSuchType')


@pytest.mark.parametrize('page', PAGES)
def test_types_in_python_blocks(page):
    for block in blocks(page):
        if block.language == 'python':
            for name in re.findall(r"type='(mmivtuning\.\w+)'", block.text):
                assert registered(name), f'{page}:{block.line}: {name}'


def is_config(text: str) -> bool:
    """Whether a block is nothing but assignments of a config."""
    import ast
    return all(
        isinstance(part, ast.Assign) for part in ast.parse(text).body)


@pytest.mark.parametrize('page', PAGES)
def test_python_blocks(page, tmp_path):
    from mmengine.config import Config
    for block in blocks(page):
        if block.language != 'python':
            continue
        compile(block.text, f'{page}:{block.line}', 'exec')
        # Bases are somebody's own files; test_commands.py has those run
        # that are complete.
        if is_config(block.text) and '_base_' not in block.text:
            config = Config.fromstring(block.text, '.py')
            assert len(config), f'{page}:{block.line}'


@pytest.fixture(params=['segformer_mit-b0', 'upernet_r50', 'upernet_swin'])
def readme_config(request, scenes, tmp_path):
    """Return the README's config on stock bases, and on the scenes."""
    from importlib.util import find_spec

    from mmengine.config import Config
    text = next(block.text for block in blocks('README.md')
                if 'your_mmseg_config.py' in block.text)
    mmseg = Path(find_spec('mmseg').origin).parent / '.mim/configs'
    base = f"""
_base_ = ['{mmseg}/_base_/models/{request.param}.py',
          '{mmseg}/_base_/datasets/ade20k.py',
          '{mmseg}/_base_/default_runtime.py',
          '{mmseg}/_base_/schedules/schedule_80k.py']
"""
    (tmp_path / 'your_mmseg_config.py').write_text(base)
    for ours, theirs in (
            ("data_root='data/mine'", f"data_root='{scenes}'"),
            ("('road', 'person')",
             "('background', 'car', 'person', 'sign', 'cone')"),
            ('[[0, 0, 0], [255, 0, 0]]', '[[0, 0, 0]] * 5'),
            ('num_classes=2', 'num_classes=5')):
        assert ours in text
        text = text.replace(ours, theirs)
    (tmp_path / 'my_config.py').write_text(text)
    return Config.fromfile(tmp_path / 'my_config.py')


def test_readme_config_builds_its_model_and_data(readme_config):
    import mmseg.models  # noqa: F401
    import torch
    from mmengine.registry import DATASETS, MODELS, DefaultScope

    from mmivtuning.models import count_parameters
    cfg = readme_config
    with DefaultScope.overwrite_default_scope('mmseg'):
        with torch.device('meta'):
            model = MODELS.build(cfg.model)
        assert count_parameters(model.backbone).trainable == 8_899_652
        for loader in (cfg.train_dataloader, cfg.val_dataloader):
            pairs = DATASETS.build(loader.dataset)
            sample = pairs[0]
            assert sample['inputs'].shape[0] == 4
            assert 'gt_sem_seg' in sample['data_samples']
        assert model.decode_head.num_classes == 5
        assert not model.with_auxiliary_head


def test_blocks_of_the_readme_are_where_they_are_read():
    assert [token for token in tokens('README.md') if token.type == 'fence']
