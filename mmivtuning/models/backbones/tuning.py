"""Ways to tune a backbone on pairs: ``tuning='iv'``, ``'full'`` and so on.

A way of tuning says what is added to the backbone, which parameters train,
how the token maps of both modalities become one, and how a layer runs.
docs/tuning_modes.md lists them.
"""

import copy
import inspect
import math
from functools import partial
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Type,
)

from torch import Tensor, nn

from ..modules import (
    LoRALinear,
    ModalPromptAlpha,
    ModalPromptBeta,
    ParallelAdapter,
    PromptTokens,
)
from ..modules.modal_prompt import INFRARED_PATHS

if TYPE_CHECKING:
    from .iv_tuning import IVTuningBackbone, TunedLayer


def _check_choice(name: str, value: Any, known: Sequence[str]) -> None:
    """Raise if an option has none of its values."""
    if value not in known:
        raise ValueError(f'tuning_options.{name} must be one of '
                         f'{tuple(known)}, found {value!r}')


def _check_positive(**options: Any) -> None:
    """Raise if an option is no integer of at least 1."""
    for name, value in options.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f'tuning_options.{name} must be an integer of '
                             f'at least 1, found {value!r}')


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_rate(name: str, value: Any) -> None:
    """Raise if an option is no share of what is dropped."""
    if not _is_number(value) or not 0 <= value < 1:
        raise ValueError(f'tuning_options.{name} must be a number from 0 to '
                         f'below 1, found {value!r}')


def _check_scale(name: str, value: Any) -> None:
    """Raise if an option is no factor; with 0 nothing would ever train."""
    if not _is_number(value) or not 0 < value < math.inf:
        raise ValueError(f'tuning_options.{name} must be a number above 0, '
                         f'found {value!r}')


class Tuning:
    """What every way of tuning has in common: the infrared embedding trains.

    The token maps of both modalities are averaged, so that with identical
    planes the result is the stock backbone's. Layers run as stock ones do.
    The arguments of a subclass are its ``tuning_options``.
    """

    # Whether stock stages train, of which `frozen_stages` may freeze some.
    trains_stages = False
    # Whether infrared is embedded; else only the visible planes count.
    sees_infrared = True

    def __init__(self) -> None:
        pass

    def settings(self, backbone: 'IVTuningBackbone') -> Dict[str, Any]:
        """Return the options that results depend on, but no name or shape.

        Adapters keep them: nothing else tells that one does not fit.
        """
        return {}

    def attach(self, backbone: 'IVTuningBackbone') -> None:
        """Add this tuning's modules to a stock backbone."""

    def tuned_parameters(self, backbone: 'IVTuningBackbone') -> List[str]:
        """List what trains and is not declared by an added module."""
        return [
            f'infrared_embed.{name}'
            for name, _ in backbone.infrared_embed.named_parameters()
        ]

    def fuse(self, backbone: 'IVTuningBackbone', visible: Tensor,
             infrared: Tensor,
             hw: Tuple[int, int]) -> Tuple[Tensor, Optional[Tensor]]:
        """Make one token map of two.

        Args:
            backbone (nn.Module): The backbone.
            visible (Tensor): Visible tokens, shape (B, h * w, C).
            infrared (Tensor): Infrared tokens, shape alike.
            hw (tuple[int, int]): The grid (h, w).

        Returns:
            tuple[Tensor, Tensor | None]: Tokens, shape alike, and the
            initial prompt, shape alike, if there is one.
        """
        return (visible + infrared) / 2, None

    @staticmethod
    def run(layer: 'TunedLayer', x: Tensor, hw: Tuple[int, int],
            prompt: Optional[Tensor]) -> Tensor:
        """Run a layer that this tuning was attached to.

        Args:
            layer (nn.Module): The layer.
            x (Tensor): Tokens, shape (B, E + h * w, C).
            hw (tuple[int, int]): The grid (h, w).
            prompt (Tensor, optional): The prompt, shape (B, h * w, C), or
                tokens of a layer, shape (B, E + h * w, C).

        Returns:
            Tensor: Tokens, shape (B, E + h * w, C).
        """
        return layer.feed(layer.attend(x, hw))

    def next_prompt(self, prompt: Optional[Tensor], tokens: Tensor,
                    enters_stage: bool) -> Optional[Tensor]:
        """Choose the prompt of the next layer.

        Args:
            prompt (Tensor, optional): That of the last layer.
            tokens (Tensor): What enters the next layer.
            enters_stage (bool): Whether the next layer is the first one of a
                stage, as every layer of a plain transformer is.

        Returns:
            Tensor | None: One of both, None if this tuning has no prompt.
        """
        return None


class FrozenTuning(Tuning):
    """``'frozen'``: nothing but the infrared embedding trains."""


class BiasTuning(Tuning):
    """``'bitfit'``: every bias trains that the outputs depend on.

    Zaken et al., 2022. Biases are those of projections, convolutions and
    norms; Swin's tables of relative positions are none.
    """

    def tuned_parameters(self, backbone: 'IVTuningBackbone') -> List[str]:
        """List the infrared embedding and the biases."""
        names = super().tuned_parameters(backbone)
        unused = backbone.unused_parameters()
        for path, module in backbone.named_modules():
            bias = getattr(module, 'bias', None)
            if isinstance(bias, nn.Parameter) and id(bias) not in unused:
                names.append(f'{path}.bias')
        return list(dict.fromkeys(names))


class FullTuning(Tuning):
    """``'full'``: everything trains that the outputs depend on."""

    trains_stages = True

    def tuned_parameters(self, backbone: 'IVTuningBackbone') -> List[str]:
        """List every parameter but those of unused modules."""
        unused = backbone.unused_parameters()
        return [
            name for name, parameter in backbone.named_parameters()
            if id(parameter) not in unused
        ]


class VisibleTuning(FullTuning):
    """``'visible'``: full fine-tuning that ignores infrared.

    The stock backbone; :class:`DualBackbone` is made of two.
    """

    sees_infrared = False

    def tuned_parameters(self, backbone: 'IVTuningBackbone') -> List[str]:
        """List what full fine-tuning does, without the infrared embedding."""
        return [
            name for name in super().tuned_parameters(backbone)
            if not name.startswith('infrared_embed.')
        ]


class LoRATuning(Tuning):
    r"""``'lora'``: low-rank updates of queries and values train.

    Hu et al., 2021: :math:`W x + b + \frac{\alpha}{r} B A x` with A and B of
    its own for each target. B starts at zero, so that the start is that of
    ``'frozen'``.

    Args:
        rank (int): The rank r. Defaults to 8.
        alpha (float): The scale. The paper keeps it when it changes the
            rank. Defaults to 8.
        drop_rate (float): Of the dropout before A. Defaults to 0.
        targets (Sequence[str]): Of ``'query'``, ``'key'`` and ``'value'``.
            Defaults to ``('query', 'value')``.

    Raises:
        ValueError: If an option does not fit.
    """

    OUTPUTS = ('query', 'key', 'value')

    def __init__(self,
                 rank: int = 8,
                 alpha: float = 8,
                 drop_rate: float = 0.,
                 targets: Sequence[str] = ('query', 'value')) -> None:
        _check_positive(rank=rank)
        _check_scale('alpha', alpha)
        _check_rate('drop_rate', drop_rate)
        if (not isinstance(targets, (list, tuple)) or not targets
                or any(target not in self.OUTPUTS for target in targets)
                or len(set(targets)) != len(targets)):
            raise ValueError('tuning_options.targets must list some of '
                             f'{self.OUTPUTS}, each once, found {targets!r}')
        self.options = dict(
            targets=targets, rank=rank, alpha=alpha, drop_rate=drop_rate)

    def settings(self, backbone: 'IVTuningBackbone') -> Dict[str, Any]:
        """Return the scale."""
        return dict(alpha=self.options['alpha'])

    def attach(self, backbone: 'IVTuningBackbone') -> None:
        """Replace the projections to queries, keys and values."""
        for layer, _ in backbone.tuned_layers():
            attention = layer.attention
            attention.qkv = LoRALinear(attention.qkv, self.OUTPUTS,
                                       **self.options)


class AdaptFormerTuning(Tuning):
    r"""``'adaptformer'``: a scaled bottleneck beside every FFN trains.

    Chen et al., 2022: :math:`x' + FFN(LN(x')) + s W_2 ReLU(W_1 LN(x'))`,
    Eq. 3 and 4. W_2 starts at zero, so that the start is that of
    ``'frozen'``.

    Args:
        hidden_dims (int): Width of the bottleneck. Defaults to 64.
        scale (float): The scale s. Defaults to 0.1.
        drop_rate (float): Of the dropout before W_2. Defaults to 0.1.
        normalised (bool): Whether the bottleneck sees the layer's frozen
            LayerNorm, as in the paper, or the raw x', as in the released
            code. Defaults to True.

    Raises:
        ValueError: If an option does not fit.
    """

    def __init__(self,
                 hidden_dims: int = 64,
                 scale: float = 0.1,
                 drop_rate: float = 0.1,
                 normalised: bool = True) -> None:
        _check_positive(hidden_dims=hidden_dims)
        _check_scale('scale', scale)
        _check_rate('drop_rate', drop_rate)
        if not isinstance(normalised, bool):
            raise ValueError('tuning_options.normalised must be True or '
                             f'False, found {normalised!r}')
        self.options = dict(
            hidden_dims=hidden_dims, scale=scale, drop_rate=drop_rate)
        self.normalised = normalised

    def settings(self, backbone: 'IVTuningBackbone') -> Dict[str, Any]:
        """Return the scale, and what the bottleneck sees."""
        return dict(scale=self.options['scale'], normalised=self.normalised)

    def attach(self, backbone: 'IVTuningBackbone') -> None:
        """Add an adapter to every layer."""
        run = self.run if self.normalised else self.run_raw
        for layer, embed_dims in backbone.tuned_layers():
            layer.adapter = ParallelAdapter(embed_dims, **self.options)
            layer.run = run

    @staticmethod
    def run(layer: 'TunedLayer', x: Tensor, hw: Tuple[int, int],
            prompt: Optional[Tensor]) -> Tensor:
        """Run a layer; the adapter sees what the FFN does."""
        x = layer.attend(x, hw)
        return layer.feed(x) + layer.adapter(layer.norm2(x))

    @staticmethod
    def run_raw(layer: 'TunedLayer', x: Tensor, hw: Tuple[int, int],
                prompt: Optional[Tensor]) -> Tensor:
        """Run a layer; the adapter sees the residual stream."""
        x = layer.attend(x, hw)
        return layer.feed(x) + layer.adapter(x)


class DeepPromptTuning(Tuning):
    """``'vpt_deep'``: tokens of every layer's own train.

    Jia et al., 2022: the attention of a layer sees N more tokens, through
    the layer's norm; what becomes of them is dropped (Eq. 6). In Swin every
    window sees them, without position bias or mask. No position is added to
    them or rotates them.

    Args:
        num_tokens (int): Their number N, which the paper searches for each
            task among 1, 5, 10, 50, 100 and 200, for Swin up to 50.
            Defaults to 10.
        drop_rate (float): Of the dropout on them. Defaults to 0.

    Raises:
        ValueError: If an option does not fit.
    """

    def __init__(self, num_tokens: int = 10, drop_rate: float = 0.) -> None:
        _check_positive(num_tokens=num_tokens)
        _check_rate('drop_rate', drop_rate)
        self.num_tokens = num_tokens
        self.drop_rate = drop_rate

    def attach(self, backbone: 'IVTuningBackbone') -> None:
        """Add tokens to every layer; they start as in the authors' code."""
        conv = backbone.patch_embed.projection
        inputs = 3 * math.prod(conv.kernel_size)
        bound = math.sqrt(6 / (inputs + backbone.embed_dims))
        for layer, embed_dims in backbone.tuned_layers():
            layer.prompt_tokens = PromptTokens(self.num_tokens, embed_dims,
                                               bound, self.drop_rate)
            layer.accept_context()
            layer.run = self.run

    @staticmethod
    def run(layer: 'TunedLayer', x: Tensor, hw: Tuple[int, int],
            prompt: Optional[Tensor]) -> Tensor:
        """Run a layer whose attention sees the tokens."""
        return layer.feed(layer.attend(x, hw, layer.prompt_tokens()))


class IVTuning(Tuning):
    """``'iv'``: prompts, infrared embedding and the shared norm train.

    The options are for ablations; their defaults are the published ones.

    Args:
        token_dims (int): Hidden width of the token branch of MP-beta.
            Defaults to 64.
        prompt_dims (int): Hidden width of MP-alpha and of the prompt branch
            of MP-beta. Defaults to 8.
        split_ratio (int): One channel in so many goes through the
            depth-wise convolution of an SFE; divides the hidden widths.
            Defaults to 4.
        drop_rate (float): Of the dropout in MP-beta. Defaults to 0.1.
        infrared_path (str): ``'linear'``, or ``'convolution'``: infrared in
            MP-alpha and the prompt in MP-beta go through an SFE, too.
            Defaults to ``'linear'``.
        prompt_update (str): ``'paper'``: the prompt of a layer is what
            enters it, in Swin what enters its stage. ``'layer'``: what
            enters it, in Swin too. ``'constant'``: the initial prompt, for
            every layer, which Swin's widths do not allow.
            Defaults to ``'paper'``.
        betas (str): MP-betas of a layer: ``'both'``, ``'shared'`` (one,
            applied after attention and after the FFN, as in the last state
            of the released code), ``'attention'`` or ``'ffn'`` (one, after
            that part). Defaults to ``'both'``.
        num_prompted_layers (int, optional): How many layers have MP-betas:
            the first ones, or, if it is negative, the last ones; 0 leaves
            MP-alpha alone. None: all. Defaults to None.
        prompted_tokens (str): What the initial prompt is added to:
            ``'visible'`` tokens, or the ``'mean'`` of both modalities, as
            in every other tuning that sees both, so that infrared counts
            from the first step on. Defaults to ``'visible'``.
        compile_training (bool): Whether torch.compile fuses MP-betas in
            training, for GPUs; needs torch 2.5. Defaults to False.

    Raises:
        ValueError: If an option does not fit.
    """

    UPDATES = ('paper', 'layer', 'constant')
    PROMPTED = ('visible', 'mean')
    # Names of the blocks after attention and after the FFN.
    BETAS = dict(
        both=('prompt_beta_attn', 'prompt_beta_ffn'),
        shared=('prompt_beta', 'prompt_beta'),
        attention=('prompt_beta_attn', None),
        ffn=(None, 'prompt_beta_ffn'))

    def __init__(self,
                 token_dims: int = 64,
                 prompt_dims: int = 8,
                 split_ratio: int = 4,
                 drop_rate: float = 0.1,
                 infrared_path: str = 'linear',
                 prompt_update: str = 'paper',
                 betas: str = 'both',
                 num_prompted_layers: Optional[int] = None,
                 prompted_tokens: str = 'visible',
                 compile_training: bool = False) -> None:
        _check_positive(
            token_dims=token_dims,
            prompt_dims=prompt_dims,
            split_ratio=split_ratio)
        _check_rate('drop_rate', drop_rate)
        _check_choice('infrared_path', infrared_path, INFRARED_PATHS)
        _check_choice('prompt_update', prompt_update, self.UPDATES)
        _check_choice('betas', betas, tuple(self.BETAS))
        _check_choice('prompted_tokens', prompted_tokens, self.PROMPTED)
        _check_choice('compile_training', compile_training, (False, True))
        for name, width in (('token_dims', token_dims), ('prompt_dims',
                                                         prompt_dims)):
            if width % split_ratio:
                raise ValueError(
                    f'tuning_options.split_ratio must divide {name}={width}, '
                    f'found {split_ratio}')
        self.shared = dict(
            split_ratio=split_ratio, infrared_path=infrared_path)
        self.widths = dict(
            hidden_dims=token_dims,
            prompt_dims=prompt_dims,
            drop_rate=drop_rate,
            compile_training=compile_training)
        self.prompt_update = prompt_update
        self.betas = self.BETAS[betas]
        self.num_prompted_layers = num_prompted_layers
        self.prompted_tokens = prompted_tokens

    def settings(self, backbone: 'IVTuningBackbone') -> Dict[str, Any]:
        """Return what the prompts depend on besides weights."""
        settings = dict(
            prompt_update=self.prompt_update, with_simam=backbone.with_simam)
        # absent from the adapters of before it was an option
        if self.prompted_tokens != 'visible':
            settings['prompted_tokens'] = self.prompted_tokens
        return settings

    def attach(self, backbone: 'IVTuningBackbone') -> None:
        """Add the shared norm, MP-alpha and the MP-betas."""
        options = dict(
            self.shared,
            prompt_init=backbone.prompt_init,
            with_simam=backbone.with_simam)
        backbone.prompt_norm = nn.LayerNorm(backbone.embed_dims)
        backbone.prompt_alpha = ModalPromptAlpha(
            backbone.embed_dims, self.widths['prompt_dims'], **options)
        build = partial(ModalPromptBeta, **options, **self.widths)
        for layer, embed_dims in self._chosen(backbone.prompted_layers()):
            for name in dict.fromkeys(filter(None, self.betas)):
                layer.add_module(name, build(embed_dims))
            layer.betas = self.betas
            layer.run = self.run

    def _chosen(
        self, layers: List[Tuple['TunedLayer', int]]
    ) -> List[Tuple['TunedLayer', int]]:
        """Choose the layers that get MP-betas."""
        widths = [embed_dims for _, embed_dims in layers]
        if self.prompt_update == 'constant' and len(set(widths)) > 1:
            raise ValueError(
                "tuning_options.prompt_update='constant' needs layers of one "
                f'width, found {sorted(set(widths))}')
        number = self.num_prompted_layers
        if number is None:
            return layers
        if (not isinstance(number, int) or isinstance(number, bool)
                or abs(number) > len(layers)):
            raise ValueError(
                'tuning_options.num_prompted_layers must be an integer from '
                f'{-len(layers)} to {len(layers)}, found {number!r}')
        return layers[:number] if number >= 0 else layers[number:]

    def tuned_parameters(self, backbone: 'IVTuningBackbone') -> List[str]:
        """List the infrared embedding and the shared norm."""
        return super().tuned_parameters(backbone) + [
            f'prompt_norm.{name}'
            for name, _ in backbone.prompt_norm.named_parameters()
        ]

    def fuse(self, backbone: 'IVTuningBackbone', visible: Tensor,
             infrared: Tensor,
             hw: Tuple[int, int]) -> Tuple[Tensor, Optional[Tensor]]:
        """Add the initial prompt to the raw tokens, visible or mean."""
        prompt = backbone.prompt_alpha(
            backbone.prompt_norm(visible), backbone.prompt_norm(infrared), hw)
        tokens = visible
        if self.prompted_tokens == 'mean':
            tokens, _ = super().fuse(backbone, visible, infrared, hw)
        return tokens + prompt, prompt

    @staticmethod
    def run(layer: 'TunedLayer', x: Tensor, hw: Tuple[int, int],
            prompt: Optional[Tensor]) -> Tensor:
        """Run a layer, with an MP-beta after attention and after the FFN."""
        extra = int(x.shape[1] - hw[0] * hw[1])  # a constant of any trace
        after_attention, after_ffn = layer.betas
        x = layer.attend(x, hw)
        if after_attention:
            x = getattr(layer, after_attention)(x, prompt, hw, extra)
        x = layer.feed(x)
        if after_ffn:
            x = getattr(layer, after_ffn)(x, prompt, hw, extra)
        return x

    def next_prompt(self, prompt: Optional[Tensor], tokens: Tensor,
                    enters_stage: bool) -> Optional[Tensor]:
        """Choose the prompt of the next layer."""
        if self.prompt_update == 'layer' or (self.prompt_update == 'paper'
                                             and enters_stage):
            return tokens
        return prompt


TUNINGS: Dict[str, Type[Tuning]] = dict(
    iv=IVTuning,
    full=FullTuning,
    frozen=FrozenTuning,
    visible=VisibleTuning,
    lora=LoRATuning,
    adaptformer=AdaptFormerTuning,
    vpt_deep=DeepPromptTuning,
    bitfit=BiasTuning)


DUAL = 'dual'
# Arguments of a backbone that fit one way of tuning only.
_OWN = ('tuning', 'tuning_options', 'prompt_init', 'with_simam')


def retuned(backbone: Mapping[str, Any],
            tuning: str,
            arguments: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
    """Return the config of a backbone with another way of tuning.

    Args:
        backbone (Mapping): Config of one of this package's backbones.
        tuning (str): A key of ``TUNINGS``, or ``'dual'``:
            :class:`DualBackbone` of it.
        arguments (Mapping, optional): Of the backbone, instead of those that
            belong to its own way of tuning. Default: None, which keeps these
            where it is tuned in this way already.

    Returns:
        dict: A copy.

    Raises:
        ValueError: If there is no such tuning.
    """
    if tuning not in (*TUNINGS, DUAL):
        raise ValueError(f'tuning must be one of {(*TUNINGS, DUAL)}, found '
                         f'{tuning!r}')
    kept = arguments is None and tuning == backbone.get('tuning', 'iv')
    config = copy.deepcopy({
        key: value for key, value in backbone.items()
        if kept or key not in _OWN
    })
    config.update(copy.deepcopy(dict(arguments or {})))
    if tuning == DUAL:
        return dict(type='mmivtuning.DualBackbone', backbone=config)
    return dict(config, tuning=tuning)


def build_tuning(name: str, options: Optional[Mapping[str, Any]]) -> Tuning:
    """Build a way of tuning.

    Args:
        name (str): A key of ``TUNINGS``.
        options (Mapping, optional): Its arguments.

    Returns:
        Tuning: The way of tuning.

    Raises:
        ValueError: If there is no such tuning, or it has no such option, or
            the option not this value.
    """
    if not isinstance(name, str) or name not in TUNINGS:
        raise ValueError(
            f'tuning must be one of {tuple(TUNINGS)}, found {name!r}')
    options = {} if options is None else options
    if not isinstance(options, Mapping):
        raise ValueError('tuning_options must be a dict or None, found '
                         f'{options!r}')
    known = list(inspect.signature(TUNINGS[name]).parameters)
    unknown = [key for key in options if key not in known]
    if unknown:
        raise ValueError(
            f'tuning={name!r} has no tuning_options {unknown}; it has '
            f'{known or "none at all"}')
    return TUNINGS[name](**options)
