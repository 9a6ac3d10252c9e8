"""Adapters: checkpoints of what trains, without its pretrained base.

A file in the safetensors format: trained parameters, and buffers such as
the statistics of batch normalisation. Its header has a fingerprint of the
frozen parameters it belongs to; with others it is refused. No pickle is
read.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

import mmengine
import torch
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from mmivtuning.pairs.layout import atomic_file
from mmivtuning.version import __version__

FORMAT = 'mmivtuning.adapter'


def _library() -> Any:
    """Import safetensors, or say what to install."""
    try:
        import safetensors.torch
    except ImportError as error:
        raise ImportError('adapters need safetensors: pip install '
                          'safetensors') from error
    return safetensors


def _unwrapped(model: nn.Module) -> nn.Module:
    """Take a model out of wrappers for distributed training."""
    while is_model_wrapper(model):
        model = model.module
    return model


def frozen_parameters(model: nn.Module) -> Dict[str, Tensor]:
    """Collect the parameters that do not train, by name, sorted."""
    return {
        name: parameter.detach()
        for name, parameter in sorted(model.named_parameters())
        if not parameter.requires_grad
    }


def fingerprint(model: nn.Module) -> str:
    """Identify the frozen parameters of a model.

    It covers name, shape, type and bytes of each, and depends neither on the
    file they came in nor on the device they are on.

    Args:
        model (nn.Module): The model, its pretrained weights loaded.

    Returns:
        str: A SHA-256, in hexadecimal.
    """
    digest = hashlib.sha256()
    for name, value in frozen_parameters(_unwrapped(model)).items():
        value = value.cpu().contiguous()
        digest.update(f'{name} {tuple(value.shape)} {value.dtype}\n'.encode())
        # bytes of any type, bfloat16 included, which numpy does not have
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def adapter_state(model: nn.Module) -> Dict[str, Tensor]:
    """Collect what an adapter holds: all state that is not frozen.

    Buffers that a backbone computes for itself are left out.

    Args:
        model (nn.Module): The model.

    Returns:
        dict[str, Tensor]: Copies on the CPU, by name.
    """
    model = _unwrapped(model)
    frozen = frozen_parameters(model)
    computed = tuple(
        f'{path}.{name}' if path else name
        for path, module in model.named_modules()
        for end in getattr(module, 'computed_buffers', ())
        for name, _ in module.named_buffers(remove_duplicate=False)
        if name.endswith(end))
    left_out = {*frozen, *computed}
    return {
        name: value.detach().cpu().clone().contiguous()
        for name, value in model.state_dict().items() if name not in left_out
    }


def tuning_settings(model: nn.Module) -> Dict[str, Dict[str, Any]]:
    """Collect what the backbones of a model compute besides their weights."""
    return {
        path: module.tuning_settings()
        for path, module in _unwrapped(model).named_modules()
        if hasattr(module, 'tuning_settings')
    }


def save_adapter(model: nn.Module,
                 path: Union[str, Path],
                 config: Optional[str] = None,
                 **meta: Any) -> Path:
    """Write the adapter of a model; a file appears whole or not at all.

    Args:
        model (nn.Module): The model.
        path (str | Path): The file.
        config (str, optional): The text of the config. Defaults to None.
        **meta: More for the header: numbers and texts.

    Returns:
        Path: The file.
    """
    library = _library()
    path = Path(path)
    backbone = getattr(_unwrapped(model), 'backbone', _unwrapped(model))
    header = dict(
        meta,
        format=FORMAT,
        backbone=type(backbone).__name__,
        fingerprint=fingerprint(model),
        config=config or '',
        tuning=json.dumps(tuning_settings(model)),
        versions=json.dumps(
            dict(
                mmivtuning=__version__,
                torch=str(torch.__version__),
                mmengine=mmengine.__version__)))
    with atomic_file(path, clear=False) as part:
        library.torch.save_file(
            adapter_state(model), str(part),
            {name: str(value)
             for name, value in header.items()})
    return path


def read_header(path: Union[str, Path]) -> Dict[str, str]:
    """Read the header of an adapter.

    Args:
        path (str | Path): The file.

    Returns:
        dict[str, str]: ``backbone``, ``fingerprint``, ``config``,
        ``tuning``, ``versions`` and what else was given.

    Raises:
        FileNotFoundError: If there is no such file.
        RuntimeError: If it is no adapter, or its header is damaged.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path} does not exist: expected an adapter')
    try:
        with _library().safe_open(str(path), 'pt') as file:
            header = file.metadata() or {}
    except ImportError:
        raise
    except Exception as error:
        raise RuntimeError(
            f'{path} cannot be read as safetensors, is it truncated, or a '
            f'checkpoint of torch.save? {type(error).__name__}: {error}'
        ) from error
    if header.get('format') != FORMAT:
        raise RuntimeError(f'{path} is a safetensors file, but no adapter: '
                           f'its format is {header.get("format")!r}, '
                           f'expected {FORMAT!r}')
    damaged = [key for key in ('backbone', 'fingerprint')
               if key not in header]
    try:
        json.loads(header.get('tuning', 'null'))  # early files have none
    except ValueError:
        damaged.append('tuning')
    if damaged:
        raise RuntimeError(f'{path} has a damaged header: {damaged} absent, '
                           'or not as save_adapter writes it')
    return header


def load_adapter(model: nn.Module, path: Union[str, Path]) -> Dict[str, str]:
    """Load an adapter into a model that has its pretrained weights.

    Args:
        model (nn.Module): The model, changed in place; not at all if the
            adapter does not fit.
        path (str | Path): The file.

    Returns:
        dict[str, str]: The header.

    Raises:
        FileNotFoundError: If there is no such file.
        RuntimeError: If it is no adapter, or belongs to other frozen
            weights or to a tuning with other options, or its keys, shapes,
            types or values do not fit.
    """
    header = read_header(path)
    model = _unwrapped(model)
    state = _library().torch.load_file(str(path))
    problems = _problems(adapter_state(model), state)
    tuning = tuning_settings(model)
    made_for = json.loads(header.get('tuning', 'null'))
    if made_for not in (None, tuning):
        problems.append(f'made for {made_for}, the model has {tuning}')
    own = fingerprint(model)
    if header['fingerprint'] != own:
        problems.append(
            f'made for other frozen weights of a {header["backbone"]}: '
            f'fingerprint {header["fingerprint"][:16]}, the model has '
            f'{own[:16]}. Were the same pretrained weights loaded before?')
    if problems:
        raise RuntimeError(f'adapter {path} does not fit '
                           f'{type(model).__name__}:\n  ' +
                           '\n  '.join(problems))
    known = model.state_dict()
    with torch.no_grad():
        for name, value in state.items():
            known[name].copy_(value)
    return header


def _problems(expected: Dict[str, Tensor],
              found: Dict[str, Tensor]) -> List[str]:
    """Describe how the tensors of a file differ from those of a model."""
    problems = []
    for what, names in (('missing', set(expected) - set(found)),
                        ('unexpected', set(found) - set(expected))):
        if names:
            problems.append(f'{what}: {", ".join(sorted(names))}')
    for name in sorted(set(expected) & set(found)):
        mine, value = expected[name], found[name]
        if mine.shape != value.shape or mine.dtype != value.dtype:
            problems.append(
                f'{name} is {tuple(value.shape)} {value.dtype}, expected '
                f'{tuple(mine.shape)} {mine.dtype}')
        elif (value.is_floating_point()
              and not torch.isfinite(value).all()):
            problems.append(f'not finite: {name}')
    return problems
