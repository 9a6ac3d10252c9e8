"""Intervals and verdicts."""

import numpy as np
import pytest
import torch

from mmivtuning.evidence.statistics import (
    Difference,
    compare,
    figure_of,
    interval_over_pairs,
    interval_over_seeds,
    judge,
)


def areas(seed, pairs=12, quality=0.8):
    """Areas of intersection and union of one seed, three classes."""
    random = np.random.default_rng(seed)
    union = random.integers(50, 100, (pairs, 3)).astype(float)
    return np.stack([np.floor(union * quality), union], 1)


def test_three_seeds_get_the_interval_of_student():
    # Mean 2, deviation 1, t = 4.302653 with two degrees of freedom.
    low, high = interval_over_seeds([1., 2., 3.])
    half = 4.302653 / np.sqrt(3)
    assert (low, high) == pytest.approx((2 - half, 2 + half), abs=1e-5)
    assert interval_over_seeds([1.]) is None


def test_it_covers_what_it_says_where_a_bootstrap_does_not():
    random = np.random.default_rng(0)
    covered = bootstrap = 0
    for _ in range(1000):
        values = random.normal(size=3)
        low, high = interval_over_seeds(values)
        covered += low < 0 < high
        # Of 27 resamples one each is all smallest, all largest.
        bootstrap += values.min() < 0 < values.max()
    assert 930 <= covered <= 970
    assert bootstrap < 800


def test_many_seeds_are_resampled():
    values = np.random.default_rng(1).normal(3, 1, 40)
    low, high = interval_over_seeds(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 / np.sqrt(40), rel=0.3)
    assert interval_over_seeds(values) == (low, high)


def test_the_measure_of_all_pairs_is_that_of_mmseg():
    metric = pytest.importorskip('mmseg.evaluation').IoUMetric
    random = torch.Generator().manual_seed(0)
    maps = torch.randint(0, 4, (5, 2, 9, 9), generator=random)
    maps[..., 0, 0] = 255
    results = [metric.intersect_and_union(p, t, 5, 255) for p, t in maps]
    samples = np.stack([np.stack([r[0].numpy(), r[1].numpy()])
                        for r in results])[None]
    found = figure_of(samples, np.arange(5))
    totals = [sum(part) for part in zip(*results)]
    expected = metric.total_area_to_metrics(*totals)['IoU']
    # The fifth class occurs nowhere.
    assert np.isnan(expected[4])
    assert found == pytest.approx([100 * np.nanmean(expected)])


def test_pairs_are_resampled_alike_for_both():
    better = [areas(s, quality=0.9) for s in range(3)]
    than = [areas(s, quality=0.8) for s in range(3)]
    low, high = interval_over_pairs(better, than)
    # Hard pairs are hard for both: the difference hardly varies.
    assert 8.5 < low < high < 11.5
    assert interval_over_pairs(better, than) == (low, high)
    means = [np.linspace(0, 1, 12)] * 2
    assert interval_over_pairs(means, means) == (0, 0)


def test_measures_of_resamples_that_were_drawn_before():
    random = np.random.default_rng(0)
    common = random.normal(0.3, 0.1, (1, 1000))
    noise = random.normal(0.02, 0.005, (3, 1, 1000))
    low, high = interval_over_pairs(list(common + noise), [common] * 3)
    # What both share cancels; three seeds of 0.5 points.
    assert low == pytest.approx(2 - 1.96 * 0.5 / np.sqrt(3), abs=0.05)
    assert high == pytest.approx(2 + 1.96 * 0.5 / np.sqrt(3), abs=0.05)
    common[0, :5] = np.nan  # without any box
    assert interval_over_pairs([common], [common]) == (0, 0)
    assert interval_over_pairs([common[:, :0]], [common[:, :0]]) is None


def test_samples_that_do_not_fit_give_no_interval():
    assert interval_over_pairs([areas(0, 12)], [areas(0, 11)]) is None
    assert interval_over_pairs([areas(0, 1)], [areas(0, 1)]) is None


def test_only_seeds_of_both_are_compared():
    found = compare({0: 50., 1: 60., 2: 70.}, {1: 55., 2: 69., 3: 0.})
    assert found.by_seed == {1: 5., 2: 1.}
    assert found.mean == 3
    assert found.pairs is None
    assert compare({0: 1.}, {1: 1.}) is None


@pytest.mark.parametrize(('gaps', 'seeds', 'pairs', 'expected'), [
    ([2, 3, 2], (1, 4), (0.5, 4), 'holds'),
    ([2, 3, 2], (1, 4), None, 'holds over seeds'),
    ([-2, -3, -2], (-4, -1), None, 'fails over seeds'),
    ([2, 3, 2], (1, 4), (-0.5, 4), 'points towards'),
    ([1, 5, 2], (-1, 6), (0.5, 4), 'points towards'),
    ([1, 5, -2], (-1, 6), (0.5, 4), 'undecided'),
    ([1, 0, 2], (-1, 6), (0.5, 4), 'undecided'),
    ([-2, -3, -2], (-4, -1), (-4, -1), 'fails'),
    ([-2, -3, -2], (-4, -1), (-4, 1), 'points against'),
    ([2], None, (1, 4), 'not measured'),
])
def test_verdicts(gaps, seeds, pairs, expected):
    difference = Difference(
        dict(enumerate(gaps)), float(np.mean(gaps)), 1., seeds, pairs)
    assert judge(difference) == difference.verdict == expected


def test_nothing_is_not_measured():
    assert judge(None) == 'not measured'
