import numpy as np
import pytest
import scipy.stats

from plateaux.statistics import log_rank
from tests.statistics.remission import CENSORED, TREATMENT, WEEKS


def observations(seed, size=60):
    """Ties, censored times at events, three groups of unequal size and survival."""
    rng = np.random.default_rng(seed)
    groups = rng.choice([2, 5, 9], size, p=[0.5, 0.3, 0.2])
    durations = np.ceil(rng.exponential(4.0 + groups, size)) / 2
    return durations, rng.random(size) < 0.3, groups


def by_definition(durations, censored, groups):
    """Sums of O, E and V, one event time and one pair of groups after another."""
    names = np.unique(groups)
    excess = np.zeros(names.size)
    variance = np.zeros((names.size, names.size))
    for time in np.unique(durations[~censored]):
        at_risk = durations >= time
        died = (durations == time) & ~censored
        n, d = at_risk.sum(), died.sum()
        for i, g in enumerate(names):
            n_g = np.sum(at_risk & (groups == g))
            excess[i] += np.sum(died & (groups == g)) - d * n_g / n
            for j, h in enumerate(names):
                n_h = np.sum(at_risk & (groups == h))
                if n > 1:
                    factor = d * (n - d) / (n - 1) / n**2
                    variance[i, j] += factor * n_g * ((i == j) * n - n_h)
    return excess, variance


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_definition(seed):
    data = observations(seed)
    excess, variance = by_definition(*data)
    kept = excess[:-1] @ np.linalg.solve(variance[:-1, :-1], excess[:-1])
    test = log_rank(*data)
    np.testing.assert_allclose(test.observed - test.expected, excess, atol=1e-12)
    np.testing.assert_allclose(test.statistic, kept, rtol=1e-10)
    assert test.degrees_of_freedom == 2
    assert test.groups.tolist() == [2, 5, 9]
    np.testing.assert_allclose(test.p_value, scipy.stats.chi2(2).sf(kept), rtol=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_two_groups_agree_with_scipy(seed):
    durations, censored, groups = observations(seed)
    first = groups == 2
    x, y = (
        scipy.stats.CensoredData(
            durations[of & ~censored], right=durations[of & censored]
        )
        for of in (first, ~first)
    )
    theirs = scipy.stats.logrank(x, y)
    test = log_rank(durations, censored, first)
    np.testing.assert_allclose(test.statistic, theirs.statistic**2, rtol=1e-10)
    np.testing.assert_allclose(test.p_value, theirs.pvalue, rtol=1e-9)


@pytest.mark.parametrize("groups", [2, 3])
def test_rounding_is_no_degree_of_freedom(groups):
    for seed in range(50):
        rng = np.random.default_rng(seed)
        group = rng.integers(0, groups, 100)
        durations = rng.exponential(30.0**group)
        test = log_rank(durations, np.zeros(100, bool), group)
        assert test.degrees_of_freedom == groups - 1


def test_agrees_with_lifelines():
    # lifelines 0.30.3: logrank_test(treated, placebo, ~censored, ones) and
    # multivariate_logrank_test(weeks, arange(42) % 3, ~censored).
    two = log_rank(WEEKS, CENSORED, TREATMENT)
    three = log_rank(WEEKS, CENSORED, np.arange(42) % 3)
    assert two.groups.tolist() == ["placebo", "treated"]
    np.testing.assert_allclose(two.statistic, 16.792940989216547, rtol=1e-12)
    np.testing.assert_allclose(two.p_value, 4.168809109334511e-05, rtol=1e-10)
    np.testing.assert_allclose(three.statistic, 0.5768137525521642, rtol=1e-12)
    np.testing.assert_allclose(three.p_value, 0.7494565940869056, rtol=1e-12)


def test_groups_never_at_risk_together_say_nothing():
    durations, groups = [1.0, 2.0, 3.0, 4.0], [0, 0, 1, 1]
    test = log_rank(durations, [True, True, False, False], groups)
    assert (test.statistic, test.degrees_of_freedom, test.p_value) == (0.0, 0, 1.0)
    assert log_rank(durations, [True] * 4, groups).p_value == 1.0


def test_a_group_censored_before_the_first_event_has_no_weight():
    durations, censored = [0.5, 1.0, 2.0, 3.0, 4.0], [True] + [False] * 4
    three = log_rank(durations, censored, [7, 0, 1, 0, 1])
    two = log_rank(durations[1:], censored[1:], [0, 1, 0, 1])
    assert three.degrees_of_freedom == 1
    np.testing.assert_allclose(three.statistic, two.statistic, rtol=1e-12)


@pytest.mark.parametrize(
    ("durations", "censored", "groups", "error", "match"),
    [
        ([1.0, 2.0], [True, False], [3, 3], ValueError, "two different .* all are 3"),
        (
            [1.0, 2.0],
            [True, False],
            [1],
            ValueError,
            r"`groups` must have shape \(2,\)",
        ),
        (
            [1.0, 2.0],
            [True, False],
            [1.0, 2.0],
            TypeError,
            "words, integers .* float64",
        ),
        ([1.0, 2.0], [True], [1, 2], ValueError, r"`censored` must have shape \(2,\)"),
        ([1.0, -2.0], [True, False], [1, 2], ValueError, "finite and non-negative"),
    ],
)
def test_bad_input_is_refused(durations, censored, groups, error, match):
    with pytest.raises(error, match=match):
        log_rank(durations, censored, groups)
