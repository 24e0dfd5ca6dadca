import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from plateaux.statistics import (
    bernoulli_sequence,
    mean_sequence,
    quantile_sequence,
    quantiles,
    wilson,
)

REPLICATIONS = 2000
LONGEST = 5000


def coins(p, shape, seed=0):
    """Running numbers of successes and of trials, trials along the first axis."""
    rng = np.random.default_rng(seed)
    k = np.cumsum(rng.random(shape) < p, axis=0)
    return k, np.arange(1, shape[0] + 1).reshape(-1, *[1] * (len(shape) - 1))


# --- Proportions ---


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (3, 10), (0, 40), (170, 200)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_ends_are_where_the_mixture_reaches_the_bound(k, n, confidence):
    def mixture(p):
        area = scipy.integrate.quad(lambda u: scipy.stats.binom(n, u).pmf(k), 0, 1)[0]
        return area / scipy.stats.binom(n, p).pmf(k)

    estimate, low, high = bernoulli_sequence(k, n, confidence=confidence)
    assert estimate == k / n
    for end in (low, high):
        if 0 < end < 1:
            np.testing.assert_allclose(mixture(end), 1 / (1 - confidence), rtol=1e-6)
    assert (low == 0, high == 1) == (k == 0, k == n)


def test_the_mixture_is_a_martingale():
    """Its mean over all outcomes of n tosses is 1: the bound of Ville applies."""
    for n, p in ((1, 0.3), (12, 0.3), (60, 0.9)):
        k = np.arange(n + 1)
        log_mixture = scipy.special.betaln(k + 1, n - k + 1) - (
            k * np.log(p) + (n - k) * np.log1p(-p)
        )
        mean = np.sum(scipy.stats.binom(n, p).pmf(k) * np.exp(log_mixture))
        np.testing.assert_allclose(mean, 1.0, rtol=1e-9)


def test_intervals_are_nested_and_looks_may_be_left_out():
    k, n = coins(0.4, (300,))
    every = bernoulli_sequence(k, n)
    assert np.all(np.diff(every.low) >= 0)
    assert np.all(np.diff(every.high) <= 0)
    few = bernoulli_sequence(k[99::100], n[99::100])
    assert np.all((few.low <= every.low[99::100]) & (every.high[99::100] <= few.high))
    last = bernoulli_sequence(int(k[-1]), 300)
    assert last.low <= few.low[-1] <= last.estimate <= few.high[-1] <= last.high


@pytest.mark.parametrize("p", [0.05, 0.5])
def test_proportion_is_about_as_narrow_as_at_one_look(p):
    """Its price is at most a factor 2.1, up to 5000 trials."""
    trials = np.array([100, 1000, 5000])
    for n, k in zip(trials, np.round(trials * p).astype(int), strict=True):
        ours, fixed = bernoulli_sequence(k, n), wilson(k, n)
        ratio = (ours.high - ours.low) / (fixed.high - fixed.low)
        assert 1 < ratio < 2.1


@pytest.mark.slow
@pytest.mark.parametrize("p", [0.02, 0.5])
def test_proportion_holds_at_every_look(p):
    missed = 0
    for seed in range(20):
        k, n = coins(p, (LONGEST, REPLICATIONS // 20), seed)
        _, low, high = bernoulli_sequence(k, n)
        missed += np.sum((low[-1] > p) | (p > high[-1]))  # intersected
    print("coverage at all looks", 1 - missed / REPLICATIONS)  # noqa: T201
    assert missed <= 0.05 * REPLICATIONS


# --- Means ---


@pytest.mark.parametrize("variance", [0.5, 20.0])
def test_radius_is_where_the_mixture_reaches_the_bound(variance):
    """The closed form against the integral over u = 1 − λ of its gamma law."""
    rng = np.random.default_rng(1)
    values = np.clip(rng.normal(0.5, 0.05 if variance < 1 else 0.4, 150), 0, 1)
    found = mean_sequence(values, bounds=(0, 1), at=[150])
    before = (0.5 + np.cumsum(values) - values) / np.arange(1, 151)
    squares = np.sum((values - before) ** 2)
    shift = 150 * (found.high[0] - found.estimate[0])

    def density(u):
        return np.exp(-u) / (1 - np.exp(-1))

    def integrand(u):
        return np.exp((1 - u) * (shift + squares)) * u**squares * density(u)

    mixture = scipy.integrate.quad(integrand, 0, 1, epsabs=1e-12, limit=200)[0]
    np.testing.assert_allclose(mixture, 2 / 0.05, rtol=1e-6)
    np.testing.assert_allclose(found.estimate - found.low, shift / 150, rtol=1e-12)


def test_fans_inequality():
    y, rate = np.meshgrid(np.linspace(-1, 1, 401), np.linspace(0, 0.999, 300))
    psi = -np.log1p(-rate) - rate
    assert np.all(np.exp(rate * y - psi * y**2) <= 1 + rate * y + 1e-12)


def test_means_scale_with_their_bounds_and_columns_are_alone():
    values = np.random.default_rng(2).beta(2, 5, (200, 3))
    found = mean_sequence(values, bounds=(0, 1), at=[10, 200])
    scaled = mean_sequence(4 * values - 1, bounds=(-1, 3), at=[10, 200])
    alone = mean_sequence(values[:, 1], bounds=(0, 1), at=[10, 200])
    for ours, theirs, column in zip(found, scaled, alone, strict=True):
        assert ours.shape == (2, 3)
        np.testing.assert_allclose(4 * ours - 1, theirs, atol=1e-12)
        np.testing.assert_allclose(ours[:, 1], column, rtol=1e-12)
    np.testing.assert_allclose(found.estimate[1], values.mean(0), rtol=1e-12)
    every = mean_sequence(values, bounds=(0, 1))
    assert np.all(np.diff(every.low, axis=0) >= 0)
    assert np.all(np.diff(every.high, axis=0) <= 0)
    assert np.all((every.low >= 0) & (every.high <= 1))


@pytest.mark.parametrize(("a", "b", "looks"), [(1, 1, [150, 5000]), (2, 30, [5000])])
def test_mean_is_about_as_narrow_as_at_one_look(a, b, looks):
    """Its price is at most a factor 2.3 where n times the variance is 10 to 400."""
    values = np.random.default_rng(3).beta(a, b, 5000)
    found = mean_sequence(values, bounds=(0, 1), at=looks)
    fixed = 1.96 * scipy.stats.beta(a, b).std() / np.sqrt(looks)
    ratio = (found.high - found.low) / 2 / fixed
    assert np.all((1 < ratio) & (ratio < 2.3)), ratio


@pytest.mark.slow
@pytest.mark.parametrize("law", ["rare", "coin"])
def test_mean_holds_at_every_look(law):
    draw, mean = {
        "rare": (lambda rng, shape: rng.beta(0.1, 2.0, shape), 0.1 / 2.1),
        "coin": (lambda rng, shape: (rng.random(shape) < 0.2) * 1.0, 0.2),
    }[law]
    missed = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values = draw(rng, (LONGEST, REPLICATIONS // 20))
        _, low, high = mean_sequence(values, bounds=(0, 1))
        missed += np.sum((low[-1] > mean) | (mean > high[-1]))  # intersected
    print("coverage at all looks", 1 - missed / REPLICATIONS)  # noqa: T201
    assert missed <= 0.05 * REPLICATIONS


# --- Quantiles ---


def excluded(k, n, p, alpha):
    """Whether k of n at or below refutes a mean of at least p, by the integral."""

    def ratio(u):
        return np.exp(
            k * np.log(u / p) + (n - k) * (np.log1p(-u) - np.log1p(-p)) - np.log(p)
        )

    return scipy.integrate.quad(ratio, 0, p)[0] >= 2 / alpha


@pytest.mark.parametrize("probability", [0.25, 0.5, 0.9])
def test_ranks_are_those_of_the_mixture(probability):
    n = 60
    found = quantile_sequence(np.arange(1.0, n + 1), probability, at=[n])
    fewest = min(k for k in range(n + 1) if not excluded(k, n, probability, 0.05))
    most = max(k for k in range(n + 1) if not excluded(n - k, n, 1 - probability, 0.05))
    low = fewest if fewest else -np.inf
    high = most + 1 if most < n else np.inf
    assert (found.low[0], found.high[0]) == (low, high)
    assert found.estimate[0] == quantiles(np.arange(1.0, n + 1), [probability])[0]


def test_quantiles_at_every_look():
    values = np.random.default_rng(4).exponential(1.0, 200)
    every = quantile_sequence(values, 0.5)
    assert np.isneginf(every.low[0])
    assert np.isposinf(every.high[0])
    assert np.all(every.low[1:] >= every.low[:-1])
    assert np.all(every.high[1:] <= every.high[:-1])
    expected = [quantiles(values[:n], [0.5])[0] for n in range(1, 201)]
    assert every.estimate.tolist() == expected
    few = quantile_sequence(values, 0.5, at=[50, 200])
    assert every.low[-1] >= few.low[1]


def test_quantiles_commute_with_increasing_maps():
    values = np.random.default_rng(5).exponential(1.0, 300)
    plain = quantile_sequence(values, 0.25, at=[100, 300])
    logs = quantile_sequence(np.log(values), 0.25, at=[100, 300])
    np.testing.assert_allclose(np.log(plain), logs, rtol=1e-12)


def test_a_common_horizon_costs_nothing():
    values = np.random.default_rng(6).exponential(1.0, 400)
    full = quantile_sequence(values, 0.5, at=[400])
    horizon = full.high[0] + 1e-9
    seen = np.minimum(values, horizon)
    assert quantile_sequence(seen, 0.5, censored=values > horizon, at=[400]) == full
    early = np.minimum(values, 0.5), values > 0.5
    found = quantile_sequence(early[0], 0.5, censored=early[1], at=[400])
    assert (found.estimate[0], found.low[0], found.high[0]) == (np.inf, 0.5, np.inf)


def test_any_censoring_widens_both_ways():
    """Seen values can only be early: the low end falls, the high end rises."""
    rng = np.random.default_rng(7)
    values = rng.exponential(1.0, 400)
    censored = rng.random(400) < 0.2
    seen = np.where(censored, 0.1 * values, values)
    full = quantile_sequence(values, 0.5, at=[400])
    found = quantile_sequence(seen, 0.5, censored=censored, at=[400])
    assert found.low[0] < full.low[0]
    assert full.high[0] < found.high[0] < np.inf


@pytest.mark.parametrize("probability", [0.25, 0.5])
def test_quantile_is_about_as_narrow_as_at_one_look(probability):
    """In ranks its half-width is at most 2.2 times z √(np(1−p)), up to 5000."""
    for n in (200, 1000, 5000):
        found = quantile_sequence(np.arange(1.0, n + 1), probability, at=[n])
        fixed = 2 * 1.96 * np.sqrt(n * probability * (1 - probability))
        assert 1 < (found.high[0] - found.low[0]) / fixed < 2.2


@pytest.mark.slow
@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_quantile_holds_at_every_look(probability):
    """At every size to 300, then at every tenth; half of the values censored."""
    looks = np.r_[1:301, 310 : LONGEST + 1 : 10]
    truth = scipy.stats.expon.ppf(probability)
    rng = np.random.default_rng(8)
    missed = 0
    for _ in range(REPLICATIONS):
        values = rng.exponential(1.0, LONGEST)
        censored = values > 0.8
        found = quantile_sequence(
            np.minimum(values, 0.8), probability, censored=censored, at=looks
        )
        missed += not found.low[-1] <= truth <= found.high[-1]
    print("coverage at all looks", 1 - missed / REPLICATIONS)  # noqa: T201
    assert missed <= 0.05 * REPLICATIONS


def test_a_law_with_atoms_is_covered_where_the_atom_is_the_quantile():
    values = np.r_[np.zeros(60), np.ones(40)][np.random.default_rng(9).permutation(100)]
    found = quantile_sequence(values, 0.5, at=[100])
    assert found.low[0] == 0.0


# --- Refusals ---


@pytest.mark.parametrize(
    ("successes", "trials", "error", "match"),
    [
        ([3, 2], [5, 6], ValueError, "must be running counts"),
        ([3, 5], [5, 6], ValueError, "successes or failures become fewer"),
        ([3, 7], [5, 6], ValueError, "must not exceed `trials`"),
        ([0, 0], [0, 1], ValueError, "`trials` must be at least 1"),
        ([0.0], [1], TypeError, "`successes` must hold integers"),
    ],
)
def test_bad_counts_are_refused(successes, trials, error, match):
    with pytest.raises(error, match=match):
        bernoulli_sequence(np.array(successes), np.array(trials))


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"values": [0.1, 1.5]}, ValueError, "within the bounds, 0.0 to 1.0, .* 1.5"),
        ({"values": [0.1, np.nan]}, ValueError, "must not hold NaN"),
        ({"values": [0, 1]}, TypeError, "`values` must hold floating"),
        ({"values": 0.5}, ValueError, r"`values` must have shape \(m\)"),
        ({"bounds": (1, 0)}, ValueError, "two increasing finite numbers, but is .1, 0"),
        ({"bounds": (0, np.inf)}, ValueError, "two increasing finite numbers"),
        ({"bounds": 1.0}, ValueError, "two increasing finite numbers, but is 1.0"),
        ({"at": [0, 1]}, ValueError, "between 1 and 2, but is .0, 1"),
        ({"at": [2, 2]}, ValueError, "`at` must hold increasing sample sizes"),
        ({"at": [3]}, ValueError, "between 1 and 2, but is .3"),
        ({"at": [1.0]}, TypeError, "`at` must hold integers"),
        ({"confidence": 0.0}, ValueError, "`confidence` must lie strictly"),
    ],
)
def test_bad_means_are_refused(change, error, match):
    arguments = {"values": [0.1, 0.9], "bounds": (0, 1)}
    with pytest.raises(error, match=match):
        mean_sequence(**arguments | change)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"probability": 1.0}, ValueError, "`probability` must lie strictly .* is 1.0"),
        ({"values": [[1.0]]}, ValueError, r"`values` must have shape \(m\)"),
        ({"values": []}, ValueError, "at least one entry"),
        ({"censored": [True]}, ValueError, r"`censored` must have shape \(2,\)"),
        ({"censored": [0, 1]}, TypeError, "`censored` must hold Booleans"),
        ({"at": []}, ValueError, "`at` must hold increasing sample sizes"),
    ],
)
def test_bad_quantiles_are_refused(change, error, match):
    arguments = {"values": [0.1, 0.9], "probability": 0.5}
    with pytest.raises(error, match=match):
        quantile_sequence(**arguments | change)
