"""Computing a part of a network again instead of keeping its tensors."""

from contextlib import nullcontext
from typing import Any, Callable, List, Tuple

import torch
import torch.utils.checkpoint as cp
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class RunningStatisticsKept:
    """Context in which BatchNorm layers leave their running statistics.

    They update copies. It can be entered again, once it was left.

    Args:
        module (nn.Module): What the layers are in.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.kept: List[Tuple[nn.Module, str, Tensor]] = []

    def __enter__(self) -> None:
        self.kept = [(norm, name, buffer) for norm in self.module.modules()
                     if isinstance(norm, _BatchNorm)
                     for name, buffer in norm.named_buffers(recurse=False)]
        for norm, name, buffer in self.kept:
            setattr(norm, name, buffer.clone())

    def __exit__(self, *_: Any) -> None:
        for norm, name, buffer in self.kept:
            setattr(norm, name, buffer)
        self.kept = []


def is_compiling() -> bool:
    """Whether a compiler or an exporter traces, and decides what to keep."""
    if torch.jit.is_tracing():
        return True
    compiler = getattr(torch, 'compiler', None)
    return hasattr(compiler, 'is_compiling') and compiler.is_compiling()


def is_exporting() -> bool:
    """Whether what is traced keeps nothing for a backward pass.

    Inference under torch.compile counts, which cannot be told from an export.
    """
    return is_compiling() and not torch.is_grad_enabled()


def recomputed(module: nn.Module,
               function: Callable,
               *args: Any,
               preserve_rng_state: bool = True) -> Any:
    """Call a function whose tensors the backward pass computes again.

    Args:
        module (nn.Module): What the function belongs to. Running statistics
            in it are updated once.
        function (Callable): The function.
        *args: Its arguments.
        preserve_rng_state (bool): Whether it draws random numbers.
            Defaults to True.

    Returns:
        Any: What the function returns.
    """
    if not torch.is_grad_enabled():
        return function(*args)
    return cp.checkpoint(
        function,
        *args,
        use_reentrant=False,
        preserve_rng_state=preserve_rng_state,
        context_fn=lambda: (nullcontext(), RunningStatisticsKept(module)))
