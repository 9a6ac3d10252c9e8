"""What every IV-tuning backbone shares.

Input is one image of four planes, R, G, B and infrared. The backbone, a
stock one, sees visible tokens; infrared is embedded once and enters as a
prompt (``tuning='iv'``), by averaging, or not at all (``'visible'``).
"""

from copy import deepcopy
from typing import (
    Any,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Set,
    Tuple,
    Type,
)

from mmcv.cnn.bricks.drop import DropPath
from mmengine.model.weight_init import PretrainedInit, update_init_info
from torch import Tensor, nn

from ..freezing import declared_parameters, freeze_except
from ..modules.modal_prompt import PROMPT_INITS
from ..modules.recompute import recomputed
from .attention import ResolutionCache, fuse_attention
from .loading import load_pretrained
from .tuning import Tuning, build_tuning

INFRARED_INITS = ('copy', 'random')


class TunedLayer:
    """Mixin: a stock layer in two parts, between which a tuning may act.

    The submodules of the stock layer are taken over under their names. A
    binding to a stock layer defines both parts; both include the residual.

    Args:
        layer (nn.Module): The stock layer.
    """

    # An attribute, which wrappers for sharding and compilation pass on.
    is_tuned_layer = True

    def __init__(self, layer: nn.Module) -> None:
        nn.Module.__init__(self)
        self.__dict__.update({
            name: value
            for name, value in vars(layer).items()
            if name not in self.__dict__
        })
        self.training = layer.training
        for name, child in layer.named_children():
            self.add_module(name, child)
        # How it runs, which a tuning that is attached replaces.
        self.run = Tuning.run

    @property
    def attention(self) -> nn.Module:
        """The module that has the projection ``qkv``."""
        return self.attn

    def accept_context(self) -> None:
        """Get ready for a context in :meth:`attend`."""

    def attend(self,
               x: Tensor,
               hw: Tuple[int, int],
               context: Optional[Tensor] = None) -> Tensor:
        """Run the first part.

        Args:
            x (Tensor): Tokens, shape (B, E + h * w, C).
            hw (tuple[int, int]): The grid (h, w).
            context (Tensor, optional): Tokens without position that the
                attention sees besides, shape (1, N, C). Defaults to None.

        Returns:
            Tensor: Tokens, shape (B, E + h * w, C).
        """
        raise NotImplementedError

    def feed(self, x: Tensor) -> Tensor:
        """Run the second part, the feed-forward network, on tokens."""
        raise NotImplementedError

    def forward(self,
                x: Tensor,
                hw: Tuple[int, int],
                prompt: Optional[Tensor] = None) -> Tensor:
        """Run the layer; see :meth:`Tuning.run`."""
        return self.run(self, x, hw, prompt)


class IVTuningBackbone:
    """Mixin: what a stock backbone needs to be tuned on pairs.

    Args:
        *args: Arguments of the stock backbone.
        tuning (str): ``'iv'``, ``'full'``, ``'frozen'``, ``'lora'``,
            ``'adaptformer'``, ``'vpt_deep'``, ``'bitfit'``, or ``'visible'``,
            which is ``'full'`` without infrared. Defaults to ``'iv'``.
        tuning_options (dict, optional): Arguments of the tuning's class in
            :mod:`mmivtuning.models.backbones.tuning`. Defaults to None.
        prompt_init (str): ``'paper'`` or ``'identity'``, with which features
            start as the stock backbone's of the visible planes.
            Defaults to ``'paper'``.
        infrared_init (str): ``'copy'``: the infrared embedding starts as the
            visible one, the pretrained one where a checkpoint without
            infrared is loaded. ``'random'``: as torch sets it.
            Defaults to ``'copy'``.
        infrared_channels (int): Input channels of the infrared embedding: 3
            (the plane repeated, as published) or 1 (the visible weights
            summed, the same function at a third of the cost).
            Defaults to 3.
        with_simam (bool): Whether prompt blocks apply SimAM.
            Defaults to True.
        with_cp (bool): Whether layers are computed again in the backward
            pass to save memory. Defaults to False.
        **kwargs: Arguments of the stock backbone.

    Raises:
        ValueError: If an argument has none of these values.
    """

    # The first value of `frozen_stages` with which the stock class freezes.
    first_frozen_stages = 1
    # Ends of the names of stock buffers that are computed, never loaded.
    computed_buffers: Tuple[str, ...] = ()

    def __init__(self,
                 *args: Any,
                 tuning: str = 'iv',
                 tuning_options: Optional[Mapping[str, Any]] = None,
                 prompt_init: str = 'paper',
                 infrared_init: str = 'copy',
                 infrared_channels: int = 3,
                 with_simam: bool = True,
                 with_cp: bool = False,
                 **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fuse_attention(self)
        self.position_cache = ResolutionCache()
        self._tuning = build_tuning(tuning, tuning_options)
        for name, value, known in (
                ('prompt_init', prompt_init, PROMPT_INITS),
                ('infrared_init', infrared_init, INFRARED_INITS),
                ('infrared_channels', infrared_channels, (1, 3))):
            if value not in known:
                raise ValueError(
                    f'{name} must be one of {known}, found {value!r}')
        planes = self.patch_embed.projection.in_channels
        if planes != 3:
            raise ValueError('in_channels counts the visible planes and must '
                             f'be 3, found {planes}')
        # the stock classes store numpy scalars, on which compilation stops
        for module in self.modules():
            if isinstance(module, DropPath):
                module.drop_prob = float(module.drop_prob)
        self.tuning = tuning
        self.prompt_init = prompt_init
        self.with_simam = with_simam
        self.infrared_init = infrared_init
        self.infrared_channels = infrared_channels
        self.with_cp = with_cp
        self.stock_keys = frozenset(self.state_dict())
        self.last_output = max(self.out_indices)
        for layers, index, _ in self.used_layers():
            layers[index] = self.layer_type(layers[index])
        stock_frozen = self._stock_frozen_parameters()
        self.infrared_embed = self._build_infrared_embed()
        self._tuning.attach(self)
        freeze_except(self, set(declared_parameters(self)) - stock_frozen)
        self._register_load_state_dict_pre_hook(self._prepare_pair_weights)

    # What a binding to a stock backbone defines.

    # The binding to a stock layer.
    layer_type: Type[TunedLayer] = TunedLayer

    def used_layers(self) -> Iterator[Tuple[nn.ModuleList, int, int]]:
        """Yield the layers that outputs depend on: list, index, width."""
        raise NotImplementedError

    def unused_modules(self) -> List[nn.Module]:
        """List the stock modules on which no output depends."""
        raise NotImplementedError

    def may_lack(self, name: str) -> bool:
        """Whether a checkpoint may lack this stock parameter."""
        raise NotImplementedError

    def may_ignore(self, name: str) -> bool:
        """Whether a checkpoint may have this key that the backbone lacks."""
        raise NotImplementedError

    # What all have in common.

    def tuned_layers(self) -> List[Tuple[TunedLayer, int]]:
        """List the layers that outputs depend on, with their widths."""
        return [(layers[index], embed_dims)
                for layers, index, embed_dims in self.used_layers()]

    def prompted_layers(self) -> List[Tuple[TunedLayer, int]]:
        """List those on whose patch tokens an output depends."""
        return self.tuned_layers()

    def unused_parameters(self) -> Set[int]:
        """Return the ids of parameters on which no output depends."""
        return {
            id(parameter)
            for module in self.unused_modules()
            for parameter in module.parameters()
        }

    def tuned_parameters(self) -> List[str]:
        """Declare what trains besides what added modules declare."""
        return self._tuning.tuned_parameters(self)

    def tuning_settings(self) -> Dict[str, Any]:
        """Return the tuning and what results depend on besides weights."""
        return dict(self._tuning.settings(self), tuning=self.tuning)

    def _stock_frozen_parameters(self) -> Set[str]:
        """Let the stock class freeze its stages and list the parameters."""
        if self.frozen_stages < self.first_frozen_stages:
            return set()
        if not self._tuning.trains_stages:
            raise ValueError(
                f"frozen_stages={self.frozen_stages} needs tuning='full' or "
                f"'visible': tuning={self.tuning!r} freezes every stage "
                'already')
        self._freeze_stages()
        return {
            name
            for name, parameter in self.named_parameters()
            if not parameter.requires_grad
        }

    def _build_infrared_embed(self) -> nn.Module:
        """Build the infrared patch embedding, alike the visible one."""
        embed = deepcopy(self.patch_embed)
        if self.infrared_channels == 1:
            conv = embed.projection
            embed.projection = type(conv)(
                1,
                conv.out_channels,
                conv.kernel_size,
                conv.stride,
                conv.padding,
                conv.dilation,
                bias=conv.bias is not None)
        embed.requires_grad_(True)
        if self.infrared_init == 'random':
            for module in embed.modules():
                if hasattr(module, 'reset_parameters'):
                    module.reset_parameters()
        else:
            embed.load_state_dict(
                self._infrared_from_visible(self.patch_embed.state_dict()))
        return embed

    def _infrared_from_visible(
            self, weights: Dict[str, Tensor]) -> Dict[str, Tensor]:
        """Turn weights of the visible embedding into infrared ones."""
        weights = {name: value.clone() for name, value in weights.items()}
        if self.infrared_channels == 1:
            weight = weights['projection.weight']
            weights['projection.weight'] = weight.sum(1, keepdim=True)
        return weights

    def embed_pair(
        self, inputs: Tensor
    ) -> Tuple[Tensor, Optional[Tensor], Tuple[int, int]]:
        """Embed both modalities and make one token map of them.

        Args:
            inputs (Tensor): Normalised R, G, B, infrared, shape
                (B, 4, H, W), any H and W.

        Returns:
            tuple: Tokens (B, h * w, C), the initial prompt (B, h * w, C) or
            None, and the grid (h, w).

        Raises:
            ValueError: If the input does not have four planes.
        """
        if inputs.dim() != 4 or inputs.shape[1] != 4:
            raise ValueError(
                f'{type(self).__name__} takes pairs as (B, 4, H, W), the '
                'planes R, G, B and infrared, found '
                f'{tuple(inputs.shape)}: is the data preprocessor a paired '
                'one?')
        visible, hw = self.patch_embed(inputs[:, :3])
        if not self._tuning.sees_infrared:
            return visible, None, hw
        infrared, _ = self.infrared_embed(inputs[:, 3:].expand(
            -1, self.infrared_channels, -1, -1))
        tokens, prompt = self._tuning.fuse(self, visible, infrared, hw)
        return tokens, prompt, hw

    def run_layer(self, layer: nn.Module, *args: Any) -> Tensor:
        """Run a layer, with activation checkpointing if that is on."""
        if not self.with_cp:
            return layer(*args)
        return recomputed(layer, layer, *args)

    def train(self, mode: bool = True) -> nn.Module:
        """Set the mode; stochastic depth of frozen layers stays active.

        Args:
            mode (bool): Training or evaluation. Defaults to True.

        Returns:
            nn.Module: The backbone.
        """
        super().train(mode)
        self.position_cache.clear()
        return self

    def init_weights(self) -> None:
        """Initialise, then load ``init_cfg``'s pretrained file strictly.

        mmengine itself loads such a file with ``strict=False``.
        """
        if self.is_init:
            super().init_weights()
            return
        init_cfg = self.init_cfg
        cfgs = [init_cfg] if isinstance(init_cfg, dict) else init_cfg or []
        pretrained, others = [], []
        for cfg in cfgs:
            known = cfg['type'] in ('Pretrained', PretrainedInit)
            (pretrained if known else others).append(cfg)
        self.init_cfg = others
        try:
            super().init_weights()
        finally:
            self.init_cfg = init_cfg
        if self.infrared_init == 'copy':
            self.infrared_embed.load_state_dict(
                self._infrared_from_visible(self.patch_embed.state_dict()))
        for cfg in pretrained:
            load_pretrained(self,
                            **{k: v
                               for k, v in cfg.items() if k != 'type'})
            if hasattr(self, '_params_init_info'):
                update_init_info(
                    self, f'PretrainedInit: load from {cfg["checkpoint"]}')

    def _prepare_pair_weights(self, state_dict: Dict[str, Tensor],
                              prefix: str, *args: Any) -> None:
        """Complete a state dict that is about to be loaded, in place.

        Infrared weights that the file lacks are made of its visible ones;
        buffers that depend on the input size are not taken from it.
        """
        visible = f'{prefix}patch_embed.'
        infrared = f'{prefix}infrared_embed.'
        weights = {
            key[len(visible):]: value
            for key, value in state_dict.items() if key.startswith(visible)
        }
        has_infrared = any(key.startswith(infrared) for key in state_dict)
        if (self.infrared_init == 'copy' and not has_infrared
                and 'projection.weight' in weights):
            for name, value in self._infrared_from_visible(weights).items():
                state_dict[infrared + name] = value
        if self.computed_buffers:
            for key in list(state_dict):
                if (key.startswith(prefix)
                        and key.endswith(self.computed_buffers)):
                    del state_dict[key]
            for name, buffer in self.named_buffers(remove_duplicate=False):
                if name.endswith(self.computed_buffers):
                    state_dict[prefix + name] = buffer

    def get_layer_depth(self,
                        param_name: str,
                        prefix: str = '') -> Tuple[int, int]:
        """Get the layer-wise depth of a parameter, as the stock class does.

        Args:
            param_name (str): Name of the parameter.
            prefix (str): Prefix of the backbone's parameters.
                Defaults to ''.

        Returns:
            tuple[int, int]: The depth, 0 for the infrared embedding as for
            the visible one, and the number of depths.
        """
        depth, depths = super().get_layer_depth(param_name, prefix)
        if param_name.startswith(f'{prefix}infrared_embed.'):
            depth = 0
        return depth, depths
