"""Bernstein enclosures and certified first roots against NumPy's roots."""

import functools as ft

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plateaux.dynamics.polynomials import (
    bernstein_matrix,
    evaluate_polynomial,
    first_root,
    newton_root,
)

TAU = np.linspace(0, 1, 2001)
EPS = np.finfo(float).eps


def polynomials(seed, degree, number):
    """Random columns of coefficients, with 0 to 3 roots of size one in most."""
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0.3, 1.2, size=number) ** np.arange(degree + 1)[:, None]
    return rng.normal(size=(degree + 1, number)) * scale


def values(coefficients):
    return np.polynomial.polynomial.polyval(TAU, coefficients).T


@pytest.mark.parametrize("degree", [0, 1, 5, 15])
def test_values_equal_numpys(degree):
    a = polynomials(0, degree, 7)
    at = jax.jit(jax.vmap(evaluate_polynomial, (None, 0)))
    ours = at(a, TAU[::100])
    np.testing.assert_allclose(ours, values(a)[::100], rtol=1e-13, atol=1e-12)


@pytest.mark.parametrize("degree", [1, 4, 9, 15])
def test_bernstein_coefficients_enclose_the_polynomial(degree):
    a = polynomials(1, degree, 50)
    b = bernstein_matrix(degree) @ a
    slack = 1e-12 * np.max(np.abs(b), axis=0)
    assert np.all(values(a) >= np.min(b, axis=0) - slack)
    assert np.all(values(a) <= np.max(b, axis=0) + slack)
    # the ends are values, and the basis is a basis
    np.testing.assert_allclose(b[0], values(a)[0])
    np.testing.assert_allclose(b[-1], values(a)[-1], rtol=1e-12)
    i, n = np.arange(degree + 1), degree
    binomial = np.array([float(_choose(n, k)) for k in i])
    weights = binomial * TAU[:, None] ** i * (1 - TAU[:, None]) ** (n - i)
    np.testing.assert_allclose(weights @ b, values(a), rtol=1e-11, atol=1e-11)


def _choose(n, k):
    return ft.reduce(lambda c, j: c * (n - j) // (j + 1), range(k), 1)


def first_fall(a):
    """Earliest τ in (0, 1] at which one column falls below 0, by NumPy, and which."""
    best, which = 1.0, -1
    for column, coefficients in enumerate(a.T):
        roots = np.roots(coefficients[::-1])
        real = roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > 0)]
        for root in np.sort(real[real < best]):
            after = np.polynomial.polynomial.polyval(root + 1e-6, coefficients)
            if after < 0:
                best, which = root, column
                break
    return best, which


@jax.jit
def search(a):
    """First root of the columns, in two groups."""
    b = jnp.asarray(bernstein_matrix(a.shape[0] - 1)) @ a
    half = a.shape[1] // 3
    split = lambda values: (values[..., :half], values[..., half:])
    tolerance = 64 * EPS * jnp.ones(a.shape[1])
    return first_root(
        split(b),
        split(tolerance),
        lambda tau: split(evaluate_polynomial(a, tau)),
        lambda which: a[:, which],
    )


@pytest.mark.parametrize("degree", [3, 8, 14])
def test_no_first_root_is_missed(degree):
    """Halve the step while the answer is uncertain, as the flow does."""
    whole, found = 0, 0
    for seed in range(60):
        a = polynomials(seed, degree, 6)
        a[0] = np.abs(a[0]) + 0.05
        if seed % 3 == 0:
            a[0] += 10  # mostly without a root
        length = 1.0
        while True:
            scaled = a * length ** np.arange(degree + 1)[:, None]
            root = search(scaled)
            if not bool(root.uncertain):
                break
            length /= 2
        whole += length == 1
        tau, which = first_fall(scaled)
        assert int(root.which) == which, seed
        assert abs(float(root.tau) - tau) < 1e-10, seed
        found += which >= 0
    assert whole > 20
    assert 10 < found < 55


def test_a_dip_between_the_ends_is_uncertain_and_one_below_round_off_is_none():
    dip = np.array([[0.24, -1.0, 1.0]]).T  # (τ − ½)² − 0.01
    assert bool(search(np.tile(dip, 3)).uncertain)
    shallow = np.array([[0.25 - 1e-15, -1.0, 1.0]]).T
    touches = np.array([[0.0, 0.0, 1.0]]).T
    for column in (shallow, touches):
        root = search(np.tile(column, 3))
        assert int(root.which) == -1
    rises = np.array([[-1e-15, 1.0, 0.0]]).T  # leaves its boundary
    assert int(search(np.tile(rises, 3)).which) == -1


def test_one_that_starts_below_is_found_at_once():
    a = np.tile(np.array([[1.0, -0.5, 0.0]]).T, 3)
    a[:, 1] = [0.0, -1.0, 0.5]
    root = search(a)
    assert int(root.which) == 1
    assert float(root.tau) < 1e-14


@pytest.mark.parametrize("guess", [0.0, 0.3, 1.0])
def test_roots_are_exact_to_round_off(guess):
    # 1 − τ − τ³: 0.6823278038280193
    a = np.array([1.0, -1.0, 0.0, -1.0])
    root = jax.jit(newton_root)(a, guess, 1.0)
    assert abs(float(root) - 0.6823278038280193) < 4 * EPS
    flat = np.array([1.0, -3.0, 3.0, -1.0])  # (1 − τ)³, a root of order three
    root = jax.jit(newton_root)(flat, guess, 1.0)
    assert abs(float(root) - 1) < 1e-4
