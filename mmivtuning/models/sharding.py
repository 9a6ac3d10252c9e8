"""How fully sharded data parallelism (FSDP) cuts our backbones."""

from torch import nn


def wrap_layers(module: nn.Module, recurse: bool,
                nonwrapped_numel: int) -> bool:
    """Shard each layer of a backbone on its own: a policy of FSDP.

    Args:
        module (nn.Module): A module of the model.
        recurse (bool): Whether the question is to look inside it.
        nonwrapped_numel (int): Its parameters that are not sharded yet.

    Returns:
        bool: Whether to look inside, or to shard the module.
    """
    return recurse or getattr(module, 'is_tuned_layer', False)
