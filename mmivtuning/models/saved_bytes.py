"""How many bytes a forward pass keeps for its backward pass."""

from typing import Any, Callable, Dict

import torch
from torch import Tensor, nn


def saved_bytes(module: nn.Module, function: Callable[[], Any]) -> int:
    """Count the bytes that autograd keeps when a function is called.

    Each piece of memory counts once, as a whole, however many tensors view
    it. Parameters and buffers do not count: they are there anyway.

    Args:
        module (nn.Module): The module whose parameters do not count.
        function (Callable): What to call, without arguments.

    Returns:
        int: Bytes.
    """
    known = {
        tensor.untyped_storage().data_ptr()
        for tensor in [*module.parameters(), *module.buffers()]
    }
    sizes: Dict[int, int] = {}
    kept = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            sizes[storage.data_ptr()] = storage.nbytes()
            kept.append(tensor)  # so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        function()
    return sum(sizes.values())
