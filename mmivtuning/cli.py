"""The command ``mmivtuning``, thin over the package.

A command is a module with ``add_arguments(parser)`` and ``run(args)``, which
returns the exit status. It is imported only when it is asked for: checking
pairs needs no torch.
"""

import argparse
import sys
from importlib import import_module
from typing import NamedTuple, Optional, Sequence


class Command(NamedTuple):
    """Where a command lives and what its help says."""

    module: str
    help: str
    description: str


COMMANDS = dict(
    check=Command(
        'mmivtuning.pairs.check_command', 'find every bad pair of a data set',
        'Find every bad pair of a data set, before training does. The exit '
        'status is 1 if there are errors.'),
    predict=Command(
        'mmivtuning.apis.predict_command',
        'predict on pairs of your own: two files, folders or videos',
        'Predict on pairs of files: class maps, boxes or what is salient. '
        'Broken pairs are told and passed over.'))


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a command; returns the exit status.

    Args:
        argv (Sequence[str], optional): Arguments. Default: None, those of the
            process.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog='mmivtuning',
        description='Infrared-visible pairs: see the commands.')
    commands = parser.add_subparsers(
        dest='command', metavar='COMMAND', required=True)
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(
            name, help=command.help, description=command.description)
        if argv[:1] == [name]:
            module = import_module(command.module)
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    args = parser.parse_args(argv)
    return args.run(args)
