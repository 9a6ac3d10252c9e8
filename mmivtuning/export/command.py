"""The command line of ``tools/export_onnx.py``: ``add_arguments``, ``run``."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from mmivtuning.cli import describe
from mmivtuning.engine.data_root import parse_options, read_config

EPILOG = """\
The file is compared with PyTorch at several sizes before it appears under its
name; one that disagrees is not left. docs/export.md says how it is run.

exit status: 0 done; 2 not exported, standard error says why.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add('config', help='config file of a segmentation or saliency model')
    add('weights', help='a full checkpoint (trusted: a pickle is read), or '
        'an adapter, *.safetensors')
    add('out', type=Path, help='the file to write, *.onnx, or *.pt2 for a '
        'program of torch.export')
    add('--adapter', help='an adapter, put on the weights')
    add('--size', type=int, nargs=2, metavar=('H', 'W'),
        help='rows and columns of the input (default: those that the data '
        'preprocessor of the config crops or pads to, if it does)')
    add('--dynamic', action='store_true',
        help='any rows and columns; --size is one more size to compare at')
    add('--output', choices=['logits', 'labels', 'saliency'],
        help='default: saliency of a model with one logit, else logits')
    add('--without-preprocessing', action='store_true',
        help='the input is float32 (B, 4, H, W), R, G, B, infrared, '
        'normalised; else uint8 (B, H, W, 4), B, G, R, infrared')
    add('--missing', choices=['visible', 'infrared'],
        help='export a model that does not look at that modality')
    add('--tolerance', type=float, default=1e-4, metavar='DIFFERENCE',
        help='largest difference from PyTorch, times the largest logit where '
        'that is more than 1 (default: %(default)s)')
    add('--opset', type=int, default=17, metavar='VERSION',
        help="of ONNX's operators (default: %(default)s)")
    add('--cfg-options', nargs='+', metavar='KEY=VALUE', default=[],
        help='changes of the config')


def run(args: argparse.Namespace) -> int:
    """Export; returns the exit status, 0 or 2."""
    try:
        _export(args)
        return 0
    except Exception as error:
        sys.stderr.write(f'error: {describe(error)}\n')
        return 2


def _export(args: argparse.Namespace) -> None:
    """Build the model, export it and say what was written."""
    for name in ('config', 'weights', 'adapter'):
        path = getattr(args, name)
        if path is not None and not os.path.isfile(path):
            raise FileNotFoundError(f"{name}: no such file: '{path}'")
    if args.out.suffix not in ('.onnx', '.pt2'):
        raise ValueError(f"out: '{args.out}' must end in .onnx or .pt2")
    if not args.tolerance > 0:
        raise ValueError(f'--tolerance must be greater than 0, found '
                         f'{args.tolerance}')
    from mmivtuning.export.program import NOT_DYNAMIC
    from mmivtuning.export.requirements import NO_DETECTION
    if args.dynamic and args.out.suffix == '.pt2':
        raise ValueError(NOT_DYNAMIC)
    cfg = read_config(args.config, parse_options(args.cfg_options))
    if cfg.get('default_scope') == 'mmdet':
        raise ValueError(NO_DETECTION.format(args.config))
    model = _model(cfg, args)
    size = args.size or _configured_size(model)
    settings = dict(
        size=size,
        output=args.output,
        with_preprocessing=not args.without_preprocessing,
        tolerance=args.tolerance)
    if args.out.suffix == '.onnx':
        from mmivtuning.export import export_onnx
        report = export_onnx(
            model,
            args.out,
            dynamic=args.dynamic,
            opset=args.opset,
            **settings)
    else:
        from mmivtuning.export import export_program
        report = export_program(model, args.out, **settings)
    sys.stdout.write(f'[export] {report.path}: '
                     f'{report.path.stat().st_size} bytes, {report.output}\n')
    for case, difference in report.differences.items():
        sys.stdout.write(f'[export] {case} (B x H x W): differs from PyTorch '
                         f'by {difference:.1e}\n')


def _model(cfg: Any, args: argparse.Namespace) -> Any:
    """Build the model and load its weights, as for predictions."""
    from mmivtuning.apis import PairedSegInferencer
    return PairedSegInferencer(
        cfg,
        args.weights,
        device='cpu',
        adapter=args.adapter,
        missing=args.missing,
        show_progress=False).model


def _configured_size(model: Any) -> Any:
    """Return the size that a config is about, None if it names none."""
    if model.test_cfg.get('mode', 'whole') == 'slide':
        return tuple(model.test_cfg['crop_size'])
    size = getattr(model.data_preprocessor, 'size', None)
    return None if size is None else tuple(size)
