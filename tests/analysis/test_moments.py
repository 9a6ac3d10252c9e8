"""Streaming principal components against those of all features at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from mmivtuning.analysis import (
    StreamingMoments,
    effective_rank,
    explained_variance,
)
from mmivtuning.analysis.moments import eigenvalues


def features(count: int, dims: int, offset: float = 0.) -> torch.Tensor:
    """Correlated features of unequal scales, far from 0."""
    generator = torch.Generator().manual_seed(count + dims)
    mixing = torch.randn(dims, dims, generator=generator).double()
    values = torch.randn(count, dims, generator=generator).double() @ mixing
    return values * torch.logspace(-2, 2, dims).double() + offset


def stream(values: torch.Tensor, sizes: list) -> StreamingMoments:
    """Feed features in batches of these sizes."""
    moments = StreamingMoments(values.shape[1])
    for part in values.split(sizes):
        moments.update(part)
    return moments


@pytest.mark.parametrize('offset', [0., 1e5])
def test_equals_pca_of_all(offset):
    values = features(500, 12, offset)
    moments = stream(values, [1, 7, 192, 299, 1])
    pca = PCA(5, svd_solver='full').fit(values.numpy())
    found = explained_variance(eigenvalues(moments.covariance()))
    np.testing.assert_allclose(
        found, pca.explained_variance_ratio_, rtol=0, atol=1e-8)
    assert moments.count == 500


def test_correlation_equals_svd_of_z_scores():
    values = features(400, 9, 1e3).numpy()
    moments = stream(torch.from_numpy(values), [100, 300])
    scores = (values - values.mean(0)) / values.std(0)
    singular = np.linalg.svd(scores, compute_uv=False)
    np.testing.assert_allclose(
        explained_variance(eigenvalues(moments.correlation())),
        (singular**2 / (singular**2).sum())[:5],
        rtol=0,
        atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_batches_do_not_matter(sizes):
    values = features(sum(sizes) + 2, 4, 1e4)
    moments = stream(values, [*sizes, 2])
    expected = np.cov(values.numpy().T)
    np.testing.assert_allclose(
        moments.covariance(), expected, rtol=1e-7,
        atol=1e-9 * np.abs(expected).max())


def test_long_batches_are_cut():
    values = features(9000, 3)
    moments = StreamingMoments(3)
    moments.update(values.float().reshape(3, 3000, 3))
    np.testing.assert_allclose(
        moments.covariance(), np.cov(values.float().double().numpy().T),
        rtol=1e-9)


def test_constant_dimension_has_no_z_score():
    values = features(50, 4)
    values[:, 1] = 3.7
    moments = StreamingMoments(4)
    moments.update(values.float())
    assert moments.correlation().shape == (3, 3)
    assert np.isfinite(moments.correlation()).all()


def test_explained_variance_of_narrow_features():
    np.testing.assert_allclose(
        explained_variance(np.array([3., 1.])), [.75, .25, 0, 0, 0])


@pytest.mark.parametrize(('values', 'expected'), [
    ([1.] * 7, 7),
    ([2., 0., 0.], 1),
    ([.5, .25, .25], 2**1.5),
    ([5., 5., 0.], 2),
])
def test_effective_rank_of_known_spectra(values, expected):
    assert effective_rank(np.array(values)) == pytest.approx(expected)


def test_effective_rank_is_that_of_the_covariance():
    matrix = np.diag([4., 2., 1., 1.])
    singular = np.linalg.svd(matrix, compute_uv=False)
    shares = singular / singular.sum()
    assert effective_rank(eigenvalues(matrix)) == pytest.approx(
        np.exp(-(shares * np.log(shares)).sum()))


@pytest.mark.parametrize('values', [[[1., float('nan')]] * 3,
                                    [[float('inf'), 1.]] * 3])
def test_features_that_are_not_finite(values):
    with pytest.raises(ValueError, match='not finite'):
        StreamingMoments(2).update(torch.tensor(values))


def test_features_that_do_not_fit():
    moments = StreamingMoments(3)
    with pytest.raises(ValueError, match='width 3, found 2'):
        moments.update(torch.zeros(5, 2))
    with pytest.raises(ValueError, match='two features or more, found 0'):
        moments.covariance()
    moments.update(torch.ones(4, 3))
    with pytest.raises(ValueError, match='do not vary'):
        effective_rank(eigenvalues(moments.covariance()))
    with pytest.raises(ValueError, match='do not vary'):
        effective_rank(eigenvalues(moments.correlation()))
