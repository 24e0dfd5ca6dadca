import numpy as np
import pytest
import scipy.stats

from plateaux.statistics import quantile_band, quantiles


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_quantiles_are_numpys_inverted_cdf(size):
    values = np.random.default_rng(0).normal(size=(size, 3))
    probabilities = np.array([0.05, 0.25, 0.5, 0.9])
    expected = np.quantile(values, probabilities, axis=0, method="inverted_cdf")
    np.testing.assert_array_equal(quantiles(values, probabilities), expected)


def test_rounding_does_not_move_a_rank():
    # 0.07 * 100 is 7.000000000000001 in floating point; the 7th value is right.
    assert quantiles(np.arange(1.0, 101.0), [0.07])[0] == 7.0


@pytest.mark.parametrize("size", [50, 60, 77, 100, 301])
@pytest.mark.parametrize("probability", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
def test_interval_has_the_coverage_nearest_to_the_confidence(
    size, probability, confidence
):
    band = quantile_band(np.arange(1.0, size + 1), [probability], confidence=confidence)
    low, high = int(band.low[0]), int(band.high[0])
    below = scipy.stats.binom(size, probability)
    # One rank at one end changes the coverage by at most the largest probability.
    jump = below.pmf(np.arange(size)).max()
    miss = abs(predicted_coverage(size, low, high, probability) - confidence)
    assert miss <= jump / 2
    assert miss < 0.01 or confidence < 0.95
    for tail in (below.cdf(low - 1), below.sf(high - 1)):
        assert abs(tail - (1 - confidence) / 2) <= jump


def test_interval_of_a_median_has_about_equal_tails():
    band = quantile_band(np.arange(1.0, 101.0), [0.5])
    assert (band.low[0], band.high[0]) in ((40, 60), (41, 61))


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("confidence", [0.01, 0.95])
def test_small_samples_end_at_their_extremes(size, confidence):
    band = quantile_band(np.arange(1.0, size + 1), [0.2, 0.9], confidence=confidence)
    assert np.all((band.low >= 1) & (band.high <= size))
    assert np.all((band.low <= band.estimate) & (band.estimate <= band.high))
    if confidence == 0.95:
        assert band.low.min() == 1
        assert band.high.max() == size


def test_columns_are_independent_and_ordered():
    values = np.random.default_rng(1).normal(size=(40, 6))
    band = quantile_band(values, [0.1, 0.5, 0.9])
    assert band.estimate.shape == band.low.shape == band.high.shape == (3, 6)
    alone = quantile_band(values[:, 4], [0.1, 0.5, 0.9])
    np.testing.assert_array_equal(band.low[:, 4], alone.low)
    assert np.all(band.low <= band.estimate)
    assert np.all(band.estimate <= band.high)
    np.testing.assert_array_equal(values, np.random.default_rng(1).normal(size=(40, 6)))


def test_infinite_losses_are_last_and_never_nan():
    values = np.array([[np.inf], [1.0], [np.inf], [np.inf], [2.0]])
    band = quantile_band(values, [0.2, 0.5, 0.9])
    assert band.estimate[:, 0].tolist() == [1.0, np.inf, np.inf]
    assert not any(np.isnan(part).any() for part in band)


def predicted_coverage(size, low, high, probability):
    """P[X_(low) ≤ the true quantile ≤ X_(high)] for a continuous distribution."""
    below = scipy.stats.binom(size, probability)
    return below.cdf(high - 1) - below.cdf(low - 1)


def check_coverage(num_sets, size, probability, nominal=0.9):
    rng = np.random.default_rng(11)
    truth = -np.log(1 - probability)
    band = quantile_band(
        rng.exponential(1.0, (size, num_sets)), [probability], confidence=nominal
    )
    covered = np.mean((band.low[0] <= truth) & (truth <= band.high[0]))
    ranks = quantile_band(np.arange(1.0, size + 1), [probability], confidence=nominal)
    exact = predicted_coverage(size, int(ranks.low[0]), int(ranks.high[0]), probability)
    assert abs(covered - exact) < 4 * np.sqrt(exact * (1 - exact) / num_sets)
    # Ranks are integers: one more at either end changes the coverage by up to 0.02.
    assert abs(exact - nominal) < 0.03


@pytest.mark.parametrize("probability", [0.25, 0.5, 0.9])
def test_coverage(probability):
    check_coverage(2000, 200, probability)


@pytest.mark.slow
@pytest.mark.parametrize("probability", [0.05, 0.25, 0.5, 0.9])
def test_coverage_of_many(probability):
    check_coverage(20_000, 1000, probability)


def test_large_samples_stay_accurate():
    size = 20_000
    band = quantile_band(np.arange(1.0, size + 1), [0.5])
    half = scipy.stats.norm.ppf(0.975) * np.sqrt(size) / 2
    np.testing.assert_allclose(band.low[0], size / 2 - half, atol=2)
    np.testing.assert_allclose(band.high[0], size / 2 + half, atol=2)


@pytest.mark.parametrize(
    ("values", "probabilities", "match"),
    [
        (np.zeros((0, 3)), [0.5], r"`values` must have shape \(B, t\) with at least"),
        (np.float64(1.0), [0.5], "`values` must have shape"),
        (np.array([1.0, np.nan]), [0.5], "must not hold NaN, but 1 of its 2"),
        (np.ones(3), [0.0, 0.5], r"strictly between 0 and 1, but is \[0.0, 0.5\]"),
        (np.ones(3), [], r"`probabilities` must have shape \(q\)"),
    ],
)
def test_bad_input_is_refused(values, probabilities, match):
    with pytest.raises(ValueError, match=match):
        quantile_band(values, probabilities)


def test_integers_are_refused():
    with pytest.raises(TypeError, match="`values` must hold floating-point"):
        quantiles([1, 2, 3], [0.5])
