"""Wasserstein distances against SciPy and against samples repeated to equal length."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import plateaux as px
from plateaux.diagnostics import amplitude_distance, distances_from, wasserstein

SLOW = pytest.mark.slow
SIZES = [
    pytest.param(1, 1, marks=SLOW),
    pytest.param(7, 7, marks=SLOW),
    (5, 8),
    (6, 4),
    (1, 9),
    pytest.param(12, 3, marks=SLOW),
]


def samples(n, m, seed=0):
    rng = np.random.default_rng([seed, n, m])
    return rng.normal(size=n), 2 * rng.normal(size=m) + 1


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_first_order_is_that_of_scipy(n, m):
    u, v = samples(n, m)
    expected = stats.wasserstein_distance(u, v)
    np.testing.assert_allclose(wasserstein(u, v), expected, rtol=1e-13)


@pytest.mark.parametrize("p", [1, pytest.param(2, marks=SLOW), 3.5])
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_unequal_numbers_are_samples_repeated(n, m, p):
    u, v = samples(n, m)
    gaps = np.sort(np.repeat(u, m)) - np.sort(np.repeat(v, n))
    expected = np.mean(np.abs(gaps) ** p) ** (1 / p)
    np.testing.assert_allclose(wasserstein(u, v, p=p), expected, rtol=1e-13)


def test_a_shift_is_its_length_in_every_order():
    u, _ = samples(5, 8)
    for p in (1, 2):
        np.testing.assert_allclose(
            wasserstein(u, u[::-1] + 0.25, p=p), 0.25, rtol=1e-12
        )


@pytest.mark.parametrize("p", [1, 2])
def test_it_is_a_distance(p):
    u, v = samples(5, 8)
    w, _ = samples(8, 8, seed=1)
    d = lambda a, b: float(wasserstein(a, b, p=p))
    assert d(u, u) == 0
    assert d(u, v) == pytest.approx(d(v, u), rel=1e-14)
    assert d(u, v) <= d(u, w) + d(w, v)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_samples_of_any_size(scale):
    u, v = samples(5, 8)
    found = wasserstein(scale * u, scale * v, p=2)
    expected = scale * float(wasserstein(u, v, p=2))
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("p", [1, 2])
def test_derivatives(p):
    u, v = samples(5, 8)
    found = jax.jit(jax.grad(lambda u: wasserstein(u, v, p=p)))(u)
    at = lambda u: float(wasserstein(u, v, p=p))
    differences = [(at(u + e) - at(u - e)) / 2e-6 for e in 1e-6 * np.eye(5)]
    np.testing.assert_allclose(found, differences, rtol=1e-6, atol=1e-9)
    at_itself = jax.jit(jax.grad(lambda u: wasserstein(u, u[::-1] * 1.0, p=p)))(u)
    assert not np.any(at_itself)


def test_what_is_not_a_number_is_not_hidden():
    assert np.isnan(wasserstein([0.0, np.nan], [0.0, 1.0], p=2))


NETWORK = px.TwoLayer(
    [[3.0, 0.0], [0.0, 1.0], [2.0, 0.0]], [4.0, 0.0, 0.0], [-1.0, 4.0, 0.5]
)
PROBLEM = px.Problem(np.eye(2), np.ones(2))


def test_amplitudes_of_a_network():
    inner, outer = [5.0, 1.0, 2.0], [1.0, 4.0, 0.5]
    found = amplitude_distance(PROBLEM, NETWORK)
    np.testing.assert_allclose(found, stats.wasserstein_distance(inner, outer))
    expected = np.sqrt(np.mean((np.sort(inner) - np.sort(outer)) ** 2))
    np.testing.assert_allclose(amplitude_distance(PROBLEM, NETWORK, p=2), expected)


def test_laws_along_a_run():
    rng = np.random.default_rng(3)
    rows, reference = rng.normal(size=(4, 6)), rng.normal(size=5)
    found = distances_from(rows, reference, p=2)
    expected = [wasserstein(row, reference, p=2) for row in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert np.asarray(distances_from(rows, rows[2], p=2))[2] == 0


def test_a_batch_gives_what_a_loop_gives():
    rows = np.random.default_rng(4).normal(size=(3, 6))
    found = jax.jit(jax.vmap(lambda u: wasserstein(u, u[:4] ** 2)))(jnp.asarray(rows))
    expected = [wasserstein(u, u[:4] ** 2) for u in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_single_precision_stays():
    one = np.ones(3, np.float32)
    assert wasserstein(one, 2 * one[:2], p=2).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: wasserstein([], [1.0]),
            ValueError,
            r"`u` must have shape \(n,\) .*\(0,\)",
        ),
        (
            lambda: wasserstein([1.0], [[1.0]]),
            ValueError,
            r"`v` must have .* has shape \(1, 1\); for many samples use jax.vmap",
        ),
        (lambda: wasserstein([1], [1.0]), TypeError, "`u` must hold floating-point"),
        (
            lambda: wasserstein(jnp.ones(1, jnp.float32), [1.0]),
            TypeError,
            "`u` and `v` must have one dtype, but have float32 and float64",
        ),
        (
            lambda: wasserstein([1.0], [1.0], p=0.5),
            ValueError,
            "`p` must be a finite number of at least 1, but is 0.5",
        ),
        (
            lambda: wasserstein([1.0], [1.0], p=np.inf),
            ValueError,
            "`p` must be a finite number of at least 1, but is inf",
        ),
        (
            lambda: distances_from([1.0], [1.0]),
            ValueError,
            r"`samples` must have shape \(t, n\), .* has shape \(1,\)",
        ),
        (
            lambda: distances_from([[1.0]], []),
            ValueError,
            r"`reference` must have shape \(n,\) .* has shape \(0,\)",
        ),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()
