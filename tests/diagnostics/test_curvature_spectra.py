"""Traces and densities of Hessians against dense matrices."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import wasserstein_distance

import plateaux as px
from plateaux.diagnostics import curvature
from plateaux.diagnostics.curvature import SpectralDensity, traces

from .test_curvature import DATA, DENSE, hessian, network

NET = network(50, "relu")  # p = 200
DEAD = px.TwoLayer(np.ones((50, 2)), np.full(50, -99.0), np.zeros(50))
MATRIX = np.asarray(hessian(DATA, NET))
VALUES = np.linalg.eigvalsh(MATRIX)
KEYS = jax.random.split(jax.random.key(1), 400)


# --- traces ---------------------------------------------------------------------------


@eqx.filter_jit
def traces_of(net, method):
    one = lambda key: curvature.trace(DATA, net, key=key, method=method)
    return jax.vmap(one)(KEYS)


@pytest.mark.parametrize("method", ["hutchinson", "hutch++"])
def test_trace_is_unbiased_with_the_error_it_says(method):
    found = traces_of(NET, method)
    spread = np.std(found.value)
    # Four standard errors of the mean of 400; the spread of 400 is right to 4 %, and
    # the mean error of 30 samples or more to 2 %.
    assert abs(np.mean(found.value) - np.sum(VALUES)) < 4 * spread / np.sqrt(400)
    np.testing.assert_allclose(np.mean(found.standard_error), spread, rtol=0.2)


def test_hutchinson_has_the_variance_of_the_formula():
    rest = MATRIX - np.diag(np.diag(MATRIX))
    expected = np.sqrt(2 * np.sum(rest**2) / 90)
    # The spread of 400 draws is right to 4 %.
    found = np.std(traces_of(NET, "hutchinson").value)
    np.testing.assert_allclose(found, expected, rtol=0.15)


def test_hutch_plus_plus_pays_where_few_eigenvalues_carry_the_trace():
    """Rank 30 at most: with 40 columns the range is whole, and the trace exact."""
    exact = np.trace(DENSE["gauss_newton"](DATA, NET))
    trace = eqx.filter_jit(curvature.trace)
    found = trace(DATA, NET, num_products=120, matrix="gauss_newton")
    np.testing.assert_allclose(found.value, exact, rtol=1e-10)
    assert float(found.standard_error) < 1e-10 * float(exact)
    assert found.num_products == 120


def test_small_networks_have_their_trace_computed():
    net = network(width=4, activation="relu")
    found = eqx.filter_jit(curvature.trace)(DATA, net)
    exact = np.trace(hessian(DATA, net))
    np.testing.assert_allclose(found.value, exact, rtol=1e-13)
    assert float(found.standard_error) == 0


def test_trace_of_a_dead_network_is_zero():
    for method in traces.METHODS:
        assert not np.any(traces_of(DEAD, method).value)


# --- densities ------------------------------------------------------------------------


@eqx.filter_jit
def density_of(net, options):
    key = jax.random.key(5)
    return curvature.spectral_density(DATA, net, key=key, **options)


SIXTEEN = {"dense": False, "num_vectors": 16, "depth": 30}
EIGHT = {"dense": False, "num_vectors": 8, "depth": 60, "matrix": "gauss_newton"}
moment = jax.jit(SpectralDensity.moment)


def test_density_is_that_of_the_eigenvalues():
    exact = density_of(NET, {})  # p ≤ 512
    np.testing.assert_allclose(exact.nodes, VALUES, atol=1e-13)
    np.testing.assert_allclose(exact.weights, 1 / 200)
    found = density_of(NET, SIXTEEN)
    assert found.nodes.shape == (480,)
    np.testing.assert_allclose(np.sum(found.weights), 1.0, rtol=1e-12)
    for power in (1, 2, 3):
        # vᵀ f v of random unit v spreads by at most √(2 tr f²)/p; 16 of them, 4 σ.
        error = np.sqrt(2 * np.sum(VALUES ** (2 * power)) / 16) / 200
        apart = float(moment(found, power)) - float(moment(exact, power))
        assert abs(apart) < 4 * error
    width = VALUES[-1] - VALUES[0]
    distance = wasserstein_distance(VALUES, found.nodes, None, found.weights)
    assert distance < 0.01 * width
    grid = np.linspace(VALUES[0] - 0.1 * width, VALUES[-1] + 0.1 * width, 400)
    density = jax.jit(SpectralDensity.density)
    both = [np.asarray(density(each, grid, 0.02 * width)) for each in (found, exact)]
    apart = np.trapezoid(np.abs(both[0] - both[1]), grid)
    assert apart < 0.15  # sampling error of 16 vectors; 2 is the most there can be


def test_quadrature_is_exact_for_low_powers():
    """Σ w λ^k = vᵀHᵏv up to degree 2m − 1, whatever the vector."""
    short, long = (density_of(NET, SIXTEEN | {"depth": depth}) for depth in (3, 30))
    for power in range(6):
        a, b = moment(short, power), moment(long, power)
        np.testing.assert_allclose(a, b, rtol=1e-10)
    assert abs(float(moment(short, 8)) / float(moment(long, 8)) - 1) > 1e-6


def test_broadened_density_and_cdf():
    found = SpectralDensity(jnp.array([-1.0, 0.0, 2.0]), jnp.array([0.25, 0.5, 0.25]))
    grid = np.linspace(-8.0, 9.0, 2001)
    values = np.asarray(found.density(grid, 0.5))
    np.testing.assert_allclose(np.trapezoid(values, grid), 1.0, rtol=1e-10)
    np.testing.assert_allclose(np.trapezoid(values * grid, grid), 0.25, rtol=1e-10)
    variance = 1.25 - 0.25**2 + 0.5**2
    spread = np.trapezoid(values * (grid - 0.25) ** 2, grid)
    np.testing.assert_allclose(spread, variance, rtol=1e-10)
    at = np.array([-2.0, -1.0, -0.5, 0.0, 3.0])
    np.testing.assert_allclose(found.cdf(at), [0.0, 0.25, 0.25, 0.75, 1.0])
    with pytest.raises(ValueError, match="`width` must be positive"):
        found.density(grid, 0.0)


@pytest.mark.parametrize("options", [SIXTEEN, EIGHT], ids=["hessian", "gauss_newton"])
def test_invariant_bases_end_without_a_nan(options):
    dead = density_of(DEAD, options)
    assert not np.any(dead.nodes)
    np.testing.assert_allclose(np.sum(dead.weights), 1.0)
    broken = eqx.tree_at(lambda n: n.b, DEAD, jnp.asarray(np.full(50, np.nan)))
    assert np.all(np.isnan(density_of(broken, options).nodes))


def test_rank_deficient_matrices():
    """All 200 − 30 or more zero eigenvalues of Gauss–Newton are one node's weight."""
    found = density_of(NET, EIGHT)
    exact = np.linalg.eigvalsh(DENSE["gauss_newton"](DATA, NET))
    few = 1e-8 * exact[-1]
    zero = np.sum(np.asarray(found.weights)[np.abs(found.nodes) < few])
    # The share of a unit vector in a space of 85 %: deviation √(2·.85·.15/200/8).
    assert abs(zero - np.mean(exact < few)) < 4 * 0.013
