"""The built wheel carries what mim needs, and mim finds it there."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

CONFIG = 'vit-tiny-random_segformer_iv_4i_scenes-56x70.py'


@pytest.fixture(scope='module')
def wheel(run, root, tmp_path_factory) -> Path:
    """Build the wheel from a copy, as from a clean checkout."""
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    listed = subprocess.run(
        ['git', 'ls-files', '--cached', '--others', '--exclude-standard'],
        cwd=root,
        check=True,
        stdout=subprocess.PIPE,
        text=True).stdout.split('\n')
    for name in filter(None, listed):
        if (root / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((root / name).read_bytes())
    run(sys.executable,
        '-m',
        'pip',
        'wheel',
        '--no-deps',
        '--no-build-isolation',
        '--wheel-dir',
        folder,
        source,
        cwd=folder)
    return next(folder.glob('*.whl'))


@pytest.fixture(scope='module')
def installed(run, wheel) -> Path:
    """Return an interpreter with the wheel on top of this environment."""
    folder = wheel.parent / 'venv'
    run(sys.executable, '-m', 'venv', '--without-pip', folder, cwd='/')
    python = folder / 'bin/python'
    run(sys.executable,
        '-m',
        'pip',
        '--python',
        python,
        'install',
        '--no-deps',
        '--no-index',
        wheel,
        cwd='/')
    # The packages of this environment, behind the wheel's own folder. The
    # hook of an editable install is not run from a path in a .pth file.
    site = next(folder.glob('lib/python*/site-packages'))
    parent = Path(sysconfig.get_path('purelib'))
    (site / 'parent.pth').write_text(f'{parent}\n')
    # setuptools' own, which gives distutils back to Python 3.12.
    shim = (parent / 'distutils-precedence.pth').read_text()
    (site / 'shim.pth').write_text(shim)
    return python


def test_wheel_contents(wheel, root):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split('/')[0] for name in names}
    assert {top for top in tops if not top.endswith('.dist-info')
            } == {'mmivtuning'}
    for folder in ('configs', 'tools', 'data_prep'):
        shipped = {
            name.partition('/.mim/')[2]
            for name in names if f'/.mim/{folder}/' in name
        }
        here = {
            str(path.relative_to(root))
            for path in (root / folder).rglob('*') if path.is_file()
            and path.suffix in ('.py', '.yml', '.md', '.txt')
        }
        assert here, folder
        assert here <= shipped, here - shipped
    assert 'mmivtuning/.mim/model-index.yml' in names


def test_mim_trains_by_name_from_the_wheel(run, installed, scenes, tmp_path,
                                           detection_toolbox):
    where = run(
        installed,
        '-c',
        'import mmivtuning; print(mmivtuning.__file__)',
        cwd=tmp_path)
    assert str(installed.parent.parent) in where
    package, config = 'mmivtuning', CONFIG
    if detection_toolbox != 'mmdet':
        # The mim of the onedl stack looks for configs in the folder of the
        # first file that a distribution lists, here its metadata: by path.
        shipped = Path(where.strip()).parent / '.mim/configs'
        package, config = 'mmseg', next(shipped.rglob(CONFIG))
    printed = run(
        installed,
        '-m',
        'mim',
        'train',
        package,
        config,
        '--cfg-options',
        'train_cfg.max_iters=2',
        f'train_dataloader.dataset.data_root={scenes}',
        f'val_dataloader.dataset.data_root={scenes}',
        f'test_dataloader.dataset.data_root={scenes}',
        cwd=tmp_path)
    assert 'Iter(train)' in printed or 'mIoU' in printed
