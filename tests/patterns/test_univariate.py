"""Fast assembly in one dimension against the dense matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.patterns import (
    active_ranges,
    cell_fit,
    neuron_gradients,
    pattern,
    sort_data,
    univariate_fit,
)

from ..closeness import assert_close, stacked

NUM, WIDTH = 23, 6


def setting(seed, *, affine, shift=0.0):
    """Unsorted data with a repeated input, unequal weights, kinks of both sides."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=NUM) + shift
    x[3] = x[11]
    problem = px.Problem(
        x[:, None], rng.normal(size=NUM), weights=rng.uniform(0.5, 2, size=NUM)
    )
    w = rng.normal(size=WIDTH)
    kinks = rng.normal(size=WIDTH) + shift
    p = rng.normal(size=2) if affine else None
    network = px.TwoLayer(w[:, None], -w * kinks, rng.normal(size=WIDTH), p)
    return problem, network


def test_ranges_are_the_pattern():
    problem, network = setting(0, affine=False)
    data = sort_data(problem)
    # a kink on a datum, a neuron on everywhere, a dead one
    w, b, x = np.array(network.w), np.array(network.b), np.asarray(data.x)
    w[:3, 0], b[:3] = [1.0, 0.0, 0.0], [-x[4], 1.0, -1.0]
    network = px.TwoLayer(w, b, network.c)
    start, stop = active_ranges(network, data.x)
    place = np.arange(NUM)
    ours = (place >= np.asarray(start)[:, None]) & (place < np.asarray(stop)[:, None])
    np.testing.assert_array_equal(ours, pattern(network, jnp.asarray(x[:, None])))
    assert (int(start[0]), int(stop[0])) == (5, NUM)


def test_gradients_are_those_of_the_loss():
    problem, network = setting(1, affine=True)
    data = sort_data(problem)
    at = jax.jit(
        lambda problem, network: (
            jax.grad(lambda net: px.loss(problem, net))(network),
            px.outputs(network, problem.x),
        )
    )
    exact, outputs = jax.tree.map(np.asarray, at(problem, network))
    forces = (outputs - np.asarray(problem.y))[np.asarray(data.order)] * data.q
    g = np.asarray(neuron_gradients(network, data.x, jnp.asarray(forces)))
    w, b, c = (np.asarray(a) for a in (network.w[:, 0], network.b, network.c))
    v = np.stack([w, b], axis=1)
    assert_close(np.sum(v * g, axis=1), exact.c)
    assert_close(c * g[:, 0], exact.w[:, 0])
    assert_close(c * g[:, 1], exact.b)
    # c_i ∂L/∂c_i = v_i·∂L/∂v_i
    assert_close(c * exact.c, w * exact.w[:, 0] + b * exact.b)


def test_small_sums_beside_large_ones_keep_their_digits():
    """Forces of 1e15 on the off side do not touch the sums of the on side."""
    x = jnp.array([0.0, 1.0, 2.0, 3.0])
    forces = jnp.array([1e15, -3e15, 1.0, 1 / 3])
    network = px.TwoLayer([[1.0], [-1.0]], [-1.5, 1.5], [1.0, 1.0])
    g = neuron_gradients(network, x, forces)
    np.testing.assert_allclose(g[0], [3.0, 4 / 3], rtol=1e-15)
    np.testing.assert_allclose(g[1], [-3e15, -2e15], rtol=1e-15)


@pytest.mark.parametrize("affine", [True, False])
def test_fits_agree_with_the_dense_matrix(affine):
    for seed in range(4):
        problem, network = setting(seed, affine=affine)
        fast = univariate_fit(sort_data(problem), network, problem)
        dense = cell_fit(problem, network)
        np.testing.assert_allclose(fast.value, dense.value, rtol=1e-12)
        np.testing.assert_allclose(fast.fitted, dense.fitted, atol=1e-12)
        assert int(fast.rank) == int(dense.rank)
        np.testing.assert_allclose(fast.coefficients, dense.coefficients, atol=1e-11)


def test_far_from_zero_nothing_cancels():
    """A shift of x by 4096 = 2¹² is exact for these inputs; the fit is the same."""
    grid = np.random.default_rng(2).integers(0, 2**16, NUM) / 2.0**16
    y = np.sin(7 * grid)
    values = []
    for shift in (0.0, 4096.0):
        problem = px.Problem((grid + shift)[:, None], y)
        kink = -(np.array([0.3, 0.6]) + shift)
        network = px.TwoLayer(np.ones((2, 1)), kink, np.ones(2), np.zeros(2))
        data = sort_data(problem)
        values.append(float(univariate_fit(data, network, problem).value))
    np.testing.assert_allclose(values[1], values[0], rtol=1e-9)


def test_a_batch_is_a_loop():
    problem, network = setting(0, affine=True)
    data = sort_data(problem)
    scaled = lambda s: jax.tree.map(lambda a: jnp.asarray(s * np.asarray(a)), network)
    networks = [scaled(s) for s in (1.0, -1.0)]
    batch = stacked(networks)
    value = lambda net: univariate_fit(data, net, problem).value
    values = jax.jit(jax.vmap(value))(batch)
    expected = np.stack([cell_fit(problem, net).value for net in networks])
    assert_close(values, expected)


def test_more_inputs_are_refused():
    problem = px.Problem(np.ones((3, 2)), np.ones(3))
    with pytest.raises(
        ValueError, match="must have one input to have lines, but has 2"
    ):
        sort_data(problem)
