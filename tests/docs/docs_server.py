"""Parse and run the commands of the documentation, in a process of its own.

The toolboxes are imported once; each command then runs in a fork, as its
script would in a new process. ``mim train`` and ``mim test`` run the script
that mim would run, with its arguments: mim itself, as written, is tested in
``tests/integration/test_mim.py``.
"""

import argparse
import importlib.util
import json
import os
import re
import runpy
import shlex
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 240
MODULES = dict(
    mmseg='mmseg',
    mmdet='mmdet',
    mmdetection='mmdet',
    mmpretrain='mmpretrain',
    mmivtuning='mmivtuning')


class Client:
    """The side of the tests.

    Args:
        process (subprocess.Popen): The server.
    """

    def __init__(self, process: Any) -> None:
        self.process = process

    def ask(self, mode: str, arguments: Sequence[str], folder: Path,
            environment: Optional[Dict[str, str]] = None) -> str:
        """Have a command parsed ('parse') or run ('run', 'python').

        Returns:
            str: What it printed.
        """
        request = dict(
            mode=mode,
            arguments=list(arguments),
            folder=str(folder),
            environment=environment or {})
        self.process.stdin.write(json.dumps(request) + '\n')
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert answer['status'] == 0, (
            f"{mode}: {shlex.join(arguments)}\n{answer['output'][-6000:]}")
        return answer['output']

    def close(self) -> None:
        """Have the server end.

        Told by an empty line: processes that tests have forked may hold the
        pipe, so that its end would not reach the server.
        """
        self.process.stdin.write('\n')
        self.process.stdin.close()
        self.process.wait(timeout=30)


class Parsed(BaseException):
    """Thrown when a script's parser has accepted all of its arguments."""


def _stop_after_parsing() -> None:
    """Let every argument parser end the script once all is consumed."""
    parse = argparse.ArgumentParser.parse_known_args
    consumed = 0

    def parse_known_args(self: Any, args: Any = None,
                         namespace: Any = None) -> Tuple[Any, List[str]]:
        nonlocal consumed
        count = len(sys.argv) - 1 if args is None else len(args)
        result = parse(self, args, namespace)
        # The parser of a subcommand is called by that of the command.
        if namespace is None:
            consumed += count
            if result[1]:
                self.error(f'unrecognized arguments: {result[1]}')
            if consumed >= len(sys.argv) - 1:
                raise Parsed
        return result

    argparse.ArgumentParser.parse_known_args = parse_known_args


def _run_script(script: Path, arguments: Sequence[str]) -> None:
    if not script.is_file():
        raise FileNotFoundError(f'{script} does not exist')
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.resolve().parent))
    runpy.run_path(str(script), run_name='__main__')


def _python(arguments: List[str], parse: bool) -> None:
    """What ``python ARGUMENTS`` does."""
    if arguments[0] == '-c':
        code = compile(arguments[1], '-c', 'exec')
        if not parse:
            exec(code, dict(__name__='__main__'))
    elif arguments[0] == '-m':
        module, rest = arguments[1], arguments[2:]
        if module == 'mim':
            _mim(rest, parse)
        elif module == 'mmivtuning':
            _command(rest)
        elif module == 'sphinx':
            from sphinx.cmd.build import get_parser
            get_parser().parse_args(rest)
            assert parse, 'the documentation is built in test_build.py'
        elif module == 'pytest':
            assert parse, 'tests run by themselves'
            missing = [name for name in rest if name.startswith('tests/')
                       and not Path(name.split('::')[0]).exists()]
            assert not missing, f'no tests in {missing}'
        else:
            raise ValueError(f'python -m {module} is not known here')
    else:
        _run_script(Path(arguments[0]), arguments[1:])


def _command(arguments: List[str]) -> None:
    """What ``mmivtuning ARGUMENTS`` does."""
    from mmivtuning.cli import main
    sys.argv = ['mmivtuning', *arguments]
    sys.exit(main())


def _mim(arguments: List[str], parse: bool) -> None:
    """What ``mim ARGUMENTS`` does."""
    name, rest = arguments[0], arguments[1:]
    command = importlib.import_module(f'mim.commands.{name}').cli
    found = command.make_context(name, rest).params
    if name == 'download':
        assert parse, 'nothing is fetched in tests'
        return
    package, others = found['package'], list(found['other_args'])
    module = MODULES[package]
    folder = Path(importlib.util.find_spec(module).origin).parent
    tools = ROOT if module == 'mmivtuning' else folder / '.mim'
    if name == 'run':
        assert parse, 'not run here'
        script = tools / 'tools' / f"{found['command']}.py"
    else:
        script = tools / 'tools' / f'{name}.py'
        before = [found['config']]
        if name == 'test':
            assert found['checkpoint'], 'mim test needs --checkpoint'
            before.append(found['checkpoint'])
        launcher = found.get('launcher', 'none')
        others = [*before, '--launcher', launcher, *others]
        assert parse or launcher == 'none', 'no launcher in tests'
    _run_script(script, others)


def _make(arguments: List[str], parse: bool) -> None:
    """Check targets and variables of ``make ARGUMENTS``."""
    assert parse, 'make sets an environment up'
    text = (ROOT / 'Makefile').read_text()
    targets = re.findall(r'^([a-z-]+):.*##', text, re.MULTILINE)
    for argument in arguments:
        variable, equals, _ = argument.partition('=')
        if equals:
            assert re.search(rf'^\s*{variable}\s*\?=', text, re.MULTILINE) or (
                variable == 'STACK'), f'make knows no {variable}'
        else:
            assert argument in targets, f'make has no target {argument}'


def _pip(arguments: List[str], parse: bool) -> None:
    """Check the arguments of ``pip ARGUMENTS`` and extras of ours."""
    assert parse, 'nothing is installed in tests'
    from pip._internal.commands import create_command
    _, names = create_command(arguments[0]).parser.parse_args(arguments[1:])
    setup = (ROOT / 'setup.py').read_text()
    for name in names:
        found = re.search(r'mmivtuning\[(.+)\]', name)
        for extra in found[1].split(',') if found else ():
            assert f"'{extra}': [" in setup, f'setup.py has no extra {extra}'


def _torchrun(arguments: List[str], parse: bool) -> None:
    """Check the arguments of ``torchrun ARGUMENTS`` and of its script."""
    assert parse, 'no launcher in tests'
    from torch.distributed.run import get_args_parser
    # Numbers of a machine have names in the documentation.
    arguments = ['0' if value == 'N' else value for value in arguments]
    known = get_args_parser().parse_args(arguments)
    _stop_after_parsing()
    _run_script(Path(known.training_script), known.training_script_args)


def _any(arguments: List[str], parse: bool) -> None:
    """A program of the system: there is nothing to check."""
    assert parse, f'{arguments} cannot run here'


PROGRAMS: Dict[str, Callable[[List[str], bool], None]] = dict(
    python=_python, mim=_mim, make=_make, pip=_pip, torchrun=_torchrun,
    mmivtuning=lambda arguments, parse: _command(arguments),
    cd=_any, zip=_any)


def serve(request: dict) -> None:
    """Do what was asked for, in the process of a command."""
    os.chdir(request['folder'])
    os.environ.update(request['environment'])
    sys.path[:0] = [
        str(Path(folder).resolve()) for folder in
        request['environment'].get('PYTHONPATH', '').split(':') if folder
    ]
    mode, arguments = request['mode'], request['arguments']
    if mode == 'python':
        exec(compile(arguments[0], 'block', 'exec'), dict(__name__='block'))
        return
    if arguments[0] not in PROGRAMS:
        raise ValueError(f'{arguments[0]} is no program that is known here')
    if mode == 'parse' and arguments[0] != 'torchrun':
        _stop_after_parsing()
    PROGRAMS[arguments[0]](arguments[1:], mode == 'parse')


def main() -> None:
    """Answer requests, one a line."""
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    import mmdet.datasets
    import mmdet.models  # noqa: F401
    import mmseg.datasets
    import mmseg.models  # noqa: F401

    import mmivtuning.det
    import mmivtuning.engine
    import mmivtuning.seg  # noqa: F401
    for line in iter(sys.stdin.readline, ''):
        if not line.strip():
            break
        with tempfile.TemporaryFile('w+') as output:
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    signal.alarm(SECONDS)
                    os.dup2(output.fileno(), 1)
                    os.dup2(output.fileno(), 2)
                    serve(json.loads(line))
                    status = 0
                except Parsed:
                    status = 0
                except SystemExit as end:
                    status = end.code if isinstance(end.code, int) else int(
                        end.code is not None)
                    if isinstance(end.code, str):
                        sys.stderr.write(end.code)
                except BaseException:
                    traceback.print_exc()
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(status)
            _, found = os.waitpid(child, 0)
            output.seek(0)
            answers.write(json.dumps(dict(
                status=found, output=output.read())) + '\n')
            answers.flush()


if __name__ == '__main__':
    main()
