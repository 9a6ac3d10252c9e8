"""Attention of stock backbones without the matrix of all pairs of tokens.

Each class takes over a built stock module: the same parameters under the
same names, the same result, less time and memory. What depends on nothing
but the resolution is computed once a resolution.
"""

from functools import lru_cache
from typing import Any, Callable, Dict, Hashable, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmpretrain.models.backbones.vit_eva02 import AttentionWithRoPE
from mmpretrain.models.utils import (
    RotaryEmbeddingFast,
    ShiftWindowMSA,
    SwiGLUFFN,
    WindowMSA,
)
from torch import Tensor, nn

from ..modules.recompute import is_compiling, recomputed


class ResolutionCache:
    """What is computed of frozen tensors, for the last few resolutions.

    Nothing is kept that a gradient goes through, or while torch.compile
    traces. An entry is valid while its sources are the same tensors with the
    same contents. Copies and pickles of a cache are empty.

    Args:
        size (int): Number of entries. Defaults to 8.
    """

    def __init__(self, size: int = 8) -> None:
        self.size = size
        self.entries: Dict[Hashable, Tuple] = {}

    def __deepcopy__(self, _: Any) -> 'ResolutionCache':
        return ResolutionCache(self.size)

    def __reduce__(self) -> Tuple:
        return ResolutionCache, (self.size, )

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()

    def get(self, key: Hashable, sources: Sequence[Tensor],
            compute: Callable[[], Tensor]) -> Tensor:
        """Return what was computed of some tensors, or compute it.

        Args:
            key (Hashable): What it depends on besides them.
            sources (Sequence[Tensor]): The tensors it is computed of.
            compute (Callable): Computes it.

        Returns:
            Tensor: The result.
        """
        if is_compiling() or any(s.requires_grad or s.is_inference()
                                 for s in sources):
            return compute()
        # entries hold their sources: no other tensor gets such an id
        key = (key, *map(id, sources))
        state = [(source.data_ptr(), source._version, source.dtype,
                  source.device) for source in sources]
        entry = self.entries.get(key)
        if entry is None or entry[1] != state:
            self.entries.pop(key, None)
            while len(self.entries) >= self.size:
                del self.entries[next(iter(self.entries))]
            with torch.inference_mode(False):
                entry = self.entries[key] = (tuple(sources), state, compute())
        return entry[2]


class TakenOver:
    """Mixin: a module that takes the place of a built one of a base class."""

    resolutions = 8

    @classmethod
    def of(cls, module: nn.Module) -> nn.Module:
        """Take over the attributes, parameters and submodules of a module."""
        taken = cls.__new__(cls)
        nn.Module.__init__(taken)
        taken.__dict__.update(vars(module))
        taken.cache = ResolutionCache(cls.resolutions)
        return taken

    def _apply(self, *args: Any, **kwargs: Any) -> nn.Module:
        self.cache.clear()
        return super()._apply(*args, **kwargs)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.cache.clear()
        super()._load_from_state_dict(*args, **kwargs)

    def train(self, mode: bool = True) -> nn.Module:
        """Set the mode, and forget what was kept."""
        self.cache.clear()
        return super().train(mode)


def attend(query: Tensor,
           key: Tensor,
           value: Tensor,
           attn_mask: Optional[Tensor] = None,
           dropout_p: float = 0.,
           scale: float = 1.) -> Tensor:
    """Call ``scaled_dot_product_attention``.

    Written out while torch.jit traces: torch 2.1 cannot export a scale.
    """
    if not torch.jit.is_tracing() or dropout_p > 0:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, scale=scale)
    weights = (query * scale) @ key.transpose(-2, -1)
    if attn_mask is not None:
        weights = weights + attn_mask
    return weights.softmax(-1) @ value


def rotary_tables(half_dim: int, theta: float, hw: Tuple[int, int],
                  extra: int, device: torch.device,
                  grid: Optional[int] = None) -> Tensor:
    """Compute the rotation of 2D rotary positions for a grid of tokens.

    Neighbouring channels rotate together. EVA-02 gives both the same angle,
    with positions in units of the pretraining grid; mmpretrain's
    RotaryEmbeddingFast gives them the angles of two frequencies, with
    positions in units of ``half_dim``, and agrees with EVA-02 only through
    tables that a file brings for its own resolution.

    Args:
        half_dim (int): Half of the width d of a head.
        theta (float): The base of the frequencies.
        hw (tuple[int, int]): The grid (h, w).
        extra (int): Number E of tokens before the patches, not rotated.
        device (torch.device): Where the tables go.
        grid (int, optional): Side of the pretraining grid, for EVA-02's
            rotation; None for mmpretrain's. Defaults to None.

    Returns:
        Tensor: Factors of the values and of their partners, the sign of the
        rotation included, shape (2, E + h * w, 1, 1, d).
    """
    steps = torch.arange(0, half_dim, 2, device=device).float() / half_dim
    frequency = 1. / theta**steps
    angles = []
    for side, shape in zip(hw, ((hw[0], 1, -1), (1, hw[1], -1))):
        unit = half_dim if grid is None else grid
        position = torch.arange(side, device=device) / side * unit
        angle = position[:, None] * frequency[None, :]
        if grid is None:
            angle = angle.repeat(1, 2)
        else:
            angle = angle.repeat_interleave(2, dim=1)
        angles.append(angle.reshape(shape).expand(*hw, half_dim))
    angle = torch.cat(angles, -1).flatten(0, 1)
    sign = torch.arange(2 * half_dim, device=device) % 2 * 2. - 1.
    tables = torch.stack((angle.cos(), angle.sin() * sign))
    passed = torch.stack((tables.new_ones(extra, 2 * half_dim),
                          tables.new_zeros(extra, 2 * half_dim)))
    return torch.cat((passed, tables), 1)[:, :, None, None]


class CachedRotaryEmbedding(TakenOver, RotaryEmbeddingFast):
    """Rotary embedding that all layers share, with a table a resolution."""

    # See :func:`rotary_tables`.
    grid: Optional[int] = None

    def tables(self, hw: Tuple[int, int], extra: int) -> Tensor:
        """Get the rotation for a grid, see :func:`rotary_tables`."""
        return self.cache.get((hw, extra), (self.freqs_cos, ),
                              lambda: rotary_tables(
                                  self.half_dim, self.theta, hw, extra, self.
                                  freqs_cos.device, self.grid))


class FusedRoPEAttention(TakenOver, AttentionWithRoPE):
    """Attention of EVA-02 through ``scaled_dot_product_attention``."""

    def forward(self, x: Tensor, patch_resolution: Tuple[int, int]) -> Tensor:
        """Attend among all tokens.

        Args:
            x (Tensor): Tokens, shape (B, E + h * w, C).
            patch_resolution (tuple[int, int]): The grid (h, w).

        Returns:
            Tensor: Shape (B, E + h * w, C).
        """
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))
        # a split, for gradients of slices are padded with zeros
        both, value = qkv.split((2, 1), dim=2)
        value = value.squeeze(2)
        if self.rope is not None:
            extra = int(x.shape[1] -
                        patch_resolution[0] * patch_resolution[1])
            direct, swapped = self.rope.tables(tuple(patch_resolution), extra)
            partner = both.unflatten(-1, (-1, 2)).flip(-1).flatten(4)
            both = torch.addcmul(both * direct, partner,
                                 swapped).type_as(value)
            # else all of qkv would wait for the backward pass
            value = value.contiguous()
        query, key = both.unbind(2)
        x = attend(
            query.transpose(1, 2),
            key.transpose(1, 2),
            value.transpose(1, 2),
            dropout_p=self.attn_drop.p if self.training else 0.,
            scale=self.scale)
        return self.proj_drop(self.proj(x.transpose(1, 2).flatten(2)))


class FusedWindowMSA(TakenOver, WindowMSA):
    """Window attention through ``scaled_dot_product_attention``.

    The relative position bias and the shift mask are one additive mask. While
    the bias trains on a CPU, whose kernels give a mask no gradient, the stock
    class is the faster one.
    """

    resolutions = 2  # for a mask is as large as the matrix that is avoided

    def forward(self, x: Tensor, mask: Optional[Tensor] = None) -> Tensor:
        """Attend in windows.

        Args:
            x (Tensor): Tokens of windows, shape (B * W, N, C).
            mask (Tensor, optional): Additive mask of the W windows of an
                image, shape (W, N, N). Defaults to None.

        Returns:
            Tensor: Shape (B * W, N, C).
        """
        table = self.relative_position_bias_table
        if (table.requires_grad and torch.is_grad_enabled()
                and x.device.type == 'cpu'):
            return super().forward(x, mask)
        windows = 1 if mask is None else mask.shape[0]
        length = x.shape[1]
        # windows that have masks of their own become heads
        query, key, value = self.qkv(x).view(
            -1, windows, length, 3, self.num_heads,
            self.embed_dims // self.num_heads).permute(3, 0, 1, 4, 2,
                                                       5).flatten(2, 3)
        bias = self.cache.get(
            'bias', (table, ) if mask is None else (table, mask),
            lambda: self._bias(mask))
        x = attend(
            query,
            key,
            value,
            attn_mask=bias.to(query.dtype),
            dropout_p=self.attn_drop.p if self.training else 0.,
            scale=self.scale)
        x = x.reshape(-1, windows, self.num_heads, length,
                      x.shape[-1]).transpose(2, 3)
        return self.proj_drop(self.proj(x.reshape(-1, length,
                                                  self.embed_dims)))

    def _bias(self, mask: Optional[Tensor]) -> Tensor:
        """Compute the additive mask, shape (1, W * heads, N, N)."""
        length = len(self.relative_position_index)
        bias = self.relative_position_bias_table[
            self.relative_position_index.flatten()].view(length, length, -1)
        bias = bias.permute(2, 0, 1)[None]
        if mask is None:
            return bias.contiguous()
        return (bias + mask[:, None]).flatten(0, 1)[None]


@lru_cache(maxsize=16)
def shift_mask(hw: Tuple[int, int], window_size: int, shift_size: int,
               device: torch.device) -> Optional[Tensor]:
    """Compute the mask of shifted windows once; see the stock class."""
    with torch.inference_mode(False):
        return ShiftWindowMSA.get_attn_mask(hw, window_size, shift_size,
                                            device)


def traced_shift_mask(hw: Tuple[int, int], window_size: int, shift_size: int,
                      device: Optional[torch.device]) -> Optional[Tensor]:
    """Compute the mask of shifted windows for a grid that is not a constant.

    The stock class writes into slices of a map, which does not trace.
    """
    if shift_size == 0:
        return None
    regions = []
    for side in hw:
        position = torch.arange(side, device=device)
        regions.append((position >= side - window_size).float() +
                       (position >= side - shift_size).float())
    region = regions[0][:, None] * 3 + regions[1][None, :]
    region = ShiftWindowMSA.window_partition(region[None, :, :, None],
                                             window_size)
    region = region.view(-1, window_size * window_size)
    apart = region.unsqueeze(1) != region.unsqueeze(2)
    return apart.float() * -100.


class FusedShiftWindowMSA(TakenOver, ShiftWindowMSA):
    """Attention in shifted windows, with one mask a resolution."""

    @staticmethod
    def get_attn_mask(hw_shape: Tuple[int, int],
                      window_size: int,
                      shift_size: int,
                      device: Optional[torch.device] = None
                      ) -> Optional[Tensor]:
        """Get the additive mask, shape (W, N, N), None without a shift."""
        if is_compiling():
            return traced_shift_mask(hw_shape, window_size, shift_size,
                                     device)
        return shift_mask(
            tuple(hw_shape), window_size, shift_size, device)

    @staticmethod
    def window_reverse(windows: Tensor, height: int, width: int,
                       window_size: int) -> Tensor:
        """Put windows (B * W, w, w, C) together, to (B, H, W, C).

        The stock class divides to find B, which traces keep as a constant.
        """
        rows, columns = height // window_size, width // window_size
        windows = windows.view(-1, rows, columns, window_size, window_size,
                               windows.shape[-1])
        return windows.transpose(2, 3).reshape(-1, height, width,
                                               windows.shape[-1])


class LeanSwiGLU(TakenOver, SwiGLUFFN):
    """FFN of EVA-02 that keeps half, where its weights are frozen.

    The product of both halves and its norm are computed again.
    """

    def forward(self, x: Tensor, identity: Optional[Tensor] = None) -> Tensor:
        """Run the layer on tokens (B, N, C); see the stock class."""
        if self.w3.weight.requires_grad or is_compiling():
            return super().forward(x, identity)
        hidden = recomputed(
            self, self._hidden, self.w12(x), preserve_rng_state=False)
        out = self.dropout_layer(self.gamma2(self.w3(hidden)))
        if self.out_dims != self.embed_dims or not self.add_identity:
            return out
        return (x if identity is None else identity) + out

    def _hidden(self, both: Tensor) -> Tensor:
        """Multiply both halves, and normalise."""
        gate, value = both.chunk(2, dim=-1)
        return self.norm(F.silu(gate) * value)


def fuse_attention(backbone: nn.Module) -> None:
    """Replace the layers of a backbone that can be faster or leaner.

    Args:
        backbone (nn.Module): A stock backbone, changed in place.
    """
    ropes: Dict[int, nn.Module] = {}
    for parent in list(backbone.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is RotaryEmbeddingFast:
                rope = ropes.setdefault(
                    id(child), CachedRotaryEmbedding.of(child))
                setattr(parent, name, rope)
            elif type(child) in FUSED:
                setattr(parent, name, FUSED[type(child)].of(child))


FUSED = {
    AttentionWithRoPE: FusedRoPEAttention,
    WindowMSA: FusedWindowMSA,
    ShiftWindowMSA: FusedShiftWindowMSA,
    SwiGLUFFN: LeanSwiGLU,
}
