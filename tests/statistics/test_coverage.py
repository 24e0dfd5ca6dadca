"""Do 95 % intervals hold the truth in 95 % of samples? Synthetic data, known truth."""

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from plateaux.statistics import (
    accelerated_failure_time,
    difference,
    kaplan_meier,
    log_rank,
    median_survival,
    quantile_band,
    restricted_mean,
    wilson,
)

REPLICATIONS = 2000
LAWS = {
    "exponential": scipy.stats.expon(scale=3.0),
    "Weibull": scipy.stats.weibull_min(0.7, scale=3.0),
    "log-normal": scipy.stats.lognorm(1.0, scale=3.0),
}
SIZES = [50, 100, 300]


def observe(rng, dwell, horizon):
    """Dwells seen until a plateau's run ends, at the horizon or before."""
    end = np.minimum(horizon, rng.exponential(4 * horizon, dwell.shape))
    return np.minimum(dwell, end), dwell > end


def holds(interval, truth):
    return (interval[-2] <= truth) & (truth <= interval[-1])


def check(covered, expected=0.95, slack=0.02):
    share = np.mean(covered, axis=0)
    print("coverage", np.round(share, 4))  # noqa: T201
    assert np.all(np.abs(share - expected) <= slack), share


def survival_interval(curve, time):
    """Interval of S at a time: that of the last event up to it."""
    last = np.searchsorted(curve.times, time, side="right") - 1
    return (curve.low[last], curve.high[last]) if last >= 0 else (1.0, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", LAWS)
def test_survival_median_and_restricted_means(name, size):
    law, rng = LAWS[name], np.random.default_rng(size)
    median, horizon = law.median(), law.ppf(0.8)
    area = scipy.integrate.quad(law.sf, 0, horizon)[0]
    covered = np.empty((REPLICATIONS, 4))
    for i, samples in enumerate(law.rvs((REPLICATIONS, 2, size), random_state=rng)):
        (seen, other), (censored, cut) = observe(rng, samples, 1.2 * horizon)
        curve = kaplan_meier(seen, censored)
        mean = restricted_mean(seen, censored, horizon=horizon)
        second = restricted_mean(2 * other, cut, horizon=2 * horizon)
        covered[i] = [
            holds(survival_interval(curve, median), 0.5),
            holds(median_survival(curve), median),
            holds(mean, area),
            holds(difference(mean, second), -area),
        ]
    check(covered)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_restricted_mean_where_two_of_three_are_censored(size):
    law, rng = LAWS["log-normal"], np.random.default_rng(size)
    horizon = law.ppf(0.36)
    area = scipy.integrate.quad(law.sf, 0, horizon)[0]
    covered = np.empty(REPLICATIONS)
    for i, dwell in enumerate(law.rvs((REPLICATIONS, size), random_state=rng)):
        seen = observe(rng, dwell, 1.1 * horizon)
        covered[i] = holds(restricted_mean(*seen, horizon=horizon), area)
    check(covered)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_log_rank_rejects_equal_groups_as_often_as_it_says(size):
    rng = np.random.default_rng(size)
    groups = np.arange(size) % 3
    rejected = np.empty((REPLICATIONS, 2))
    for i, dwell in enumerate(rng.weibull(0.7, (REPLICATIONS, size))):
        seen, censored = observe(rng, dwell, 2.0)
        rejected[i] = [
            log_rank(seen, censored, groups > 0).p_value < 0.05,
            log_rank(seen, censored, groups).p_value < 0.05,
        ]
    check(rejected, expected=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_regression(size):
    rng = np.random.default_rng(size)
    truth = np.array([2.0, -1.0, 0.5, 0.8])
    covered = np.empty((REPLICATIONS, 4))
    for i in range(REPLICATIONS):
        x = np.log(rng.choice([5.0, 10.0, 20.0, 40.0], (size, 2)))
        mean = truth[0] + x @ truth[1:3]
        dwell = np.exp(mean + truth[3] * rng.normal(size=size))
        fit = accelerated_failure_time(*observe(rng, dwell, 3.0), x)
        slopes = holds(fit.coefficients, truth[1:3])
        covered[i] = [
            holds(fit.intercept, truth[0]),
            *slopes,
            holds(fit.scale, truth[3]),
        ]
    check(covered)


@pytest.mark.slow
@pytest.mark.parametrize("size", [100, 300])
def test_regression_with_unequal_spread_needs_the_sandwich(size):
    rng = np.random.default_rng(size)
    covered = np.empty((REPLICATIONS, 2))
    for i in range(REPLICATIONS):
        x = rng.uniform(-1.0, 1.0, (size, 1))
        spread = np.exp(1.5 * np.abs(x[:, 0]))
        dwell = np.exp(1.0 + x[:, 0] + spread * rng.normal(size=size))
        data = dwell, np.zeros(size, bool), x
        covered[i] = [
            holds(fit.coefficients, 1.0)[0]
            for fit in (
                accelerated_failure_time(*data),
                accelerated_failure_time(*data, clusters=np.arange(size)),
            )
        ]
    assert np.mean(covered[:, 0]) < 0.9
    check(covered[:, 1])


@pytest.mark.slow
@pytest.mark.parametrize("size", [50, 60, 100, 200, 300])
@pytest.mark.parametrize("probability", [0.1, 0.25, 0.5, 0.75, 0.9])
def test_quantile_band(size, probability):
    law, rng = LAWS["Weibull"], np.random.default_rng(size)
    values = law.rvs((size, REPLICATIONS), random_state=rng)
    check(holds(quantile_band(values, [probability]), law.ppf(probability))[0])


@pytest.mark.slow
@pytest.mark.parametrize("trials", [50, 100, 300])
def test_wilson(trials):
    """Averaged over p: at one p the coverage jumps with it, as k is an integer."""
    rng = np.random.default_rng(trials)
    p = rng.uniform(0.05, 0.95, 20 * REPLICATIONS)
    check(holds(wilson(rng.binomial(trials, p), trials), p))
