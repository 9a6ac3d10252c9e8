"""Arithmetic of sizes that a trace keeps.

The sides of a map are integers, but tensors while torch.jit traces:
``math.ceil``, ``max`` and conditions would make constants of those.
"""

from typing import Any

from torch import Tensor


def ceil_divide(size: Any, divisor: int) -> Any:
    """Divide a size and round up.

    Args:
        size (int): A size, 0 or greater.
        divisor (int): Greater than 0.

    Returns:
        int: The quotient, of the kind of ``size``.
    """
    return (size + divisor - 1) // divisor


def max_size(size: Any, least: int) -> Any:
    """Return the greater one of a size and a constant.

    Args:
        size (int): A size.
        least (int): The constant.

    Returns:
        int: The greater one, of the kind of ``size``.
    """
    if isinstance(size, Tensor):
        return size.clamp(min=least)
    return max(size, least)
