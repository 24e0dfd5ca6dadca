import numpy as np
import pytest

from plateaux.dynamics.exponential_sums import ExponentialSums, first_negative, values


def no_flat(sums):
    return np.zeros(sums.start.shape, bool)


def almost_touching(gap):
    # e^(−2t) − e^(−t) + 1/4 + gap, whose least value is `gap`, at t = log 2
    return ExponentialSums(
        np.array([0.25 + gap]), np.array([[-2.0, 1.0]]), np.array([2.0, 1.0])
    )


def test_finds_two_roots_a_millionth_apart():
    sums = almost_touching(-1e-12)
    time, which = first_negative(sums, 1e6, no_flat(sums))
    assert which == 0
    assert abs(time + np.log(0.5 + 1e-6)) < 1e-9  # condition of the root: eps/1e-6


def test_a_near_miss_is_no_root():
    sums = almost_touching(1e-12)
    assert first_negative(sums, 1e6, no_flat(sums)) is None


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_dense_sampling(seed):
    rng = np.random.default_rng(seed)
    rates = np.append(10.0 ** rng.uniform(-4, 2, size=5), 0.0)
    weights = rng.normal(size=(30, 6)) * rates
    sums = ExponentialSums(rng.uniform(0, 2, size=30), weights, rates)
    grid = np.append(0.0, np.geomspace(1e-6, 1e3, 20_000))
    decay = -np.expm1(-np.outer(grid, rates[:-1])) / rates[:-1]
    below = sums.start + np.column_stack([decay, grid]) @ weights.T < 0
    expected = np.argmax(np.any(below, axis=1))
    time, which = first_negative(sums, 1e3, no_flat(sums))
    assert grid[expected - 1] <= time <= grid[expected]
    assert below[expected, which]
    assert abs(values(sums, time)[which]) < 1e-12


def test_a_start_at_zero_counts_only_if_it_falls():
    rates = np.array([1.0])
    rising = ExponentialSums(np.array([0.0]), np.array([[1.0]]), rates)
    falling = ExponentialSums(np.array([0.0]), np.array([[-1.0]]), rates)
    assert first_negative(rising, 10.0, no_flat(rising)) is None
    assert first_negative(falling, 10.0, no_flat(falling)) == (0.0, 0)


def test_a_flat_start_is_judged_by_its_curvature():
    # E_1 − E_2 = t²/2 + …, with round-off of the wrong sign in its slope
    weights = np.array([[1.0 - 1e-16, -1.0 - 1e-16]])
    sums = ExponentialSums(np.zeros(1), weights, np.array([1.0, 2.0]))
    assert first_negative(sums, 1.0, np.array([True])) is None
