import warnings

import jax
import numpy as np
import pytest
import scipy.stats

from plateaux.statistics import kaplan_meier, median_survival, survival_at
from tests.statistics.remission import CENSORED, WEEKS

# Estimates printed in survival textbooks.
TEXTBOOK = {  # time: (at risk, events, S, standard error)
    6: (21, 3, 0.857, 0.0764),
    7: (17, 1, 0.807, 0.0869),
    10: (15, 1, 0.753, 0.0963),
    13: (12, 1, 0.690, 0.1068),
    16: (11, 1, 0.627, 0.1141),
    22: (7, 1, 0.538, 0.1282),
    23: (6, 1, 0.448, 0.1346),
}


def observations(seed, size=60):
    """Ragged observations with ties, some censored at times of events."""
    rng = np.random.default_rng(seed)
    durations = np.ceil(rng.exponential(8.0, size)) / 2
    return durations, rng.random(size) < 0.35


def reference(durations, censored):
    data = scipy.stats.CensoredData(durations[~censored], right=durations[censored])
    return scipy.stats.ecdf(data).sf


def test_textbook_example():
    curve = kaplan_meier(WEEKS[:21], CENSORED[:21])
    assert curve.times.tolist() == list(TEXTBOOK)
    at_risk, events, survival, error = zip(*TEXTBOOK.values(), strict=True)
    assert curve.at_risk.tolist() == list(at_risk)
    assert curve.events.tolist() == list(events)
    np.testing.assert_allclose(curve.survival, survival, atol=5e-4)
    np.testing.assert_allclose(curve.standard_error, error, atol=5e-5)
    assert median_survival(curve).estimate == 23
    assert curve.end == 35


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("transform", "method"), [("plain", "linear"), ("log-log", "log-log")]
)
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_curve_and_interval_agree_with_scipy(seed, transform, method, confidence):
    durations, censored = observations(seed)
    curve = kaplan_meier(
        durations, censored, confidence=confidence, transform=transform
    )
    theirs = reference(durations, censored)
    np.testing.assert_allclose(curve.survival, theirs.evaluate(curve.times), atol=1e-14)
    with warnings.catch_warnings(action="ignore"):  # theirs is NaN where S is 0
        interval = theirs.confidence_interval(confidence, method=method)
    alive = curve.survival > 0
    for ours, bound in ((curve.low, interval.low), (curve.high, interval.high)):
        np.testing.assert_allclose(
            ours[alive], bound.evaluate(curve.times[alive]), atol=1e-12
        )
    assert np.all((curve.low >= 0) & (curve.low <= curve.survival))
    assert np.all((curve.high <= 1) & (curve.high >= curve.survival))


def test_without_censoring_it_is_the_empirical_survival_function():
    durations = np.array([3.0, 1.0, 2.0, 2.0, 5.0])
    curve = kaplan_meier(durations, [False] * 5)
    at = np.array([0.0, 1.0, 1.5, 2.0, 4.0, 5.0, 9.0])
    expected = np.mean(durations[None, :] > at[:, None], axis=1)
    np.testing.assert_allclose(survival_at(curve, at), expected, atol=1e-15)
    binomial = np.sqrt(curve.survival * (1 - curve.survival) / 5)
    np.testing.assert_allclose(curve.standard_error, binomial, atol=1e-15)


def test_after_the_last_event_survival_is_zero_and_the_interval_stays_open():
    curve = kaplan_meier([1.0, 2.0, 3.0], [False] * 3)
    assert curve.survival[-1] == 0
    assert curve.standard_error[-1] == 0
    assert curve.low[-1] == 0
    assert curve.high[-1] == curve.high[-2] < 1


def test_censored_at_the_time_of_an_event_is_still_at_risk():
    curve = kaplan_meier([2.0, 2.0], [False, True])
    assert curve.at_risk.tolist() == [2]
    assert curve.survival.tolist() == [0.5]
    assert curve.censored_times.tolist() == [2.0]
    assert curve.censored_survival.tolist() == [0.5]


def test_all_censored():
    curve = kaplan_meier([1.0, 4.0, 4.0], [True] * 3)
    assert curve.times.size == 0
    assert survival_at(curve, [0.0, 9.0]).tolist() == [1.0, 1.0]
    assert curve.censored_times.tolist() == [1.0, 4.0]
    assert curve.censored_survival.tolist() == [1.0, 1.0]
    assert median_survival(curve) == (np.inf, 0.0, np.inf)


def test_one_observation():
    curve = kaplan_meier([0.0], [False])
    assert curve.times.tolist() == [0.0]
    assert (curve.survival[0], curve.low[0], curve.high[0]) == (0.0, 0.0, 1.0)
    assert survival_at(curve, 0.0) == 0.0


def test_median_interval_is_where_the_band_straddles_one_half():
    durations, censored = observations(7, 200)
    curve = kaplan_meier(durations, censored)
    estimate, low, high = median_survival(curve)
    inside = (curve.low <= 0.5) & (curve.high > 0.5)
    assert low == curve.times[inside][0]
    assert high == curve.times[curve.high <= 0.5][0]
    assert low <= estimate <= high
    assert np.interp(estimate, curve.times, curve.survival) <= 0.5


def test_median_not_reached():
    durations = np.r_[np.linspace(0.1, 1.0, 10), np.full(40, 5.0)]
    curve = kaplan_meier(durations, durations == 5.0)
    assert median_survival(curve) == (np.inf, 5.0, np.inf)


@pytest.mark.parametrize("size", [6, 10, 14, 22, 30, 46])
def test_median_does_not_move_by_rounding(size):
    curve = kaplan_meier(np.arange(1.0, size + 1), [False] * size)
    assert median_survival(curve).estimate == size / 2


def test_interval_covers_the_truth():
    """Exponential dwells of rate 1 censored at 1.5: coverage of S(1) = 1/e."""
    num_sets, nominal = 600, 0.9
    rng = np.random.default_rng(3)
    covered = 0
    for dwell in rng.exponential(1.0, (num_sets, 80)):
        curve = kaplan_meier(np.minimum(dwell, 1.5), dwell > 1.5, confidence=nominal)
        last = np.searchsorted(curve.times, 1.0) - 1
        covered += curve.low[last] <= np.exp(-1.0) <= curve.high[last]
    sigma = np.sqrt(nominal * (1 - nominal) / num_sets)
    # Greenwood's interval is asymptotic: one extra per cent for 80 observations.
    assert abs(covered / num_sets - nominal) < 4 * sigma + 0.01


@pytest.mark.parametrize(
    ("durations", "censored", "error", "match"),
    [
        ([], [], ValueError, r"shape \(m\) with at least one entry, but has .*\(0,\)"),
        ([[1.0]], [[True]], ValueError, r"`durations` must have shape \(m\)"),
        ([1, 2], [True, False], TypeError, "`durations` must hold floating-point"),
        ([1.0, 2.0], [0, 1], TypeError, "`censored` must hold Booleans, .* int64"),
        ([1.0, 2.0], [True], ValueError, r"`censored` must have shape \(2,\)"),
        ([1.0, np.nan], [True, True], ValueError, "must not hold NaN, but 1 of its 2"),
        ([1.0, np.inf], [True, True], ValueError, "finite and non-negative, .* inf"),
        ([-1.0, 1.0], [True, True], ValueError, "non-negative, but spans -1.0 to 1.0"),
    ],
)
def test_bad_observations_are_refused(durations, censored, error, match):
    with pytest.raises(error, match=match):
        kaplan_meier(durations, censored)


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="`confidence` must lie .* but is 1.0"):
        kaplan_meier([1.0], [True], confidence=1.0)
    with pytest.raises(ValueError, match="did you mean 'log-log'"):
        kaplan_meier([1.0], [True], transform="loglog")


def test_traced_durations_are_refused():
    with pytest.raises(TypeError, match="concrete array, but is traced"):
        jax.jit(lambda d: kaplan_meier(d, [False]).survival)(np.ones(1))
