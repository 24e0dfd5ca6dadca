"""Counts in bins of one ratio, against the values themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plateaux.statistics import (
    histogram_quantiles,
    log_bins,
    log_histogram,
    quantiles,
)

LEVELS = [0.001, 0.1, 0.5, 0.9, 0.999]


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    return np.exp(rng.normal(-8, 6, size=5000))


@pytest.mark.parametrize("accuracy", [0.2, 0.01])
def test_quantiles_are_as_accurate_as_asked(values, accuracy):
    got = histogram_quantiles(log_histogram(values, accuracy), accuracy, LEVELS)
    exact = quantiles(values, LEVELS)
    worst = np.max(np.abs(got / exact - 1))
    assert worst <= accuracy * (1 + 1e-9)
    assert worst > accuracy / 10  # the bins are no finer than asked


def test_every_value_is_in_the_bin_whose_ends_are_around_it(values):
    ends = log_bins(0.05)
    counts = log_histogram(values, 0.05)
    expected = np.bincount(np.searchsorted(ends, values), minlength=len(ends) + 1)
    np.testing.assert_array_equal(counts, expected)


def test_counts_add_up_over_chunks(values):
    parts = [np.asarray(log_histogram(v, 0.05)) for v in np.split(values, 10)]
    np.testing.assert_array_equal(sum(parts), log_histogram(values, 0.05))


def test_the_ends_of_the_line():
    odd = np.array([0.0, 1e-30, 1e-25, 1e10, 1e11, np.inf, np.nan])
    counts = np.asarray(log_histogram(odd, 0.1))
    assert counts[0] == 3
    assert counts[-1] == 3
    lowest, highest = histogram_quantiles(counts, 0.1, [0.1, 0.99])
    assert lowest == 1e-25
    assert np.isinf(highest)


def test_what_does_not_count_and_columns():
    values = jnp.array([[1.0, 10.0], [2.0, 20.0], [5.0, 50.0]])
    where = jnp.array([True, True, False])
    each = jax.vmap(lambda v: log_histogram(v, 0.01, where=where), in_axes=1)
    counts = np.asarray(each(values))
    assert counts.sum(axis=1).tolist() == [2, 2]
    top = histogram_quantiles(counts, 0.01, [0.99])
    np.testing.assert_allclose(top[0], [2.0, 20.0], rtol=0.01)
    nothing = histogram_quantiles(np.zeros_like(counts), 0.01, [0.5])
    assert np.isnan(nothing).all()


def test_bad_input():
    with pytest.raises(ValueError, match=r"`accuracy` must be above 0 and below 1"):
        log_bins(1.0)
    with pytest.raises(ValueError, match=r"`counts` must have \d+ bins in its last"):
        histogram_quantiles(np.ones(7, int), 0.1, [0.5])
    with pytest.raises(ValueError, match=r"`probabilities` must lie strictly"):
        histogram_quantiles(log_histogram([1.0], 0.1), 0.1, [1.0])
