"""The page of a report: what it holds, read by a parser and a browser."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.logging import MMLogger

from mmivtuning.cli import main

SEGMENTATION = ('configs/segmentation/scenes/'
                'vit-tiny-random_segformer_iv_4i_scenes-56x70.py')
DETECTION = ('configs/detection/scenes/'
             'vit-tiny-random_cascade-rcnn-small_iv_1e_scenes-72x96.py')

VOID = {'meta', 'img', 'link', 'br', 'hr', 'input'}
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')


class Page(HTMLParser):
    """Read a page and complain of what is not well-formed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ''
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        assert len(attributes) == len(attrs)
        self.tags.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ['style']:
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def report(capsys, tmp_path):
    """Return a function that writes a report and reads it."""

    def write(work_dir, *options):
        out = tmp_path / 'report.html'
        assert main(['report', str(work_dir), '--out', str(out),
                     *map(str, options)]) == 0, capsys.readouterr().err
        text = out.read_text(encoding='utf-8')
        check(text)
        return Page(text)

    return write


def check(text):
    """A page by itself, that all can read."""
    page = Page(text)
    assert 'default-src &#39;none&#39;' in text or "default-src 'none'" in text
    assert page.all('script') == page.all('link') == page.all('iframe') == []
    ids = [a['id'] for _, a in page.tags if 'id' in a]
    assert len(set(ids)) == len(ids)
    for _, attributes in page.tags:
        assert not any(name.startswith('on') for name in attributes)
        for name in ('href', 'src', 'srcset', 'data', 'action'):
            value = attributes.get(name)
            assert value is None or value.startswith(('#', 'data:image/'))
            if value and value.startswith('#'):
                assert value[1:] in ids
    assert all(image['alt'].strip() for image in page.all('img'))
    assert 'url(' not in text
    assert '@import' not in text
    assert page.all('html')[0]['lang'] == 'en'
    levels = [int(tag[1]) for tag, _ in page.tags if re.match('h[1-6]$', tag)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:]))
    assert len(page.all('table')) == len(page.all('caption'))


def test_the_page_of_a_run(write_run, report):
    folder = write_run()
    page = report(folder.parent)
    assert 'tiny' in page.text
    for expected in ('iteration 20 of 20', '51.75', '91.00', '12.50',
                     '2.1.2+cu121', 'There are none.',
                     '--checkpoint FILE --samples 4'):
        assert expected in page.text
    # loss, learning rate, seconds; validation
    assert len(page.all('img')) == 4
    assert 'Validation: aAcc from 91 at iteration 10 to 92' in (
        page.all('img')[3]['alt'])
    assert 'The run saved no config' in page.text


def test_everything_is_escaped(write_run, run_log, report):
    evil = '<script>alert(1)</script>&"\''
    log = run_log.replace('tiny_2025', f'{evil}_2025').replace(
        'linux', evil).replace('background', evil)
    scalars = [{evil: 1., 'loss': 1., 'step': 1, 'iter': 1},
               {f'mIoU{evil}': 1., 'step': 1}]
    folder = write_run(log=log, scalars=scalars, work_dir='<b>&amp;"work')
    page = report(folder.parent)
    assert page.text.count(evil) >= 5
    assert page.all('b') == []


def test_runs_beside_it(write_run, report):
    work_dir = write_run('20250131_120000').parent
    write_run('20250131_130000', scalars='{"loss": 1., "step": 5, "iter": 5}'
              '\n{"loss')
    tested = write_run('20250131_140000', scalars=None, log='')
    (tested / '20250131_140000.json').write_text(json.dumps({'mIoU': 61.5}))
    page = report(work_dir)
    assert 'was the run cut off?' in page.text
    assert 'Test 20250131_140000' in page.text
    assert '61.5' in page.text
    assert '10 to 20' in page.text
    assert 'cut off' not in report(work_dir, '--run', '20250131_120000').text


@pytest.mark.parametrize(('arguments', 'message'), [
    ([], 'has no logs of a run'),
    (['--run', 'x'], 'has no logs of a run'),
    (['--checkpoint', 'a.pth', '--samples', '0'], '--samples must be'),
])
def test_errors(tmp_path, capsys, arguments, message):
    (tmp_path / 'work').mkdir()
    assert main(['report', str(tmp_path / 'work'), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list((tmp_path / 'work').iterdir()) == []


def test_errors_of_what_a_run_lacks(write_run, tmp_path, capsys):
    folder = write_run()
    (tmp_path / 'a.pth').touch()
    for options, message in (
        (['--checkpoint', str(tmp_path / 'a.pth')], 'has no config to test'),
        (['--config', str(tmp_path / 'a.py')], 'no such config'),
    ):
        assert main(['report', str(folder.parent), *options]) == 2
        assert message in capsys.readouterr().err
    assert not (folder.parent / 'report.html').exists()


def test_a_model_that_cannot_be_built(write_run, report):
    folder = write_run()
    (folder / 'vis_data/config.py').write_text(
        "model = dict(type='NoSuchModel')\n")
    page = report(folder.parent)
    assert 'The model cannot be built here: ' in page.text
    assert 'NoSuchModel' in page.text


@pytest.fixture(scope='module')
def segmentation_page(trained, tmp_path_factory):
    """Write the page of a real run with samples."""
    work_dir = trained(SEGMENTATION)
    out = tmp_path_factory.mktemp('page') / 'report.html'
    assert main(['report', str(work_dir), '--checkpoint',
                 str(work_dir / 'iter_4.pth'), '--samples', '2', '--out',
                 str(out)]) == 0
    # the folder of the run is as it was
    assert len(list(work_dir.glob('2*'))) == 1
    # and who logs now needs no file of the test
    MMLogger.get_current_instance().warning('still here')
    return out


def test_samples_of_a_segmentor(segmentation_page):
    text = segmentation_page.read_text(encoding='utf-8')
    check(text)
    page = Page(text)
    assert '4 pairs of the test, each measured by itself with\nmIoU' in (
        page.text)
    shown = [image for image in page.all('img')
             if image['src'].startswith('data:image/jpeg')]
    assert [image['alt'].split(':')[0] for image in shown] == [
        'Worst sample 1', 'Worst sample 2', 'Best sample 1', 'Best sample 2']
    assert len({image['src'] for image in shown}) == 4
    scores = [float(score) for score in re.findall(
        r'^mIoU ([\d.]+):', page.text, re.M)]
    assert scores[0] <= scores[1] <= scores[3] <= scores[2]
    # classes of the validation and of the test just now
    assert page.text.count('cone') >= 2
    assert '129,284' in page.text
    assert 'PyTorch' in page.text


@pytest.mark.slow
def test_samples_of_a_detector(trained, report):
    work_dir = trained(
        DETECTION, 'val_evaluator.classwise=True',
        'test_evaluator.classwise=True')
    page = report(work_dir, '--checkpoint', work_dir / 'epoch_1.pth',
                  '--samples', 1)
    assert 'coco/bbox_mAP' in page.text
    assert page.text.count('category') >= 2
    assert 'roi_head' in page.text
    shown = [image for image in page.all('img')
             if image['src'].startswith('data:image/jpeg')]
    assert len(shown) == 2


@pytest.fixture(scope='module')
def browse(tmp_path_factory):
    """Return a function that has a browser do something with a page."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f'no browser is installed: {", ".join(BROWSERS)}')

    def run(page: Path, *options: str) -> str:
        done = subprocess.run([
            program, '--headless', '--no-sandbox', '--disable-gpu',
            '--hide-scrollbars', '--no-first-run',
            f'--user-data-dir={tmp_path_factory.mktemp("browser")}',
            '--virtual-time-budget=2000', *options, page.as_uri()
        ], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


# Put into a copy without the policy: what the browser made of the page.
LOOK = """<script>addEventListener('load', () => {
  const images = [...document.images];
  document.body.innerHTML = '<pre id="seen">' + JSON.stringify({
    images: images.length,
    broken: images.filter(i => !i.complete || i.naturalWidth < 50).length,
    width: document.documentElement.scrollWidth, window: innerWidth,
    fetched: performance.getEntriesByType('resource').map(e => e.name).filter(
      n => !n.startsWith('data:')),
    targets: [...document.querySelectorAll('nav a')].filter(
      a => !document.querySelector(a.getAttribute('href'))).length
  }) + '</pre>'; });</script></body>"""


@pytest.mark.parametrize('width', [1200, 500])
def test_a_browser_shows_all_of_it(browse, segmentation_page, tmp_path,
                                   width):
    text = segmentation_page.read_text(encoding='utf-8')
    text = re.sub(r'<meta http-equiv="Content-Security.*?>', '', text,
                  flags=re.S)
    copy = tmp_path / 'copy.html'
    copy.write_text(text.replace('</body>', LOOK), encoding='utf-8')
    shown = browse(copy, '--dump-dom', f'--window-size={width},900')
    seen = json.loads(re.search('<pre id="seen">(.*?)</pre>', shown)[1])
    assert seen['images'] == len(Page(text).all('img'))
    assert seen['broken'] == 0
    assert seen['fetched'] == []
    assert seen['targets'] == 0
    # nothing sticks out to the right
    assert seen['width'] <= seen['window']


def test_a_browser_paints_it(browse, segmentation_page, tmp_path):
    file = tmp_path / 'page.png'
    browse(segmentation_page, f'--screenshot={file}',
           '--window-size=1200,3000')
    picture = cv2.imread(str(file))
    assert picture.shape == (3000, 1200, 3)
    # curves and pictures have colours
    colourful = np.ptp(picture.astype(int), axis=2) > 60
    assert colourful.sum() > 5000
    rows = np.flatnonzero(colourful.any(1))
    assert rows.max() - rows.min() > 1000
