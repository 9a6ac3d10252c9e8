"""Inference on pairs; the toolbox of a task is imported when it is used."""

from importlib import import_module
from typing import Any, List

# Where each class is: a command line should not wait for torch to print its
# help.
_MODULES = dict(
    PairedDetInferencer='paired_det_inferencer',
    PairedSaliencyInferencer='paired_saliency_inferencer',
    PairedSegInferencer='paired_seg_inferencer')

__all__ = [
    'PairedDetInferencer', 'PairedSaliencyInferencer', 'PairedSegInferencer'
]


def __getattr__(name: str) -> Any:
    """Import a class when it is asked for."""
    if name not in _MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{_MODULES[name]}'), name)


def __dir__() -> List[str]:
    return __all__
