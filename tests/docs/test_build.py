"""The documentation builds without a warning, and reads without a network."""

import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
import yaml
from docs_blocks import ROOT

sys.path.insert(0, str(ROOT / 'docs' / 'extensions'))
import model_zoo


@pytest.fixture(scope='module')
def site(root, tmp_path_factory):
    """Build the site with warnings as errors, as `make docs` does."""
    folder = tmp_path_factory.mktemp('site')
    result = subprocess.run(
        [sys.executable, '-m', 'sphinx', '-W', '--keep-going', '-q', '-b',
         'html', '-d', str(folder / 'cache'), 'docs', str(folder / 'html')],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600)
    assert result.returncode == 0, result.stdout[-6000:]
    return folder / 'html'


class Loaded(HTMLParser):
    """What a browser would fetch for a page."""

    def __init__(self, text):
        super().__init__()
        self.urls = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag in ('script', 'img', 'source', 'iframe'):
            self.urls.append(attributes.get('src') or '')
        if tag == 'link' and attributes.get('rel') != 'canonical':
            self.urls.append(attributes.get('href') or '')


def test_nothing_is_loaded_from_a_network(site):
    pages = list(site.rglob('*.html'))
    assert len(pages) > 20
    for page in pages:
        urls = Loaded(page.read_text()).urls
        assert not [u for u in urls if re.match('(https?:)?//', u)], page
    for style in site.rglob('*.css'):
        found = re.findall(r'url\(["\']?((?:https?:)?//[^)]+)|@import[^;]+//',
                           style.read_text())
        assert not found, style


def test_equations_are_mathml(site):
    text = (site / 'method.html').read_text()
    assert text.count('<math') >= 20
    assert text.count('display="block"') >= 5
    assert '$' not in re.sub(r'<(script|pre|code)\b.*?</\1>', '', text,
                             flags=re.DOTALL)
    # also in docstrings
    assert '<math' in (site / 'api/models.html').read_text()


def test_names_link_to_the_reference(site):
    text = (site / 'method.html').read_text()
    table = text[text.index('id="paper-code"'):]
    assert re.search(r'href="api/models\.html#mmivtuning\.models\.modules\.'
                     r'simam\.SimAM|href="api/models\.html#mmivtuning\.models'
                     r'\.modules\.SimAM', table)


def test_the_zoo_has_every_config(site):
    page = (site / 'model_zoo.html').read_text()
    configs = [path for path in (ROOT / 'configs').rglob('*.py')
               if '_base_' not in path.parts]
    assert [path.stem for path in configs if path.stem not in page] == []


def test_zoo_keeps_the_figures_of_the_paper_apart():
    zoo = model_zoo.read_metafiles(ROOT)
    published = [model for models in zoo.values() for model in models
                 if 'Published' in model['Metadata']]
    assert len(published) >= 13
    for model in published:
        assert 'arXiv 2412.16654' in model['Metadata']['Published']['Source']
    tables = model_zoo.zoo_markdown(ROOT)
    heads = [line for line in tables.splitlines() if '| tuning |' in line]
    assert len(heads) == len(zoo)
    assert {line.split('|')[4].strip() for line in heads} == {
        'the paper, **not ours**'}
    for model in published:
        row = next(line for line in tables.splitlines()
                   if f"[{model['Name']}]" in line)
        paper, ours = row.split('|')[4:6]
        assert 'arXiv' in paper
        for result in model['Metadata']['Published']['Results']:
            for value in result['Metrics'].values():
                assert value in paper
        assert 'arXiv' not in ours


def test_zoo_has_the_figures_of_the_readme():
    """The two places where they stand agree, digit by digit."""
    readme = (ROOT / 'README.md').read_text()
    section = readme[readme.index('## Published results'):]
    section = section[:section.index('\n## ', 5)]
    for models in model_zoo.read_metafiles(ROOT).values():
        for model in models:
            found = model['Metadata'].get('Published')
            if found and 'vt5000' not in model['Name']:
                for result in found['Results']:
                    for value in result['Metrics'].values():
                        assert value in section, model['Name']


def write_zoo(folder, **changes):
    """Write a zoo of one model, with changes of its entry."""
    (folder / 'configs').mkdir()
    (folder / 'configs/one.py').write_text('')
    model = {
        'Name': 'one', 'In Collection': 'Some', 'Config': 'configs/one.py',
        'Metadata': {'Architecture': ['ViT'], 'Tuning': 'iv'},
        'Results': [{'Dataset': 'D', 'Metrics': {'mIoU': 1.0}}], **changes}
    (folder / 'configs/metafile.yml').write_text(yaml.safe_dump(
        dict(Collections=[dict(Name='Some')], Models=[model])))
    (folder / 'model-index.yml').write_text(yaml.safe_dump(
        dict(Import=['configs/metafile.yml'])))


def test_results_of_a_config_are_ours(tmp_path):
    write_zoo(tmp_path)
    row = model_zoo.zoo_markdown(tmp_path).splitlines()[-1]
    assert row.split('|')[4].strip() == '–'
    assert row.split('|')[5].strip() == 'mIoU 1.0'


def test_figures_of_the_paper_need_their_source(tmp_path):
    write_zoo(tmp_path, Metadata={
        'Architecture': ['ViT'], 'Tuning': 'iv',
        'Published': {'Results': [{'Dataset': 'D', 'Metrics': {'mIoU': 2}}]}})
    with pytest.raises(KeyError, match='Source'):
        model_zoo.zoo_markdown(tmp_path)


@pytest.mark.parametrize(('changes', 'message'), [
    ({'Config': 'configs/two.py'}, r'configs/two\.py does not exist'),
    ({'In Collection': 'Other'}, 'unknown collection Other'),
])
def test_wrong_entries_of_the_zoo(tmp_path, changes, message):
    write_zoo(tmp_path, **changes)
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        model_zoo.zoo_markdown(tmp_path)
