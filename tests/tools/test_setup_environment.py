"""The set-up script, without setting anything up."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def setup_environment(load_tool):
    return load_tool('setup_environment')


@pytest.fixture
def environment(setup_environment, tmp_path):
    return setup_environment.Environment('openmmlab', tmp_path / 'venv')


@pytest.fixture
def made(setup_environment, monkeypatch):
    """Folders that a virtual environment was made in."""
    folders = []
    monkeypatch.setattr(
        setup_environment.venv.EnvBuilder, 'create',
        lambda self, folder: folders.append(Path(folder)))
    return folders


def fake_python(environment, version):
    """An interpreter that says what `create` asks it for."""
    environment.python.parent.mkdir(parents=True)
    (environment.dir / 'pyvenv.cfg').write_text('')
    environment.python.write_text(f'#!/bin/sh\necho "{version}"\n')
    environment.python.chmod(0o755)


def test_a_folder_of_other_things_is_not_cleared(setup_environment,
                                                 environment, made):
    (environment.dir / 'thesis').mkdir(parents=True)
    with pytest.raises(setup_environment.SetupError, match='not a virtual'):
        environment.create()
    assert (environment.dir / 'thesis').is_dir()
    assert made == []


def test_a_whole_environment_is_kept(environment, made):
    fake_python(environment, '{}.{}'.format(*sys.version_info))
    environment.create()
    assert made == []


@pytest.mark.parametrize('version', ['2.7', ''])
def test_one_of_another_interpreter_is_made_again(environment, made, version):
    fake_python(environment, version)
    environment.create()
    assert made == [environment.dir]


def test_a_half_made_environment_is_made_again(environment, made):
    environment.dir.mkdir()
    (environment.dir / 'pyvenv.cfg').write_text('')
    environment.create()
    assert made == [environment.dir]


def test_absent_ensurepip_is_explained(setup_environment, environment,
                                       monkeypatch):

    def fail(self, folder):
        raise setup_environment.subprocess.CalledProcessError(1, 'ensurepip')

    monkeypatch.setattr(setup_environment.venv.EnvBuilder, 'create', fail)
    with pytest.raises(setup_environment.SetupError, match='python3-venv'):
        environment.create()


@pytest.mark.parametrize('name', ['XDG_CACHE_HOME', 'MMIVTUNING_CACHE'])
def test_an_empty_variable_is_no_cache_folder(setup_environment, monkeypatch,
                                              name):
    from mmivtuning.models.pretrained import cache_dir
    for other in ('XDG_CACHE_HOME', 'MMIVTUNING_CACHE'):
        monkeypatch.delenv(other, raising=False)
    default = setup_environment.cache_dir()
    monkeypatch.setenv(name, '')
    assert setup_environment.cache_dir() == default == cache_dir()


def test_a_bad_wheel_of_the_cache_is_compiled_again(setup_environment,
                                                    environment, monkeypatch):
    installed, rebuilt = [], []

    def mmcv_wheel(self, rebuild=False):
        rebuilt.append(rebuild)
        return Path('good.whl' if rebuild else 'bad.whl')

    def pip_install(self, *arguments):
        if arguments[-1] == 'bad.whl':
            raise setup_environment.SetupError('bad zip file')
        installed.append(arguments[-1])

    def run(self, *arguments, **kwargs):
        if 'good.whl' not in installed:
            raise setup_environment.SetupError('no mmcv')
        return ''

    for function in (mmcv_wheel, pip_install, run):
        monkeypatch.setattr(setup_environment.Environment, function.__name__,
                            function)
    environment.install_mmcv()
    assert rebuilt == [False, True]
    assert installed == ['good.whl', 'mmcv']


def test_an_installed_mmcv_of_another_version_is_replaced(
        setup_environment, environment, monkeypatch):
    asked, installed = [], []
    monkeypatch.setattr(setup_environment.Environment, 'mmcv_wheel',
                        lambda self, rebuild=False: Path('wheel.whl'))
    monkeypatch.setattr(setup_environment.Environment, 'pip_install',
                        lambda self, *a: installed.append(a[-1]))

    def run(self, *arguments, **kwargs):
        asked.append(arguments[-1])
        return ''

    monkeypatch.setattr(setup_environment.Environment, 'run', run)
    environment.install_mmcv()
    pin = setup_environment.pinned('openmmlab', 'mmcv').split('==')[1]
    assert installed == []
    assert pin in asked[0]


@pytest.mark.parametrize('stack', ['openmmlab', 'onedl'])
def test_pins_are_those_of_the_extras(setup_environment, stack):
    text = (ROOT / 'setup.py').read_text()
    mmcv = setup_environment.STACKS[stack]['mmcv']
    for name in ('torch', 'torchvision', mmcv):
        assert f"'{setup_environment.pinned(stack, name)}'" in text
