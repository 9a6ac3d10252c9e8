"""Principal components of more features than memory holds."""

import numpy as np
import torch
from torch import Tensor

# Rows that are converted to float64 at once.
_ROWS = 4096
# A dimension whose deviation is below this share of its mean is constant: so
# much is the rounding of float32.
_CONSTANT = 1e-6


class StreamingMoments:
    r"""Number, mean and scatter matrix of features that come in batches.

    Batches are joined by the update of Chan, Golub and LeVeque (1983), which
    never subtracts large sums from each other:

    .. math::
        S \leftarrow S + S_b + \frac{n \, n_b}{n + n_b}
        (\mu_b - \mu)(\mu_b - \mu)^T

    All in float64; the memory is that of C x C numbers.

    Args:
        dims (int): Width C of the features.
        device (torch.device | str): Where to sum. Defaults to 'cpu'.
    """

    def __init__(self, dims: int, device: str = 'cpu') -> None:
        self.count = 0
        self.mean = torch.zeros(dims, dtype=torch.float64, device=device)
        self.scatter = torch.zeros(
            dims, dims, dtype=torch.float64, device=device)

    def update(self, features: Tensor) -> None:
        """Add features.

        Args:
            features (Tensor): Any float type, shape (..., C).

        Raises:
            ValueError: If the width is another, or a value is not finite.
        """
        dims = len(self.mean)
        if features.shape[-1] != dims:
            raise ValueError(f'expected features of width {dims}, found '
                             f'{features.shape[-1]}')
        for rows in features.detach().reshape(-1, dims).split(_ROWS):
            rows = rows.to(self.mean)
            if not torch.isfinite(rows).all():
                raise ValueError('features are not finite: NaN or infinite '
                                 'weights, or an overflow')
            self._join(rows)

    def _join(self, rows: Tensor) -> None:
        """Join float64 rows (n, C)."""
        count = len(rows)
        if not count:
            return
        mean = rows.mean(0)
        centred = rows - mean
        total = self.count + count
        step = mean - self.mean
        self.scatter += centred.t() @ centred
        self.scatter += torch.outer(step, step) * (self.count * count / total)
        self.mean += step * (count / total)
        self.count = total

    def covariance(self) -> np.ndarray:
        """Return the covariance, float64 (C, C).

        Raises:
            ValueError: If there are fewer than two features.
        """
        if self.count < 2:
            raise ValueError('a covariance needs two features or more, found '
                             f'{self.count}')
        return (self.scatter / (self.count - 1)).cpu().numpy()

    def correlation(self) -> np.ndarray:
        """Return the covariance of the z-scores of each dimension.

        Constant dimensions have no z-score and are left out.

        Returns:
            np.ndarray: float64 (K, K) with K <= C.

        Raises:
            ValueError: If there are fewer than two features.
        """
        covariance = self.covariance()
        deviation = np.sqrt(np.diag(covariance).clip(0))
        varies = deviation > _CONSTANT * np.abs(self.mean.cpu().numpy())
        deviation = deviation[varies]
        return covariance[varies][:, varies] / np.outer(deviation, deviation)


def eigenvalues(matrix: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of a covariance, largest first, none negative.

    Args:
        matrix (np.ndarray): Symmetric, float64 (C, C).
    """
    return np.linalg.eigvalsh(matrix)[::-1].clip(0)


def _shares(values: np.ndarray) -> np.ndarray:
    """Divide eigenvalues by their sum."""
    total = values.sum()
    if not total > 0:
        raise ValueError('the features do not vary: they have no principal '
                         'components')
    return values / total


def explained_variance(values: np.ndarray, components: int = 5) -> np.ndarray:
    """Share of the variance that each of the first components explains.

    Args:
        values (np.ndarray): Eigenvalues of a covariance, largest first.
        components (int): How many. Defaults to 5, as in Fig. 2.

    Returns:
        np.ndarray: float64 (components, ), 0 beyond the width of the
        features.

    Raises:
        ValueError: If all eigenvalues are 0.
    """
    shares = _shares(values)[:components]
    return np.pad(shares, (0, components - len(shares)))


def effective_rank(values: np.ndarray) -> float:
    r"""Effective rank (Roy & Vetterli, EUSIPCO 2007) of a covariance.

    .. math::
        \exp \left( - \sum_i p_i \ln p_i \right), \qquad
        p_i = \lambda_i / \Sigma_j \lambda_j

    The singular values of the definition are, for a covariance, its
    eigenvalues. From 1 (one direction) to C (all alike).

    Args:
        values (np.ndarray): Its eigenvalues, none negative.

    Raises:
        ValueError: If all are 0.
    """
    shares = _shares(values)
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))
