import numpy as np
import pytest
import scipy.stats

from plateaux.statistics import wilson


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
@pytest.mark.parametrize(
    ("successes", "trials"), [(0, 1), (1, 1), (0, 17), (17, 17), (3, 10), (700, 1024)]
)
def test_agrees_with_scipy(successes, trials, confidence):
    ours = wilson(successes, trials, confidence=confidence)
    theirs = scipy.stats.binomtest(successes, trials).proportion_ci(
        confidence, method="wilson"
    )
    np.testing.assert_allclose(ours.estimate, successes / trials, atol=1e-15)
    np.testing.assert_allclose(ours.low, theirs.low, atol=1e-12)
    np.testing.assert_allclose(ours.high, theirs.high, atol=1e-12)


def test_ends_are_exact():
    assert wilson(0, 5).low == 0.0
    assert wilson(5, 5).high == 1.0
    assert 0 < wilson(0, 5).high < 1


def test_arrays_broadcast():
    interval = wilson(np.array([1, 2, 3]), 4)
    assert interval.low.shape == (3,)
    assert interval.high[1] == wilson(2, 4).high


@pytest.mark.parametrize(
    ("successes", "trials", "error", "match"),
    [
        (0, 0, ValueError, "`trials` must be at least 1, but holds 0"),
        (5, 4, ValueError, "must not exceed `trials`, but is 5 of 4"),
        (-1, 4, ValueError, "`successes` must not be negative, .* -1"),
        (0.5, 4, TypeError, "`successes` must hold integers, .* float64"),
        (1, True, TypeError, "`trials` must hold integers, but has dtype bool"),
    ],
)
def test_bad_counts_are_refused(successes, trials, error, match):
    with pytest.raises(error, match=match):
        wilson(successes, trials)
