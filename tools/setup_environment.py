"""Create or repair the environment of one stack; standard library only.

``make demo`` and ``make test`` call this before anything else::

    python3.11 tools/setup_environment.py --stack openmmlab --venv FOLDER

Every step is idempotent, so an interrupted run is continued by the next
one. A finished environment carries a stamp of everything that it was made
from and is left alone until one of those changes.

mmcv has no wheel for plain PyPI torch and is compiled once (6 to 12 minutes
on two cores). pip's own wheel cache is not keyed by torch, so that a wheel
compiled for another torch would be reused and fail at ``import mmcv.ops``;
built wheels are therefore kept in ``$MMIVTUNING_CACHE/wheels``, keyed by
mmcv, torch, CUDA and Python versions.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import venv
from pathlib import Path
from typing import Iterator, List, Tuple

ROOT = Path(__file__).resolve().parent.parent
# Extras of setup.py for everything that the tests and the demo use.
EXTRAS = ('mim', 'saliency', 'archives', 'export', 'docs', 'dev')
STAMP = 'mmivtuning-environment.json'

# The distributions of each stack that need more than `pip install`.
STACKS = {
    'openmmlab':
    dict(mmcv='mmcv', mim='openmim', pythons=((3, 10), (3, 11))),
    'onedl':
    dict(mmcv='onedl-mmcv', mim='onedl-mim', pythons=((3, 11), (3, 13))),
}

# Imported at the end: a wheel compiled for another torch fails here, and not
# in the middle of a training run.
IMPORT_CHECK = ('import torch, mmcv, mmcv.ops, mmengine, mmpretrain.models, '
                'mmseg.models, mmdet.models, cv2, mmivtuning')


class SetupError(RuntimeError):
    """A step that failed, with what the user can do about it."""


def say(text: str) -> None:
    """Print one line at once."""
    print(f'[set-up] {text}', flush=True)


def cache_dir() -> Path:
    """Return the folder of compiled wheels and converted backbones."""
    default = Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache')
    folder = os.environ.get('MMIVTUNING_CACHE') or default / 'mmivtuning'
    return Path(folder).expanduser()


def pinned(stack: str, name: str) -> str:
    """Return ``name==version`` from the stack's pins."""
    path = ROOT / 'requirements' / f'{stack}.txt'
    for line in path.read_text().splitlines():
        requirement = line.split(';')[0].split('#')[0].strip()
        if requirement.partition('==')[0].lower() == name:
            return requirement
    raise SetupError(f'{path} does not pin {name}')


def fingerprint(stack: str) -> str:
    """Hash everything that an environment is made from."""
    digest = hashlib.sha256()
    for path in (Path(__file__), ROOT / 'setup.py',
                 ROOT / 'requirements' / f'{stack}.txt'):
        digest.update(path.read_bytes())
    digest.update(f'{stack} {sys.version} {ROOT}'.encode())
    return digest.hexdigest()


@contextlib.contextmanager
def exclusive(venv_dir: Path) -> Iterator[None]:
    """Let one process at a time work on an environment."""
    venv_dir.parent.mkdir(parents=True, exist_ok=True)
    lock = venv_dir.with_name(venv_dir.name + '.lock')
    with open(lock, 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f'another process is setting up {venv_dir}; waiting for it')
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Environment:
    """One virtual environment and its pins."""

    def __init__(self, stack: str, venv_dir: Path) -> None:
        self.stack = stack
        self.dir = venv_dir
        self.python = venv_dir / 'bin' / 'python'
        self.constraints = ROOT / 'requirements' / f'{stack}.txt'

    def run(self, *arguments: str, quiet: bool = False, **kwargs) -> str:
        """Run the environment's interpreter; return what it printed.

        Raises:
            SetupError: If it fails; ends with the end of its output.
        """
        result = subprocess.run(
            [str(self.python), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **kwargs)
        if result.returncode:
            tail = '\n'.join(result.stdout.splitlines()[-30:])
            raise SetupError(f'`{" ".join(arguments)}` failed:\n{tail}')
        return result.stdout.strip()

    def pip_install(self, *arguments: str) -> None:
        """Install pinned distributions, showing pip's own progress."""
        command = [
            str(self.python), '-m', 'pip', 'install', '--quiet',
            '--disable-pip-version-check', '--root-user-action=ignore',
            '--constraint',
            str(self.constraints), *arguments
        ]
        result = subprocess.run(command)
        if result.returncode:
            raise SetupError(
                f'`{" ".join(command)}` failed; its messages are above. '
                'A network failure is repaired by running the same command '
                'again: finished steps are kept.')

    def create(self) -> None:
        """Make the virtual environment unless it is whole.

        Raises:
            SetupError: If the folder holds other things, which would be
                deleted, or if Python cannot make environments.
        """
        if self.python.exists():
            wanted = '{}.{}'.format(*sys.version_info)
            found = 'no working pip'
            with contextlib.suppress(SetupError, OSError):
                found = self.run(
                    '-c', 'import pip, sys; '
                    'print("{}.{}".format(*sys.version_info))')
            if found == wanted:
                return
            say(f'{self.dir} is made again: expected Python {wanted}, found '
                f"{found or 'none'}")
        if (self.dir.is_dir() and any(self.dir.iterdir())
                and not (self.dir / 'pyvenv.cfg').exists()):
            raise SetupError(
                f'{self.dir} is not a virtual environment, and making one '
                'there would delete what it holds: pass another VENV=')
        try:
            venv.EnvBuilder(clear=True, with_pip=True).create(self.dir)
        except subprocess.CalledProcessError as error:
            raise SetupError(
                f'{sys.executable} cannot make an environment with pip '
                f'({error}); Debian and Ubuntu have that in the package '
                'python3-venv') from error

    def wheel_key(self) -> Tuple[str, str]:
        """Return mmcv's requirement and the folder name of its wheel."""
        requirement = pinned(self.stack, STACKS[self.stack]['mmcv'])
        torch, cuda, tag = self.run(
            '-c', 'import sys, torch; '
            'print(torch.__version__, '
            'f"cu{torch.version.cuda}" if torch.cuda.is_available() '
            'else "cpu", f"cp{sys.version_info[0]}{sys.version_info[1]}")'
        ).splitlines()[-1].split()
        name = requirement.replace('==', '-')
        return requirement, f'{name}_torch-{torch}_{cuda}_{tag}'

    def mmcv_wheel(self, rebuild: bool = False) -> Path:
        """Return the cached mmcv wheel for this torch, built if needed."""
        requirement, key = self.wheel_key()
        folder = cache_dir() / 'wheels' / key
        wheels = sorted(folder.glob('*.whl'))
        if wheels and not rebuild:
            say(f'{requirement}: compiled before, {wheels[0]}')
            return wheels[0]
        say(f'{requirement}: compiling its operators for this torch; this '
            'is the slow step, 6 to 12 minutes on two cores, done once')
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            compile_wheel(self.python, requirement, Path(temporary))
            if folder.exists():
                shutil.rmtree(folder)
            built = Path(temporary) / 'wheel'
            os.replace(built, folder)
        return next(folder.glob('*.whl'))

    def install_mmcv(self, rebuild: bool = False) -> None:
        """Install mmcv with its operators and check that they load."""
        name = STACKS[self.stack]['mmcv']
        version = pinned(self.stack, name).partition('==')[2]
        check = ('import mmcv, mmcv.ops; '
                 f'assert mmcv.__version__ == "{version}", mmcv.__version__')
        wheel = self.mmcv_wheel(rebuild)
        if not rebuild:
            with contextlib.suppress(SetupError):
                self.run('-c', check)
                return
        problem = None
        try:
            self.pip_install('--force-reinstall', '--no-deps', str(wheel))
        except SetupError as error:
            problem = error
        else:
            # Its dependencies, from the pins.
            self.pip_install(name)
            try:
                self.run('-c', check)
            except SetupError as error:
                problem = error
        if problem is not None and rebuild:
            raise problem
        if problem is not None:
            say(f'{wheel} is not usable with this torch: {problem}')
            self.install_mmcv(rebuild=True)


def compile_wheel(python: Path, requirement: str, folder: Path) -> None:
    """Compile ``requirement`` into ``folder/wheel``, reporting progress."""
    log = folder / 'build.log'
    environment = dict(
        os.environ,
        MMCV_WITH_OPS='1',
        CFLAGS='-g0',
        MAX_JOBS=os.environ.get('MAX_JOBS', str(os.cpu_count() or 1)))
    command = [
        str(python), '-m', 'pip', 'wheel', '--verbose', '--no-deps',
        '--no-build-isolation', '--no-cache-dir', '--no-binary', ':all:',
        '--wheel-dir', str(folder / 'wheel'), requirement
    ]
    started = time.monotonic()
    finished = threading.Event()

    def report() -> None:
        while not finished.wait(30):
            steps = re.findall(r'\[(\d+/\d+)\]', log.read_text(
                errors='replace')) if log.exists() else []
            step = f', file {steps[-1]}' if steps else ''
            say(f'  compiling: {time.monotonic() - started:.0f} s{step}')

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        with open(log, 'w') as file:
            result = subprocess.run(
                command, env=environment, stdout=file, stderr=file)
    finally:
        finished.set()
    if result.returncode:
        kept = cache_dir() / 'mmcv-build.log'
        shutil.copy(log, kept)
        tail = '\n'.join(log.read_text(errors='replace').splitlines()[-20:])
        raise SetupError(
            f'compiling {requirement} failed (whole log: {kept}). It needs '
            f'a C++ compiler and the headers of this Python:\n{tail}')
    say(f'  compiled in {time.monotonic() - started:.0f} s')


def check_interpreter(stack: str) -> None:
    """Refuse an interpreter that the stack's torch has no wheels for."""
    low, high = STACKS[stack]['pythons']
    if not low <= sys.version_info[:2] <= high:
        raise SetupError(
            f'the stack {stack} needs Python {low[0]}.{low[1]} to '
            f'{high[0]}.{high[1]}, and {sys.executable} is '
            f'{sys.version.split()[0]}: pass PYTHON=… or STACK=…')


def requirements_of(extras: List[str]) -> str:
    """Return the editable requirement of this checkout with extras."""
    return f'{ROOT}[{",".join(extras)}]'


def set_up(stack: str, venv_dir: Path) -> None:
    """Bring ``venv_dir`` to the state that this checkout describes."""
    check_interpreter(stack)
    environment = Environment(stack, venv_dir)
    stamp = venv_dir / STAMP
    state = dict(stack=stack, fingerprint=fingerprint(stack))
    if stamp.exists() and json.loads(stamp.read_text()) == state:
        say(f'{venv_dir} ({stack}) is ready')
        return
    started = time.monotonic()
    say(f'making {venv_dir}: stack {stack}, Python '
        f'{sys.version.split()[0]}, pins in {environment.constraints}')
    say('1/6 virtual environment')
    environment.create()
    environment.pip_install('pip', 'setuptools', 'wheel', 'ninja', 'psutil')
    say('2/6 torch, torchvision, numpy (the largest download)')
    environment.pip_install('torch', 'torchvision', 'numpy')
    say('3/6 mmcv')
    environment.install_mmcv()
    say('4/6 mmengine, mmsegmentation, mmdetection, mmpretrain, test tools')
    environment.pip_install('--no-build-isolation', '--editable',
                            requirements_of([stack, *EXTRAS]))
    say('5/6 mim')
    # Its own dependencies would downgrade setuptools and requests.
    environment.pip_install('--no-deps', STACKS[stack]['mim'])
    say('6/6 import check')
    environment.run('-c', IMPORT_CHECK, cwd='/')
    temporary = stamp.with_suffix('.tmp')
    temporary.write_text(json.dumps(state))
    os.replace(temporary, stamp)
    say(f'{venv_dir} is ready after {time.monotonic() - started:.0f} s')


def main() -> int:
    """Parse the command line, set up, report a failure in one message."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--stack', choices=sorted(STACKS), required=True)
    parser.add_argument('--venv', type=Path, required=True)
    arguments = parser.parse_args()
    venv_dir = arguments.venv.absolute()
    try:
        with exclusive(venv_dir):
            set_up(arguments.stack, venv_dir)
    except SetupError as error:
        say(f'FAILED: {error}')
        return 1
    except KeyboardInterrupt:
        say('interrupted; run the same command again to continue')
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
