"""The closed-form Hessian of linear chains: C3 of the theory note."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.dynamics.chain_hessian import chain_hessian, has_closed_form

from .test_hessian import assert_same, automatic

X = jnp.array([[0.5], [-1.0], [2.0]])
DATA = px.Problem(X, jnp.array([1.0, 0.3, -0.7]), weights=jnp.array([1.0, 2.0, 0.5]))
UNIT = px.Problem([[1.0]], [1.5])


@pytest.mark.parametrize("residual_scale", [None, 0.3])
@pytest.mark.parametrize("depth", [1, 2, 3, 7])
def test_closed_form_equals_autodiff(depth, residual_scale, key):
    network = px.networks.chain(key, depth=depth, residual_scale=residual_scale)
    assert_same(px.dynamics.hessian(DATA, network), automatic(DATA, network))


@pytest.mark.parametrize("weights", [[0.0, 2.0, 3.0], [0.0, 2.0, 0.0, -1.0]])
def test_zero_weights_are_exact(weights):
    network = px.networks.Chain(weights)
    assert_same(chain_hessian(DATA, network), automatic(DATA, network))


def test_saddle_at_zero():
    two = chain_hessian(UNIT, px.networks.Chain([0.0, 0.0]))
    np.testing.assert_array_equal(np.linalg.eigvalsh(two), [-1.5, 1.5])
    for depth in (3, 5):
        flat = chain_hessian(UNIT, px.networks.Chain([0.0] * depth))
        np.testing.assert_array_equal(flat, np.zeros((depth, depth)))


def test_single_weights_have_the_formulas_of_the_note():
    """∂_i, H_ii and H_ij of III.3, x = 1."""
    w, y = np.array([0.7, -1.2, 0.4, 1.1]), 1.5
    p = np.prod(w)
    expected = (2 * p**2 - y * p) / np.outer(w, w)
    np.fill_diagonal(expected, p**2 / w**2)
    np.testing.assert_allclose(
        chain_hessian(UNIT, px.networks.Chain(w)), expected, rtol=1e-13
    )


@pytest.mark.parametrize(
    ("network", "data"),
    [
        (px.networks.Chain([0.5, 2.0], activation="relu"), UNIT),
        (px.networks.Chain([0.5, 2.0]), px.Problem([[1.0]], [1.0], loss="logistic")),
    ],
)
def test_all_else_is_differentiated(network, data):
    assert not has_closed_form(data, network)
    assert_same(px.dynamics.hessian(data, network), automatic(data, network))


def test_batch_equals_loop(key):
    chains = jax.vmap(lambda k: px.networks.chain(k, depth=4))(jax.random.split(key, 3))
    batch = jax.vmap(lambda chain: chain_hessian(DATA, chain))(chains)
    for i in range(3):
        one = px.networks.Chain(chains.weights[i])
        assert_same(batch[i], chain_hessian(DATA, one))
