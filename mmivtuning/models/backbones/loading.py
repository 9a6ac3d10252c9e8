"""Strict loading of pretrained weights into IV-tuning backbones.

mmengine's ``Pretrained`` initialisation is not strict: a renamed key stays
at its random value. Here whatever is missing, unexpected or misshapen, for
the frozen part of a backbone, is an error.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader
from torch import Tensor

from ..pretrained import SCHEME

if TYPE_CHECKING:
    from .iv_tuning import IVTuningBackbone


def resize_relative_position_bias(table: Tensor, length: int) -> Tensor:
    """Resize a relative position bias table to another window size.

    Positions are spaced geometrically, as in BEiT and mmpretrain's
    ``resize_relative_position_bias_table``; the interpolation is the cubic
    spline that scipy names as the successor of the removed ``interp2d``.

    Args:
        table (Tensor): Table, shape ((2 * window - 1) ** 2, heads).
        length (int): Rows of the result, (2 * new window - 1) ** 2.

    Returns:
        Tensor: Table, shape (length, heads).

    Raises:
        ValueError: If either is not the table of a square window.
    """
    from scipy.interpolate import RectBivariateSpline
    source, target = round(len(table)**0.5), round(length**0.5)
    if source**2 != len(table) or target**2 != length:
        raise ValueError('relative position bias tables belong to square '
                         f'windows, found {len(table)} and {length} rows')
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        ratio = (low + high) / 2
        reach = (1 - ratio**(source // 2)) / (1 - ratio)
        low, high = (low, ratio) if reach > target // 2 else (ratio, high)
    steps = np.cumsum(ratio**np.arange(source // 2))
    known = np.concatenate((-steps[::-1], [0.], steps))
    wanted = np.arange(target) - target // 2
    values = table.detach().double().cpu().numpy()
    resized = [
        RectBivariateSpline(known, known,
                            head.reshape(source, source))(wanted, wanted)
        for head in values.T
    ]
    return torch.from_numpy(np.stack(resized, -1)).reshape(length,
                                                           -1).to(table)


def read_state_dict(checkpoint: str,
                    map_location: Optional[str] = 'cpu') -> Dict[str, Tensor]:
    """Read the weights in a checkpoint.

    Args:
        checkpoint (str): Path or URI that mmengine can read,
            ``mmivtuning://NAME``, or the path of a ``.safetensors`` file.
        map_location (str, optional): Where tensors go. Defaults to 'cpu'.

    Returns:
        dict[str, Tensor]: The weights, without a wrapper's ``module.``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If ``mmivtuning://NAME`` names no file.
        RuntimeError: If the file is truncated or holds no weights.
    """
    try:
        if checkpoint.endswith('.safetensors'):
            content = _read_safetensors(checkpoint)
        else:
            content = CheckpointLoader.load_checkpoint(checkpoint,
                                                       map_location)
    except FileNotFoundError:
        raise
    except Exception as error:
        if checkpoint.startswith(SCHEME):
            raise
        raise RuntimeError(
            f'{checkpoint} cannot be read as a checkpoint, is it truncated? '
            f'{type(error).__name__}: {error}') from error
    return weights_in(content, checkpoint)


def weights_in(content: Any, source: str) -> Dict[str, Tensor]:
    """Find the weights in what a checkpoint holds.

    Args:
        content: What was read.
        source (str): The checkpoint, for messages.

    Returns:
        dict[str, Tensor]: The weights, without a wrapper's ``module.``.

    Raises:
        RuntimeError: If there are none.
    """
    for name in ('state_dict', 'model', 'module', 'teacher'):
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    weights = {
        key[len('module.'):] if key.startswith('module.') else key: value
        for key, value in (content.items() if isinstance(content, dict) else
                           ()) if isinstance(value, Tensor)
    }
    if not weights:
        raise RuntimeError(f'{source} holds no weights: expected a dict '
                           "of tensors, or one under 'state_dict'")
    return weights


def _read_safetensors(path: str) -> Dict[str, Tensor]:
    """Read a file in the safetensors format."""
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path} does not exist')
    from safetensors.torch import load_file
    return load_file(path)


def load_pretrained(backbone: 'IVTuningBackbone',
                    checkpoint: str,
                    prefix: Optional[str] = None,
                    map_location: Optional[str] = 'cpu') -> None:
    """Load a checkpoint of the stock backbone, or of this one, strictly.

    Ignored in the file: the rest of a whole model, ``head.*``, a final norm
    that is not used, index and mask buffers. It may lack Swin's norms that no
    classifier has, and the added parameters, all of them at once.

    Args:
        backbone (nn.Module): An IV-tuning backbone.
        checkpoint (str): Path or URI, see :func:`read_state_dict`.
        prefix (str, optional): Prefix of the backbone's keys. None finds
            ``'backbone.'`` or nothing. Defaults to None.
        map_location (str, optional): Where tensors go. Defaults to 'cpu'.

    Raises:
        FileNotFoundError: If there is no such file.
        RuntimeError: If the file is truncated, or its keys, shapes or values
            do not fit.
    """
    weights = read_state_dict(checkpoint, map_location)
    if prefix is None:
        whole = any(key.startswith('backbone.') for key in weights)
        prefix = 'backbone.' if whole else ''
    elif prefix and not prefix.endswith('.'):
        prefix += '.'
    weights = {
        key[len(prefix):]: value
        for key, value in weights.items() if key.startswith(prefix)
    }
    problems = _not_finite(weights)
    if not weights:
        problems.append(f'no key starts with {prefix!r}')
    if not problems:
        problems = _load(backbone, weights)
    if problems:
        raise RuntimeError(f'{checkpoint} does not fit '
                           f'{type(backbone).__name__}:\n  ' +
                           '\n  '.join(problems))
    print_log(f'{type(backbone).__name__}: loaded {checkpoint}', 'current')


def _not_finite(weights: Dict[str, Tensor]) -> List[str]:
    """Describe weights that are NaN or infinite."""
    bad = [
        key for key, value in weights.items()
        if value.is_floating_point() and not torch.isfinite(value).all()
    ]
    return [f'not finite: {", ".join(bad)}'] if bad else []


def _load(backbone: 'IVTuningBackbone',
          weights: Dict[str, Tensor]) -> List[str]:
    """Load what fits, and describe what does not."""
    own = set(backbone.state_dict())
    added = own - backbone.stock_keys
    given = added & set(weights)
    try:
        missing, unexpected = backbone.load_state_dict(weights, strict=False)
    except Exception as error:  # misshapen, or impossible to resize
        return [str(error)]
    missing = [
        key for key in missing
        if not (backbone.may_lack(key) if key in
                backbone.stock_keys else not _group(key, given))
    ]
    unexpected = [
        key for key in unexpected
        if not (key.startswith('head.') or backbone.may_ignore(key))
    ]
    problems = []
    if missing:
        problems.append(f'missing: {", ".join(missing)}')
    if unexpected:
        problems.append(f'unexpected: {", ".join(unexpected)}')
    return problems


def _group(key: str, given: set) -> bool:
    """Whether a file has something of the added part that a key is of."""
    infrared = key.startswith('infrared_embed.')
    return any(
        other.startswith('infrared_embed.') == infrared for other in given)
