r"""Cut a full checkpoint down to what was trained.

The adapter, in the safetensors format, belongs to the pretrained weights
the training started from. Configs load it with ``load_adapter='FILE'`` and
the hook ``mmivtuning.AdapterHook``::

    python tools/export_adapter.py CONFIG work_dirs/RUN/iter_2000.pth \
        adapter.safetensors
"""

import argparse
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import load_checkpoint

from mmivtuning.engine.adapter import save_adapter


def main() -> None:
    """Read the command line and convert."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file of the training')
    parser.add_argument('checkpoint', help='full checkpoint, trusted: a '
                        'pickle is read')
    parser.add_argument('out', type=Path, help='the file to write')
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    model = MODELS.build(cfg.model)
    load_checkpoint(
        model, args.checkpoint, map_location='cpu', strict=True)
    path = save_adapter(model, args.out, cfg.pretty_text)
    full = Path(args.checkpoint).stat().st_size
    print(f'[adapter] {path}: {path.stat().st_size} bytes, '
          f'{path.stat().st_size / full:.1%} of the checkpoint')


if __name__ == '__main__':
    main()
