import numpy as np
import pytest
import scipy.special
import scipy.stats

from plateaux.statistics import (
    Interval,
    difference,
    kaplan_meier,
    restricted_mean,
    survival_at,
    wilson,
)
from tests.statistics.remission import CENSORED, WEEKS


def observations(seed, size=80):
    """Ties, censored times at events."""
    rng = np.random.default_rng(seed)
    durations = np.ceil(rng.exponential(8.0, size)) / 2
    return durations, rng.random(size) < 0.3


@pytest.mark.parametrize("horizon", [0.5, 3.0, 4.25, 100.0])
def test_without_censoring_the_error_is_that_of_a_mean(horizon):
    durations, _ = observations(0)
    mean = restricted_mean(durations, np.zeros(80, bool), horizon=horizon)
    cut = np.minimum(durations, horizon)
    if horizon == 0.5:
        assert mean.estimate == 0.5
        return
    np.testing.assert_allclose(mean.estimate, cut.mean(), rtol=1e-12)
    half = scipy.stats.t(79).ppf(0.975) * cut.std(ddof=1) / np.sqrt(80)
    np.testing.assert_allclose(half_width(mean, horizon), half, rtol=1e-9)


def half_width(mean, horizon):
    """The half-width before the map log(mean/(τ − mean)), the same at both ends."""
    logits = [scipy.special.logit(part / horizon) for part in mean]
    np.testing.assert_allclose(2 * logits[0], logits[1] + logits[2], rtol=1e-9)
    slope = horizon / mean.estimate / (horizon - mean.estimate)
    return (logits[2] - logits[0]) / slope


@pytest.mark.parametrize("seed", range(3))
def test_variance_is_the_formulas(seed):
    durations, censored = observations(seed)
    horizon = 6.25
    curve = kaplan_meier(durations, censored)
    grid = np.linspace(0, horizon, 200_001)[:-1] + horizon / 400_000
    survival = survival_at(curve, grid)
    mean = restricted_mean(durations, censored, horizon=horizon, confidence=0.9)
    np.testing.assert_allclose(mean.estimate, survival.mean() * horizon, rtol=1e-4)
    variance = 0.0
    for time in curve.times[curve.times < horizon]:
        n = np.sum(durations >= time)
        d = np.sum((durations == time) & ~censored)
        area = survival[grid > time].sum() * horizon / grid.size
        variance += area**2 * d / (n * (n - d))
    size = curve.at_risk[0]
    half = scipy.stats.t(size - 1).ppf(0.95) * np.sqrt(variance * size / (size - 1))
    np.testing.assert_allclose(half_width(mean, horizon), half, rtol=1e-4)


def test_agrees_with_lifelines():
    # lifelines 0.30.3: restricted_mean_survival_time(KaplanMeierFitter().fit(weeks,
    # ~censored), t=τ, return_variance=True). Its variance is that of min(T, τ), the
    # squared standard error only without censoring, and for m instead of m − 1.
    treated = WEEKS[:21], CENSORED[:21]
    for horizon, expected in (
        (20.0, 16.116526610644254),
        (23.0, 17.909243697478985),
        (35.0, 23.287394957983185),
    ):
        mean = restricted_mean(*treated, horizon=horizon)
        np.testing.assert_allclose(mean.estimate, expected, rtol=1e-13)
    placebo = restricted_mean(WEEKS[21:], CENSORED[21:], horizon=20.0)
    np.testing.assert_allclose(placebo.estimate, 8.428571428571429, rtol=1e-13)
    half = scipy.stats.t(20).ppf(0.975) * np.sqrt(33.768660990476434 / 20)
    np.testing.assert_allclose(half_width(placebo, 20.0), half, rtol=1e-5)


def test_interval_stays_within_zero_and_the_horizon():
    durations = np.array([0.1, 0.1, 9.0, 9.0])
    mean = restricted_mean(durations, np.zeros(4, bool), horizon=8.0)
    assert 0.0 < mean.low < 1.0
    assert 7.0 < mean.high < 8.0
    assert restricted_mean([1.0], [False], horizon=8.0) == (1.0, 0.0, 8.0)
    assert restricted_mean([2.0] * 5, [False] * 5, horizon=8.0) == (2.0, 2.0, 2.0)
    assert restricted_mean([0.0] * 5, [False] * 5, horizon=8.0) == (0.0, 0.0, 0.0)


def test_no_event_before_the_horizon():
    durations, censored = [1.0, 5.0, 5.0, 6.0], [True, True, True, False]
    for of in (censored, [True] * 4):
        mean = restricted_mean(durations, of, horizon=5.0)
        assert (mean.estimate, mean.high) == (5.0, 5.0)
        # P[none of three ends before 5] = 0.025 at this S(5).
        np.testing.assert_allclose((mean.low / 5.0) ** 3, 0.025, rtol=1e-12)


def test_beyond_an_observation_that_ended_nothing_is_left():
    mean = restricted_mean([1.0, 2.0], [True, False], horizon=50.0)
    assert mean.estimate == 2.0


def test_difference_of_proportions_is_newcombes():
    # Newcombe (1998), table II, method 10: 56/70 − 48/80 and 9/10 − 3/10.
    for (a, m, b, n), expected in (
        ((56, 70, 48, 80), (0.2, 0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.6, 0.1705, 0.8090)),
    ):
        found = difference(wilson(a, m), wilson(b, n))
        np.testing.assert_allclose(found, expected, atol=5e-5)


def test_difference_adds_standard_errors():
    a = Interval(np.array([5.0, 1.0]), np.array([2.0, 0.0]), np.array([8.0, 2.0]))
    found = difference(a, Interval(1.0, -3.0, 5.0))
    np.testing.assert_allclose(found.high - found.estimate, [5.0, np.sqrt(17)])
    np.testing.assert_allclose(found.low, 2 * found.estimate - found.high)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"horizon": 2.5}, ValueError, "longest observation, 2.0, .* but is 2.5"),
        ({"horizon": 0.0}, ValueError, "`horizon` must be positive, but is 0.0"),
        ({"horizon": np.inf}, ValueError, "`horizon` must be positive, but is inf"),
        ({"durations": [1.0, np.nan]}, ValueError, "must not hold NaN"),
        ({"censored": [0, 1]}, TypeError, "`censored` must hold Booleans"),
        ({"confidence": 1.5}, ValueError, "`confidence` must lie strictly"),
    ],
)
def test_bad_input_is_refused(change, error, match):
    arguments = {
        "durations": [1.0, 2.0],
        "censored": [False, True],
        "horizon": 1.5,
        "confidence": 0.9,
    }
    with pytest.raises(error, match=match):
        restricted_mean(**arguments | change)


@pytest.mark.parametrize(
    ("second", "error", "match"),
    [
        (0.5, TypeError, "`second` must be an `Interval`, but is a float"),
        (Interval(np.inf, 1.0, np.inf), ValueError, "`second` must hold finite"),
        (Interval(0.5, 0.6, 0.7), ValueError, "within their intervals, but is 0.5"),
    ],
)
def test_bad_intervals_are_refused(second, error, match):
    with pytest.raises(error, match=match):
        difference(wilson(1, 2), second)
