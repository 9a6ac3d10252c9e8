r"""Spectra of both modalities (Fig. 3 of https://arxiv.org/abs/2412.16654).

A map x is centred and windowed before its transform:

.. math::
    P = |\mathcal{F}(w (x - \bar x_w))|^2 / \Sigma w^2, \qquad
    \bar x_w = \Sigma w x / \Sigma w

with a Hann window w, so that what differs between opposite edges does not
leak into every frequency, and a constant map has no energy at all. White
noise of variance v has P = v everywhere, for any size and window. The
frequency of a cell is its distance from 0 in fractions of the Nyquist
frequency (half a cycle a pixel along an axis); corners lie beyond 1.
"""

from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from torch import Tensor, nn

from mmivtuning.models.backbones.iv_tuning import IVTuningBackbone
from mmivtuning.models.modules import SplitFuseEnhancer
from mmivtuning.models.modules.modal_prompt import tokens_to_map
from mmivtuning.pairs import to_grey

# Where the low and the middle band end, in fractions of Nyquist.
BAND_EDGES = (0.25, 0.5)
BANDS = ('low', 'mid', 'high')
MODALITIES = ('visible', 'infrared')
# Sides below it have too few frequencies for three bands.
SMALLEST_SIDE = 8
_MOST_BINS = 64
# Amplitudes are raised to it before their logarithm.
_FLOOR = 1e-8

# What is measured, in order. In the model, MP-alpha's enhancer sees the
# visible tokens only: for infrared it is what a convolution would do.
STAGES = dict(
    image='the image, grey, 0 to 1',
    tokens='after the patch embedding',
    normed='after the shared norm: before the linear projection',
    projection='after the linear projection: before the enhancer',
    split='channels of it before the 3x3 convolution of the enhancer',
    convolution='the same channels after the 3x3 convolution alone',
    enhancer='after the whole split-fuse enhancer')


def power_spectrum(maps: Tensor, window: bool = True) -> Tensor:
    """Power of every frequency of maps.

    Args:
        maps (Tensor): Real, shape (..., h, w).
        window (bool): Apply the Hann window. Defaults to True.

    Returns:
        Tensor: float64 (..., h, w), frequency 0 first, which has none.

    Raises:
        ValueError: If a side is less than 8.
    """
    height, width = maps.shape[-2:]
    if min(height, width) < SMALLEST_SIDE:
        raise ValueError(f'a map of {height} x {width} is too small for a '
                         f'spectrum, expected {SMALLEST_SIDE} or more: give '
                         'larger images')
    maps = maps.double()
    if window:
        rows, columns = (
            torch.hann_window(
                side, periodic=True, dtype=torch.float64, device=maps.device)
            for side in (height, width))
        weights = torch.outer(rows, columns)
    else:
        weights = torch.ones_like(maps[(0, ) * (maps.dim() - 2)])
    mean = (weights * maps).sum((-2, -1), keepdim=True) / weights.sum()
    transform = torch.fft.fft2(weights * (maps - mean))
    power = transform.real**2 + transform.imag**2
    power[..., 0, 0] = 0
    return power / (weights**2).sum()


def frequencies(height: int, width: int) -> Tensor:
    """Distance of every cell of a spectrum from frequency 0.

    Returns:
        Tensor: float64 (h, w), in fractions of Nyquist, up to the square
        root of 2.
    """
    rows = 2 * torch.fft.fftfreq(height, dtype=torch.float64)
    columns = 2 * torch.fft.fftfreq(width, dtype=torch.float64)
    return torch.hypot(rows[:, None], columns[None])


def check_edges(edges: Tuple[float, float]) -> Tuple[float, float]:
    """Return band edges that are in order.

    Raises:
        ValueError: If they are not 0 < low < high < 1.
    """
    low, high = edges
    if not 0 < low < high < 1:
        raise ValueError('band edges are fractions of Nyquist, 0 < low < high '
                         f'< 1, got {low} and {high}')
    return low, high


def band_shares(power: Tensor,
                edges: Tuple[float, float] = BAND_EDGES) -> np.ndarray:
    """Share of the energy in the low, middle and high band.

    Args:
        power (Tensor): Spectrum, shape (h, w).
        edges (tuple[float, float]): Where the low and the middle band end.
            The high band goes on to the corners.

    Returns:
        np.ndarray: float64 (3, ), which sum to 1; NaN without any energy.
    """
    radius = frequencies(*power.shape).to(power.device)
    band = torch.bucketize(
        radius.flatten(), torch.tensor(edges, device=power.device).double(),
        right=True)
    energy = torch.zeros(3, dtype=torch.float64, device=power.device)
    energy.index_add_(0, band, power.flatten())
    energy = energy.cpu().numpy()
    total = energy.sum()
    return energy / total if total > 0 else np.full(3, np.nan)


def radial_log_amplitude(power: Tensor, bins: int) -> np.ndarray:
    """Average the logarithm of the amplitude over rings of frequencies.

    Args:
        power (Tensor): Spectra, shape (D, h, w), averaged over D too.
        bins (int): Rings between 0 and Nyquist; frequency 0 and the corners
            beyond Nyquist are in none.

    Returns:
        np.ndarray: float64 (bins, ), logarithms to base 10; NaN for a ring
        in which a map of this size has no frequency.
    """
    height, width = power.shape[-2:]
    ring = torch.ceil(frequencies(height, width) * bins - 1e-9).long() - 1
    inside = (ring >= 0) & (ring < bins)
    ring = ring[inside].to(power.device)
    logarithm = power.sqrt().clamp(min=_FLOOR).log10().mean(0)
    sums = torch.zeros(bins, dtype=torch.float64, device=power.device)
    sums.index_add_(0, ring, logarithm[inside.to(power.device)])
    counts = torch.bincount(ring, minlength=bins)
    return (sums / counts).cpu().numpy()


class RunningMean:
    """Mean and standard deviation of vectors that come one by one.

    NaN are left out, each place on its own (Welford, 1962).

    Args:
        length (int): Of the vectors.
    """

    def __init__(self, length: int) -> None:
        self.counts = np.zeros(length, dtype=np.int64)
        self._mean = np.zeros(length)
        self._squares = np.zeros(length)

    def update(self, values: np.ndarray) -> None:
        """Add a vector, float64 (length, )."""
        known = ~np.isnan(values)
        self.counts += known
        step = np.where(known, values - self._mean, 0)
        self._mean += step / np.maximum(self.counts, 1)
        self._squares += step * np.where(known, values - self._mean, 0)

    @property
    def mean(self) -> np.ndarray:
        """The means, NaN where nothing was added."""
        return np.where(self.counts > 0, self._mean, np.nan)

    @property
    def std(self) -> np.ndarray:
        """The deviations (n - 1), NaN of less than two."""
        return np.where(
            self.counts > 1,
            np.sqrt(self._squares / np.maximum(self.counts - 1, 1)), np.nan)


class StageSpectrum:
    """The spectrum of one modality at one stage, over images.

    The energy of a map is summed over its channels: strong ones count more.

    Args:
        channels (int): Channels of the maps.
        side (int): The shorter side of the first map: the rings of the
            radial average are as fine as its frequencies.
        edges (tuple[float, float]): See :func:`band_shares`.
    """

    def __init__(self, channels: int, side: int,
                 edges: Tuple[float, float]) -> None:
        self.channels = channels
        self.bins = min(side // 2, _MOST_BINS)
        self.edges = edges
        self.shares = RunningMean(3)
        self.energy = RunningMean(1)
        self.radial = RunningMean(self.bins)
        self.blank = 0

    def update(self, maps: Tensor) -> None:
        """Add the maps of one image, shape (D, h, w).

        Constant ones, as of a missing modality, have no spectrum and are
        counted only.
        """
        power = power_spectrum(maps)
        total = power.sum(0)
        # what the rounding of float32 leaves of a constant map
        scale = maps.double().square().sum().item()
        if total.sum().item() <= 1e-12 * scale or scale == 0:
            self.blank += 1
            return
        self.shares.update(band_shares(total, self.edges))
        self.energy.update(np.array([total.mean().item()]))
        self.radial.update(radial_log_amplitude(power, self.bins))

    @property
    def centres(self) -> np.ndarray:
        """Middle of each ring, in fractions of Nyquist."""
        return (np.arange(self.bins) + 0.5) / self.bins


class StageRow(NamedTuple):
    """What is measured of one modality at one stage."""

    modality: str
    stage: str
    images: int
    blank: int
    channels: int
    energy: float  # mean over frequencies, summed over channels
    mean: Tuple[float, ...]  # shares of the bands
    std: Tuple[float, ...]

    @classmethod
    def of(cls, modality: str, stage: str,
           spectrum: StageSpectrum) -> 'StageRow':
        """Make the row of a spectrum."""
        return cls(modality, stage, int(spectrum.shares.counts[0]),
                   spectrum.blank, spectrum.channels,
                   float(spectrum.energy.mean[0]),
                   tuple(map(float, spectrum.shares.mean)),
                   tuple(map(float, spectrum.shares.std)))


class SpectrumStudy:
    """Spectra by modality and stage, over images.

    Args:
        edges (tuple[float, float]): See :func:`band_shares`.

    Raises:
        ValueError: If they are not in order.
    """

    def __init__(self,
                 edges: Tuple[float, float] = BAND_EDGES) -> None:
        self.edges = check_edges(edges)
        self.spectra: Dict[Tuple[str, str], StageSpectrum] = {}

    def update(self, modality: str, stage: str, maps: Tensor) -> None:
        """Add the maps of a batch, shape (B, D, h, w)."""
        key = (modality, stage)
        for each in maps:
            if key not in self.spectra:
                self.spectra[key] = StageSpectrum(
                    len(each), min(each.shape[-2:]), self.edges)
            self.spectra[key].update(each)

    def rows(self) -> List[StageRow]:
        """List what was measured, by stage, then modality."""
        return [
            StageRow.of(*key, self.spectra[key]) for stage in STAGES
            for key in ((modality, stage) for modality in MODALITIES)
            if key in self.spectra
        ]

    def stages(self) -> List[str]:
        """List the stages that were measured."""
        return [
            stage for stage in STAGES
            if any((m, stage) in self.spectra for m in MODALITIES)
        ]


def image_maps(image: np.ndarray) -> Iterator[Tuple[str, Tensor]]:
    """Yield the grey plane of each modality of a pair.

    Args:
        image (np.ndarray): 0 to 255, (H, W, 4), B, G, R, infrared.

    Yields:
        tuple[str, Tensor]: The modality and its plane, float64 (1, 1, H, W),
        0 to 1.
    """
    grey = to_grey(np.ascontiguousarray(image[..., :3]))
    for modality, plane in zip(MODALITIES, (grey, image[..., 3])):
        values = np.ascontiguousarray(plane, dtype=np.float64) / 255
        yield modality, torch.from_numpy(values)[None, None]


def check_backbone(backbone: nn.Module) -> Optional[str]:
    """Say which stages a backbone lacks, if it lacks any.

    Raises:
        ValueError: If its token maps are not known here.
    """
    if not isinstance(backbone, IVTuningBackbone):
        raise ValueError(
            f'spectra of token maps need a backbone of mmivtuning that '
            f'embeds both modalities, found a {type(backbone).__name__}; '
            'without a config, spectra of the images are measured')
    if not hasattr(backbone, 'prompt_alpha'):
        return (f'tuning={backbone.tuning!r} has no prompts: the linear '
                'projection and the enhancer are not measured')
    return None


def token_maps(backbone: nn.Module,
               inputs: Tensor) -> Iterator[Tuple[str, str, Tensor]]:
    """Yield the maps of both modalities on their way through MP-alpha.

    Infrared goes through the enhancer as well, with the same weights unless
    it has its own (``infrared_path='convolution'``): the model of the paper
    does not do that, it is what is compared with.

    Args:
        backbone (nn.Module): One that passed :func:`check_backbone`.
        inputs (Tensor): Normalised R, G, B, infrared, (B, 4, H, W).

    Yields:
        tuple[str, str, Tensor]: Modality, stage and map (B, D, h, w).
    """
    alpha = getattr(backbone, 'prompt_alpha', None)
    planes = dict(
        visible=inputs[:, :3],
        infrared=inputs[:, 3:].expand(-1, backbone.infrared_channels, -1, -1))
    embeds = dict(
        visible=backbone.patch_embed, infrared=backbone.infrared_embed)
    if backbone.tuning == 'visible':
        planes.pop('infrared')
    for modality, image in planes.items():
        tokens, hw = embeds[modality](image)
        yield modality, 'tokens', tokens_to_map(tokens, hw)
        if alpha is None:
            continue
        tokens = backbone.prompt_norm(tokens)
        yield modality, 'normed', tokens_to_map(tokens, hw)
        down = getattr(alpha, f'{modality}_down')
        projected = tokens_to_map(down(tokens), hw)
        yield modality, 'projection', projected
        enhance = _enhancer(alpha, modality)
        split = projected[:, :enhance.split].contiguous()
        yield modality, 'split', split
        yield modality, 'convolution', enhance.depthwise(split)
        yield modality, 'enhancer', enhance(projected)


def _enhancer(alpha: nn.Module, modality: str) -> nn.Module:
    """Find the enhancer of a modality; infrared seldom has its own."""
    own = [
        module for module in alpha.attention.modules()
        if isinstance(module, SplitFuseEnhancer)
    ]
    return own[0] if modality == 'infrared' and own else alpha.enhance
