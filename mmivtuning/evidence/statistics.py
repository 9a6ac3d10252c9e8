"""What few seeds and few pairs allow one to say.

Two things vary: the training (its seed) and the pairs that are tested on.
Each has an interval of its own, of paired differences:

- *over seeds*: Student's t below ten seeds. A bootstrap of three seeds knows
  ten different resamples and covers far less than it says; from ten seeds on
  it is the percentile bootstrap.
- *over pairs*: the percentile bootstrap of the validation pairs, the same
  resample for both methods and all seeds, of the mean difference over seeds.
  It takes the trained models as they are.
"""

import warnings
from inspect import signature
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from scipy import stats

LEVEL = 0.95
RESAMPLES = 4000
# Fewer seeds are too few for a bootstrap.
BOOTSTRAP_SEEDS = 10
_SEED = 0
Interval = Tuple[float, float]


class Difference(NamedTuple):
    """How much better one method is than another, in points.

    Args:
        by_seed (dict[int, float]): Of each seed that both have.
        mean (float): Over them.
        deviation (float): Standard deviation over them, NaN for one.
        seeds (tuple, optional): Interval over seeds; None for fewer than
            two.
        pairs (tuple, optional): Interval over pairs; None where what
            single pairs contribute is unknown.
    """

    by_seed: Dict[int, float]
    mean: float
    deviation: float
    seeds: Optional[Interval]
    pairs: Optional[Interval]

    @property
    def verdict(self) -> str:
        """What may be said of ``mean > 0``; see :func:`judge`."""
        return judge(self)


def deviation(values: Sequence[float]) -> float:
    """Return the sample standard deviation, NaN for fewer than two."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float('nan')


def _bootstrap(sample: np.ndarray, statistic: callable) -> Interval:
    """Return a percentile interval, always the same for the same sample."""
    # scipy renamed its argument.
    name = ('rng' if 'rng' in signature(stats.bootstrap).parameters else
            'random_state')
    with warnings.catch_warnings():
        # A sample of equal values has an interval of no width.
        warnings.simplefilter('ignore')
        found = stats.bootstrap(
            (sample, ),
            statistic,
            n_resamples=RESAMPLES,
            batch=200,
            confidence_level=LEVEL,
            method='percentile',
            vectorized=True,
            **{name: np.random.default_rng(_SEED)})
    interval = found.confidence_interval
    return float(interval.low), float(interval.high)


def interval_over_seeds(values: Sequence[float]) -> Optional[Interval]:
    """Return the interval of a mean over seeds.

    Args:
        values (Sequence[float]): One a seed.

    Returns:
        tuple[float, float] | None: None for fewer than two values.
    """
    number = len(values)
    if number < 2:
        return None
    if number >= BOOTSTRAP_SEEDS:
        return _bootstrap(np.asarray(values, float), np.mean)
    mean = float(np.mean(values))
    half = float(
        stats.t.ppf((1 + LEVEL) / 2, number - 1) * deviation(values) /
        np.sqrt(number))
    return mean - half, mean + half


def figure_of(samples: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Compute a measure of chosen pairs.

    Args:
        samples (np.ndarray): float (S, P, 2, C): areas of intersection and
            union of S seeds, P pairs, C classes, whose measure is the mIoU;
            or float (S, P): figures, whose measure is the mean.
        places (np.ndarray): int (..., P), pairs, repetitions included.

    Returns:
        np.ndarray: float (S, ...), in percent. As in mmseg, a class that
        occurs neither in the truth nor in the prediction does not count.
    """
    chosen = samples[:, places]
    if samples.ndim == 2:
        return 100 * chosen.mean(-1)
    areas = chosen.sum(-3)
    with np.errstate(divide='ignore', invalid='ignore'):
        overlap = areas[..., 0, :] / areas[..., 1, :]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)
        return 100 * np.nanmean(overlap, -1)


def predicts_one_class(samples: Optional[np.ndarray]) -> bool:
    """Return whether a segmentor gets one class right and no other.

    Args:
        samples (np.ndarray, optional): Of one seed; see :func:`figure_of`.
            Without classes, or None, the answer is no.
    """
    return (samples is not None and samples.ndim == 3
            and int((samples[:, 0].sum(0) > 0).sum()) < 2)


def interval_over_pairs(better: Sequence[np.ndarray],
                        than: Sequence[np.ndarray]) -> Optional[Interval]:
    """Return the interval of a mean difference over the tested pairs.

    Args:
        better (Sequence[np.ndarray]): Samples of one method, one a seed; see
            :func:`figure_of`.
        than (Sequence[np.ndarray]): Of the other, of the same seeds. Both
            may be float (1, R) instead: the measures, 0 to 1, of R resamples
            of the pairs that are the same for all.

    Returns:
        tuple[float, float] | None: None for fewer than two pairs or samples
        of different shapes.
    """
    if len({sample.shape for sample in [*better, *than]}) != 1:
        return None
    first, second = np.stack(better), np.stack(than)
    if first.ndim == 3:
        gaps = 100 * (first - second)[:, 0].mean(0)
        if not np.isfinite(gaps).any():
            return None
        tail = (1 - LEVEL) / 2
        low, high = np.nanquantile(gaps, [tail, 1 - tail])
        return float(low), float(high)
    if first.shape[1] < 2:
        return None

    def difference(places: np.ndarray, axis: int = -1) -> np.ndarray:
        places = places.astype(int)
        gap = figure_of(first, places) - figure_of(second, places)
        return gap.mean(0)

    return _bootstrap(np.arange(first.shape[1]), difference)


def compare(better: Dict[int, float],
            than: Dict[int, float],
            samples: Optional[Tuple[List[np.ndarray],
                                    List[np.ndarray]]] = None
            ) -> Optional[Difference]:
    """Compare two methods seed by seed.

    Args:
        better (dict[int, float]): Score of one method by seed, in points.
        than (dict[int, float]): Of the other.
        samples (tuple, optional): What single pairs contributed to both, of
            the seeds that both have. Default: None.

    Returns:
        Difference | None: None if there is no seed that both have.
    """
    seeds = sorted(set(better) & set(than))
    if not seeds:
        return None
    gaps = {seed: better[seed] - than[seed] for seed in seeds}
    values = list(gaps.values())
    return Difference(
        gaps, float(np.mean(values)), deviation(values),
        interval_over_seeds(values),
        interval_over_pairs(*samples) if samples else None)


def judge(difference: Optional[Difference]) -> str:
    """Say whether a method is better than another.

    Returns:
        str: ``'holds'``: both intervals lie above 0. ``'fails'``: both below
        0. Followed by ``' over seeds'`` where there is no interval over
        pairs. ``'points towards'`` and ``'points against'``: every seed has
        that sign, but an interval reaches over 0. ``'undecided'``: seeds
        disagree. ``'not measured'``: fewer than two seeds.
    """
    if difference is None or difference.seeds is None:
        return 'not measured'
    intervals, reach = [difference.seeds], ' over seeds'
    if difference.pairs is not None:
        intervals.append(difference.pairs)
        reach = ''
    if all(low > 0 for low, _ in intervals):
        return 'holds' + reach
    if all(high < 0 for _, high in intervals):
        return 'fails' + reach
    gaps = list(difference.by_seed.values())
    if all(gap > 0 for gap in gaps):
        return 'points towards'
    if all(gap < 0 for gap in gaps):
        return 'points against'
    return 'undecided'
