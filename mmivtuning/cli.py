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


COMMANDS = {
    'check':
    Command(
        'mmivtuning.pairs.check_command', 'find every bad pair of a data set',
        'Find every bad pair of a data set, before training does. The exit '
        'status is 1 if there are errors.'),
    'predict':
    Command(
        'mmivtuning.apis.predict_command',
        'predict on pairs of your own: two files, folders or videos',
        'Predict on pairs of files: class maps, boxes or what is salient. '
        'Broken pairs are told and passed over.'),
    'params':
    Command(
        'mmivtuning.reports.params_command',
        'parameters and operations of a model, part by part',
        'Parameters of every part of a model, what of them trains, and the '
        'operations for one pair.'),
    'report':
    Command(
        'mmivtuning.reports.report_command',
        'write a page about a run: curves, figures, samples',
        'Write one HTML file about a run of the trainer: curves, metrics, '
        'classes, best and worst samples, parameters, environment.'),
    'rank':
    Command(
        'mmivtuning.analysis.rank_command',
        'feature rank of models by layer, side by side',
        'Share of the variance that the first five principal components of '
        'the tokens explain, and effective rank, after each layer.'),
    'spectrum':
    Command(
        'mmivtuning.analysis.spectrum_command',
        'frequencies of both modalities, in images and token maps',
        'Amplitude spectrum of both modalities and their energy in three '
        'bands, in the images and before and after the linear projection '
        'and the convolution of a model.'),
    'prompt-maps':
    Command(
        'mmivtuning.analysis.prompt_maps_command',
        'pictures of the prompts of a model by layer',
        'Pictures of the norm of the prompt of every token, by layer.'),
}


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a command; returns the exit status.

    What a command raises ends it with one line and the status 2, an
    interruption with 130.

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
    try:
        args = parser.parse_args(argv)
        return args.run(args)
    except KeyboardInterrupt as error:
        sys.stderr.write(': '.join(['interrupted', *error.args]) + '\n')
        return 130
    # Stock models and data sets raise whatever a config leads them to.
    except Exception as error:
        sys.stderr.write(f'error: {describe(error)}\n')
        return 2


def describe(error: Exception) -> str:
    """Say in a line what went wrong; its type, if the text does not tell."""
    if isinstance(error, (ImportError, OSError, RuntimeError, ValueError)):
        return str(error)
    return f'{type(error).__name__}: {error}'
