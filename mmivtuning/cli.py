"""The command ``mmivtuning``, thin over the package."""

import argparse
from typing import Optional, Sequence

from mmivtuning.pairs import check_command


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a command; returns the exit status.

    Args:
        argv (Sequence[str], optional): Arguments. Default: None, those of the
            process.
    """
    parser = argparse.ArgumentParser(
        prog='mmivtuning',
        description='Infrared-visible pairs: see the commands.')
    commands = parser.add_subparsers(
        dest='command', metavar='COMMAND', required=True)
    check = commands.add_parser(
        'check',
        help='find every bad pair of a data set',
        description='Find every bad pair of a data set, before training '
        'does. The exit status is 1 if there are errors.')
    check_command.add_arguments(check)
    check.set_defaults(run=check_command.run)
    args = parser.parse_args(argv)
    return args.run(args)
