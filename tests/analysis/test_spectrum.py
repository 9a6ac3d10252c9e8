"""Spectra of gratings, noise and edges whose frequencies are known."""

import numpy as np
import pytest
import torch

from mmivtuning.analysis import (
    band_shares,
    power_spectrum,
    radial_log_amplitude,
)
from mmivtuning.analysis.spectrum import (
    RunningMean,
    SpectrumStudy,
    StageSpectrum,
    frequencies,
    image_maps,
)


def grating(size, frequency, angle=0.) -> torch.Tensor:
    """A sine of so many Nyquist frequencies, around 100."""
    rows, columns = np.mgrid[:size[0], :size[1]]
    along = columns * np.cos(angle) + rows * np.sin(angle)
    return torch.from_numpy(100 + 20 * np.sin(np.pi * frequency * along + 1))


def numpy_power(values: np.ndarray) -> np.ndarray:
    """The definition in the docstring of the module, in numpy."""
    rows, columns = (
        0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
        for n in values.shape)
    window = rows[:, None] * columns[None]
    centred = values - (window * values).sum() / window.sum()
    power = np.abs(np.fft.fft2(window * centred))**2 / (window**2).sum()
    power[0, 0] = 0
    return power


@pytest.mark.parametrize('size', [(40, 52), (33, 48)])
def test_equals_numpy(size):
    values = np.random.default_rng(1).normal(5, 2, size)
    power = power_spectrum(torch.from_numpy(values))
    np.testing.assert_allclose(power.numpy(), numpy_power(values), rtol=1e-9,
                               atol=1e-12)


def test_frequencies_equal_numpy():
    rows, columns = np.fft.fftfreq(9), np.fft.fftfreq(14)
    expected = np.hypot(rows[:, None], columns[None]) / 0.5
    np.testing.assert_allclose(frequencies(9, 14).numpy(), expected)


@pytest.mark.parametrize('window', [True, False])
def test_parseval(window):
    values = torch.randn(30, 44).double() + 7
    power = power_spectrum(values, window)
    weights = torch.ones(30, 44).double()
    if window:
        weights = torch.outer(
            torch.hann_window(30).double(), torch.hann_window(44).double())
    mean = (weights * values).sum() / weights.sum()
    energy = (weights * (values - mean)).square().sum()
    assert power.sum().item() / (30 * 44) == pytest.approx(
        (energy / weights.square().sum()).item(), rel=1e-6)


@pytest.mark.parametrize('size', [(64, 64), (60, 91)])
@pytest.mark.parametrize('angle', [0., 0.7, np.pi / 2])
@pytest.mark.parametrize(('frequency', 'band'), [(0.137, 0), (0.38, 1),
                                                 (0.71, 2)])
def test_grating_lands_in_its_band(size, angle, frequency, band):
    shares = band_shares(power_spectrum(grating(size, frequency, angle)))
    assert shares[band] > 0.99
    assert shares.sum() == pytest.approx(1)


def test_waves_of_all_directions_peak_in_their_ring():
    rows, columns = np.mgrid[:96, :96] - 47.5
    waves = np.sin(np.pi * 0.53 * np.hypot(rows, columns))
    amplitude = radial_log_amplitude(
        power_spectrum(torch.from_numpy(waves))[None], 48)
    assert abs(np.nanargmax(amplitude) - 0.53 * 48) < 2


def test_corner_frequencies_are_high():
    chessboard = grating((32, 32), 1., 0.) * 0
    chessboard[::2, ::2] = chessboard[1::2, 1::2] = 1
    assert band_shares(power_spectrum(chessboard))[2] > 0.95


@pytest.mark.parametrize('window', [True, False])
def test_white_noise_is_flat(window):
    noise = 3 * torch.randn(64, 96, 80)
    power = power_spectrum(noise, window).mean(0)
    inner = power.flatten()[1:]
    assert inner.mean().item() == pytest.approx(9, rel=0.02)
    amplitude = radial_log_amplitude(power_spectrum(noise, window), 16)
    assert np.ptp(amplitude[1:]) < 0.03
    radius = frequencies(96, 80).numpy()
    area = [(radius < .25).mean(), ((radius >= .25) & (radius < .5)).mean(),
            (radius >= .5).mean()]
    np.testing.assert_allclose(band_shares(power), area, atol=0.01)


def test_window_keeps_edges_from_leaking():
    ramp = torch.linspace(0, 1, 64).expand(64, 64)
    windowed = band_shares(power_spectrum(ramp))
    plain = band_shares(power_spectrum(ramp, window=False))
    assert windowed[2] < 1e-4 < 0.01 < plain[2]


def test_size_does_not_change_noise():
    small, large = (power_spectrum(torch.randn(16, n, n)).mean()
                    for n in (32, 128))
    assert small.item() == pytest.approx(large.item(), rel=0.05)


def test_small_maps_are_refused():
    with pytest.raises(ValueError, match='7 x 20 is too small'):
        power_spectrum(torch.zeros(2, 7, 20))


def test_constant_maps_are_counted_only():
    spectrum = StageSpectrum(3, 16, (0.25, 0.5))
    spectrum.update(torch.zeros(3, 16, 20))
    spectrum.update(torch.full((3, 16, 20), 0.1))
    assert spectrum.blank == 2
    assert np.isnan(spectrum.shares.mean).all()
    spectrum.update(torch.randn(3, 16, 20))
    assert spectrum.shares.counts.tolist() == [1, 1, 1]
    assert np.isnan(spectrum.shares.std).all()


def test_running_mean_leaves_out_nan():
    values = np.random.default_rng(0).normal(1e3, 1, (20, 3))
    values[3:7, 1] = np.nan
    values[:, 2] = np.nan
    running = RunningMean(3)
    for row in values:
        running.update(row)
    np.testing.assert_allclose(running.mean[:2],
                               np.nanmean(values[:, :2], 0))
    np.testing.assert_allclose(running.std[:2],
                               np.nanstd(values[:, :2], 0, ddof=1))
    assert np.isnan(running.mean[2])
    assert running.counts.tolist() == [20, 16, 0]


def test_sizes_mix():
    study = SpectrumStudy()
    for size in ((40, 48), (20, 24), (64, 40)):
        study.update('visible', 'image', torch.randn(1, 1, *size))
    row, = study.rows()
    assert row.images == 3
    assert sum(row.mean) == pytest.approx(1)
    assert study.spectra['visible', 'image'].bins == 20


@pytest.mark.parametrize('edges', [(0.5, 0.25), (0., 0.5), (0.2, 1.),
                                   (0.2, float('nan'))])
def test_edges_out_of_order(edges):
    with pytest.raises(ValueError, match='band edges'):
        SpectrumStudy(edges)


def test_planes_of_a_pair():
    image = np.random.default_rng(0).integers(0, 256, (10, 12, 4), np.uint8)
    image[..., :3] = image[..., :1]
    maps = dict(image_maps(image))
    np.testing.assert_allclose(maps['visible'][0, 0].numpy() * 255,
                               image[..., 0])
    np.testing.assert_allclose(maps['infrared'][0, 0].numpy() * 255,
                               image[..., 3])
