"""What trains: declared by modules, never found by names.

A module that trains under a parameter-efficient tuning has a method
``tuned_parameters() -> list[str]`` that lists its own parameters, relative
to itself. Everything that no module declares is frozen.
"""

from typing import Iterable, List, NamedTuple

from torch import nn


class ParameterCount(NamedTuple):
    """Numbers of parameters of a module."""
    trainable: int
    total: int


def declared_parameters(module: nn.Module) -> List[str]:
    """Collect what a module and its submodules declare as trainable.

    Args:
        module (nn.Module): The module to walk.

    Returns:
        list[str]: Names relative to ``module``.

    Raises:
        ValueError: If a declared parameter does not exist.
    """
    names = []
    for path, child in module.named_modules():
        declare = getattr(child, 'tuned_parameters', None)
        if declare is None:
            continue
        own = dict(child.named_parameters())
        for name in declare():
            if name not in own:
                raise ValueError(
                    f'{type(child).__name__} declares the parameter '
                    f'{name!r}, which it does not have')
            names.append(f'{path}.{name}' if path else name)
    return names


def freeze_except(module: nn.Module, names: Iterable[str]) -> None:
    """Freeze a module but for some parameters.

    To be called while a model is built: mmengine wraps it for distributed
    training and makes the optimiser before ``init_weights``.

    Args:
        module (nn.Module): The module, changed in place.
        names (Iterable[str]): What trains, relative to ``module``.

    Raises:
        ValueError: If ``names`` is empty or names an unknown parameter.
    """
    names = set(names)
    if not names:
        raise ValueError(
            f'{type(module).__name__} declares no trainable parameter')
    parameters = dict(module.named_parameters())
    unknown = sorted(names - set(parameters))
    if unknown:
        raise ValueError(
            f'{type(module).__name__} has no parameters {unknown}')
    for name, parameter in parameters.items():
        parameter.requires_grad_(name in names)


def count_parameters(module: nn.Module) -> ParameterCount:
    """Count parameters, each shared one once.

    Args:
        module (nn.Module): A module, possibly on the meta device.

    Returns:
        ParameterCount: ``trainable`` (those with ``requires_grad``) and
        ``total``.
    """
    parameters = list(module.parameters())
    return ParameterCount(
        sum(p.numel() for p in parameters if p.requires_grad),
        sum(p.numel() for p in parameters))
