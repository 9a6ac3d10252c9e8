"""MP-alpha and MP-beta, the modal prompts of IV-tuning (Fig. 4 and 5).

Tokens have the shape (B, N, C) with N = h * w in row-major order. A map is a
view of them, (B, h, w, D) -> (B, D, h, w): channels last in memory, no copy.
(The authors' detection code takes it as w x h: wrong if h differs from w.)
"""

from functools import lru_cache
from typing import Callable, List, Tuple

import torch
import torch.nn.functional as F
from mmengine.utils import digit_version
from torch import Tensor, nn

from .lean import add_branches
from .recompute import is_compiling
from .scale_shift import ScaleShift
from .simam import SimAM
from .split_fuse_enhancer import SplitFuseEnhancer

PROMPT_INITS = ('paper', 'identity')
INFRARED_PATHS = ('linear', 'convolution')


def tokens_to_map(tokens: Tensor, hw: Tuple[int, int]) -> Tensor:
    """View tokens (B, h * w, D) as a map (B, D, h, w)."""
    # not unflatten, which exporters to ONNX make a constant size of
    return tokens.reshape(tokens.shape[0], *hw,
                          tokens.shape[2]).permute(0, 3, 1, 2)


def map_to_tokens(feature: Tensor) -> Tensor:
    """View a map (B, D, h, w), channels last, as tokens (B, h * w, D)."""
    return feature.permute(0, 2, 3, 1).flatten(1, 2)


def _check(name: str,
           tokens: Tensor,
           embed_dims: int,
           hw: Tuple[int, int],
           extra: int = 0) -> None:
    """Raise if tokens do not have the shape (B, E + h * w, C)."""
    expected = (extra + hw[0] * hw[1], embed_dims)
    if tokens.dim() != 3 or tuple(tokens.shape[1:]) != expected:
        raise ValueError(
            f'{name} tokens must have the shape (B, {expected[0]}, '
            f'{embed_dims}) for hw={tuple(hw)} and {extra} extra tokens, '
            f'found {tuple(tokens.shape)}')


class ModalPrompt(nn.Module):
    """What both prompt blocks share: all of their parameters train."""

    def __init__(self, prompt_init: str) -> None:
        super().__init__()
        if prompt_init not in PROMPT_INITS:
            raise ValueError(f'prompt_init must be one of {PROMPT_INITS}, '
                             f'found {prompt_init!r}')

    @staticmethod
    def build_attention(channels: int, with_simam: bool, infrared_path: str,
                        split_ratio: int) -> nn.Module:
        """Build what looks at the map of the infrared or prompt path."""
        if infrared_path not in INFRARED_PATHS:
            raise ValueError(
                f'infrared_path must be one of {INFRARED_PATHS}, '
                f'found {infrared_path!r}')
        attention = SimAM() if with_simam else nn.Identity()
        if infrared_path == 'linear':
            return attention
        return nn.Sequential(
            SplitFuseEnhancer(channels, split_ratio), attention)

    def tuned_parameters(self) -> List[str]:
        """Declare what trains, for :mod:`mmivtuning.models.freezing`."""
        return [name for name, _ in self.named_parameters()]


class ModalPromptAlpha(ModalPrompt):
    r"""MP-alpha: fuse both modalities into the initial prompt.

    .. math::
        P^0 = W_{up} (SFE(W_v v) + SimAM(W_t t))

    The infrared path is linear by design: convolutions lose the low
    frequencies (Fig. 3). On tokens the 1x1 convolutions are linear layers.

    Args:
        embed_dims (int): Token width C.
        hidden_dims (int): Width of both paths, a multiple of 4.
            Defaults to 8.
        prompt_init (str): ``'paper'``: weights Xavier-uniform, biases as
            torch sets them. ``'identity'``: the same with W_up zero, so that
            the initial prompt is 0. Defaults to ``'paper'``.
        with_simam (bool): Use SimAM for infrared. Defaults to True.
        split_ratio (int): See :class:`SplitFuseEnhancer`. Defaults to 4.
        infrared_path (str): ``'linear'``, or ``'convolution'``, with which
            infrared goes through an SFE, too. Defaults to ``'linear'``.
    """

    def __init__(self,
                 embed_dims: int,
                 hidden_dims: int = 8,
                 prompt_init: str = 'paper',
                 with_simam: bool = True,
                 split_ratio: int = 4,
                 infrared_path: str = 'linear') -> None:
        super().__init__(prompt_init)
        self.embed_dims = embed_dims
        self.visible_down = nn.Linear(embed_dims, hidden_dims)
        self.infrared_down = nn.Linear(embed_dims, hidden_dims)
        self.enhance = SplitFuseEnhancer(hidden_dims, split_ratio)
        self.attention = self.build_attention(hidden_dims, with_simam,
                                              infrared_path, split_ratio)
        self.up = nn.Linear(hidden_dims, embed_dims)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                nn.init.xavier_uniform_(module.weight)
        if prompt_init == 'identity':
            nn.init.zeros_(self.up.weight)
            nn.init.zeros_(self.up.bias)

    def forward(self, visible: Tensor, infrared: Tensor,
                hw: Tuple[int, int]) -> Tensor:
        """Make the initial prompt P0, shape (B, h * w, C).

        Args:
            visible (Tensor): Visible tokens v, shape (B, h * w, C), after
                the LayerNorm that both modalities share.
            infrared (Tensor): Infrared tokens t, shape and norm alike.
            hw (tuple[int, int]): The grid (h, w).
        """
        _check('visible', visible, self.embed_dims, hw)
        _check('infrared', infrared, self.embed_dims, hw)
        visible = self.enhance(tokens_to_map(self.visible_down(visible), hw))
        infrared = self.attention(
            tokens_to_map(self.infrared_down(infrared), hw))
        return self.up(map_to_tokens(visible + infrared))


class ModalPromptBeta(ModalPrompt):
    r"""MP-beta: adapt the tokens of a layer and inject the prompt again.

    .. math::
        x + W_2 \, Dropout(GELU(SFE(W_1 \, SFT_{LN}(x))))
        + GELU(SFT(U_2 \, GELU(SimAM(U_1 \, SFT_{LN}(P)))))

    Args:
        embed_dims (int): Token width C.
        hidden_dims (int): Width of the token branch, a multiple of 4.
            Defaults to 64.
        prompt_dims (int): Width of the prompt branch. Defaults to 8.
        drop_rate (float): Dropout of the token branch. Defaults to 0.1.
        prompt_init (str): ``'paper'``: linear layers truncated-normal with
            std 0.02 and zero bias, convolutions as torch sets them.
            ``'identity'``: the same with W_2 and U_2 zero, so that the block
            returns its input. Defaults to ``'paper'``.
        with_simam (bool): Use SimAM for the prompt. Defaults to True.
        split_ratio (int): See :class:`SplitFuseEnhancer`. Defaults to 4.
        infrared_path (str): ``'linear'``, or ``'convolution'``, with which
            the prompt goes through an SFE, too. Defaults to ``'linear'``.
        compile_training (bool): Whether torch.compile fuses the block where
            it trains: it is many small operations, whose launches cost a GPU
            more than their arithmetic. Defaults to False.

    Raises:
        ValueError: If ``compile_training`` is asked of a torch older than
            2.5, which would compile every block anew.
    """

    def __init__(self,
                 embed_dims: int,
                 hidden_dims: int = 64,
                 prompt_dims: int = 8,
                 drop_rate: float = 0.1,
                 prompt_init: str = 'paper',
                 with_simam: bool = True,
                 split_ratio: int = 4,
                 infrared_path: str = 'linear',
                 compile_training: bool = False) -> None:
        super().__init__(prompt_init)
        if compile_training and digit_version(
                torch.__version__) < digit_version('2.5'):
            raise ValueError('compile_training needs torch 2.5 or newer, '
                             f'found {torch.__version__}')
        self.compile_training = compile_training
        self.embed_dims = embed_dims
        self.token_norm = ScaleShift(embed_dims)
        self.token_down = nn.Linear(embed_dims, hidden_dims)
        self.enhance = SplitFuseEnhancer(hidden_dims, split_ratio)
        self.dropout = nn.Dropout(drop_rate)
        self.token_up = nn.Linear(hidden_dims, embed_dims)
        self.prompt_norm = ScaleShift(embed_dims)
        self.prompt_down = nn.Linear(embed_dims, prompt_dims)
        self.attention = self.build_attention(prompt_dims, with_simam,
                                              infrared_path, split_ratio)
        self.prompt_up = nn.Linear(prompt_dims, embed_dims)
        self.prompt_scale = ScaleShift(embed_dims, with_norm=False)
        for linear in (self.token_down, self.token_up, self.prompt_down,
                       self.prompt_up):
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)
        if prompt_init == 'identity':
            nn.init.zeros_(self.token_up.weight)
            nn.init.zeros_(self.prompt_up.weight)

    def forward(self,
                tokens: Tensor,
                prompt: Tensor,
                hw: Tuple[int, int],
                extra: int = 0) -> Tensor:
        """Adapt the tokens and inject the prompt, shape (B, E + h * w, C).

        Args:
            tokens (Tensor): Tokens x, shape (B, E + h * w, C).
            prompt (Tensor): The prompt P, shape (B, h * w, C), or tokens
                of a layer, shape (B, E + h * w, C).
            hw (tuple[int, int]): The grid (h, w).
            extra (int): Number E of tokens before the patches, a class
                token for one: the block passes them on as they are and
                sees none of them. Defaults to 0.
        """
        _check('patch', tokens, self.embed_dims, hw, extra)
        of_patches = prompt.shape[1] == hw[0] * hw[1]
        lead = 0 if of_patches else extra
        _check('prompt', prompt, self.embed_dims, hw, lead)
        if self.compile_training and self.training and not is_compiling():
            return compiled_adapt()(self, tokens, prompt, hw, extra, lead)
        return self.adapt(tokens, prompt, hw, extra, lead)

    def adapt(self, tokens: Tensor, prompt: Tensor, hw: Tuple[int, int],
              extra: int, lead: int) -> Tensor:
        """Do what :meth:`forward` says; the prompt leads with some tokens."""
        # Whole tensors are projected, and cut where they are narrow.
        hidden = self.token_norm.project(tokens, self.token_down)
        prompt = self.prompt_norm.project(prompt, self.prompt_down)
        if extra:
            hidden = hidden.narrow(1, extra, hidden.shape[1] - extra)
        if lead:
            prompt = prompt.narrow(1, lead, prompt.shape[1] - lead)
        hidden = map_to_tokens(self.enhance(tokens_to_map(hidden, hw)))
        prompt = map_to_tokens(self.attention(tokens_to_map(prompt, hw)))
        return add_branches(tokens, hidden, self.token_up, F.gelu(prompt),
                            self.prompt_scale.gamma, self.prompt_scale.beta,
                            self.prompt_up,
                            self.dropout.p if self.training else 0.)


@lru_cache(maxsize=None)
def compiled_adapt() -> Callable[..., Tensor]:
    """Return :meth:`ModalPromptBeta.adapt`, compiled once for all blocks."""
    return torch.compile(ModalPromptBeta.adapt)
