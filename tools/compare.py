r"""Train and compare methods as a study file says.

A study is a YAML file: methods, data sets, seeds, and settings, which are its
lengths. The plan and its time are printed first. Runs are processes of their
own: one that crashes is recorded and the others go on. Interrupt and start
again at will; what is finished stays. Tables and plots are in OUT::

    python tools/compare.py configs/studies/evidence.yml --setting smoke \
        --out work_dirs/evidence/smoke
    python tools/compare.py STUDY --setting small --out OUT --plan

Real pairs are those of the folder MMIVTUNING_REAL_DATA. Exit status: 0, 1 if
runs crashed, 2 if the study cannot be carried out, 130 if it was interrupted.
"""

import argparse
import os
import shutil
import sys
import warnings
from pathlib import Path
from typing import Optional, Sequence

from mmivtuning.evidence.conduct import Conductor
from mmivtuning.evidence.report import SHOWN, write
from mmivtuning.evidence.study import read_study
from mmivtuning.evidence.tables import Outcome


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('study', help='study file')
    parser.add_argument('--out', type=Path, required=True, help='folder')
    parser.add_argument(
        '--setting', help='length of the study; default: its first one')
    parser.add_argument(
        '--jobs', type=int, default=1, help='runs side by side (default: 1)')
    parser.add_argument(
        '--plan', action='store_true', help='print the plan, train nothing')
    parser.add_argument(
        '--report', action='store_true',
        help='write tables and plots of what there is, train nothing')
    parser.add_argument(
        '--publish', type=Path,
        help='folder that gets a copy of the page, the tables and the plots')
    args = parser.parse_args(argv)
    if args.jobs < 1:
        parser.error(f'--jobs must be at least 1, found {args.jobs}')
    return args


def command_of(args: argparse.Namespace) -> str:
    """Return the command as it is repeated, without this machine's paths."""
    setting = f' --setting {args.setting}' if args.setting else ''
    study = Path(os.path.relpath(args.study))
    if '..' in study.parts:
        study = Path(study.name)
    return (f'python tools/compare.py {study.as_posix()}{setting} '
            '--out OUT')


def say(text: str) -> None:
    """Tell the user something at once."""
    print(text, flush=True)


def publish(source: Path, target: Path) -> None:
    """Copy what may be shown to others, and that alone: tables and plots.

    Raises:
        ValueError: If both are one folder.
    """
    if source.resolve() == target.resolve():
        raise ValueError(f'--publish {target} is --out: name another folder')
    target.mkdir(parents=True, exist_ok=True)
    for name in SHOWN:
        (target / name).unlink(missing_ok=True)
        if (source / name).exists():
            shutil.copy2(source / name, target / name)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Carry a study out; returns the exit status."""
    args = parse_args(argv)
    warnings.simplefilter('ignore')  # of the stock packages
    try:
        study = read_study(args.study, args.setting)
        conductor = Conductor(study, args.out, say)
        say(conductor.plan(args.jobs))
        if args.plan:
            return 0
        if not conductor.present:
            raise ValueError('no data set of this setting is there')
        status = 0
        if not args.report:
            try:
                status = 1 if conductor.conduct(args.jobs) else 0
            except KeyboardInterrupt:
                status = 130
        path = write(Outcome(study, conductor), args.out, command_of(args))
        if args.publish is not None:
            publish(args.out, args.publish)
    except (OSError, RuntimeError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    say(f'interrupted: what is finished stays; {path}' if status ==
        130 else f'{path}')
    return status


if __name__ == '__main__':
    sys.exit(main())
