"""The command ``mmivtuning prompt-maps``: pictures of prompts."""

import argparse
from pathlib import Path
from typing import List, Tuple

import numpy as np
from rich.table import Table

from mmivtuning.engine.data_root import read_model_config
from mmivtuning.pairs.reporting import encode_png, write_atomically

from .command_line import (
    add_common_arguments,
    folders_of,
    note,
    show,
    write_csv,
)
from .inputs import PairSource
from .models import AnalysedModel, parse_spec
from .prompt_maps import check_prompts, draw_prompts, prompt_norms

HEADER = ('pair', 'layer', 'prompt_mean', 'prompt_max', 'change_mean',
          'change_max')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        'model', metavar='CONFIG[:CHECKPOINT]', help="a model of tuning='iv'")
    add_common_arguments(parser, max_pairs=4, with_batches=False)


def run(args: argparse.Namespace) -> int:
    """Draw the prompts of each pair and write their means; returns 0."""
    spec = parse_spec(args.model)
    cfg = read_model_config(spec.config, args.cfg_options)
    source = PairSource(cfg, folders_of(args), args.max_pairs)
    model = AnalysedModel(cfg, spec.checkpoint, args.device, args.missing,
                          args.seed)
    check_prompts(model.backbone)
    if spec.checkpoint is None:
        note('without a checkpoint the prompts are random')
    rows = []
    for number, (name, image) in enumerate(source, 1):
        norms = prompt_norms(model, image)
        picture = draw_prompts(image, norms)
        path = args.out / f'{number:04}_{Path(name).stem}.png'
        write_atomically(
            path, encode_png(np.ascontiguousarray(picture[..., ::-1])))
        rows += [(name, entry.layer, float(entry.prompt.mean()),
                  float(entry.prompt.max()), float(entry.change.mean()),
                  float(entry.change.max())) for entry in norms]
    write_csv(args.out / 'prompt_norms.csv', HEADER, rows)
    show(_table(rows, len(source)))
    return 0


def _table(rows: List[Tuple], pairs: int) -> Table:
    """Make the table that is printed."""
    table = Table(title=f'Norm of the prompt and of what it adds, a token, '
                  f'mean over {pairs} pairs')
    table.add_column('layer')
    table.add_column('prompt', justify='right')
    table.add_column('change', justify='right')
    for layer in dict.fromkeys(row[1] for row in rows):
        chosen = [row for row in rows if row[1] == layer]
        table.add_row(layer, *(f'{np.mean([row[at] for row in chosen]):.4g}'
                               for at in (2, 4)))
    return table
