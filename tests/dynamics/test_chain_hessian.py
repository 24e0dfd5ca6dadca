"""The closed-form Hessian of linear chains: C3 of the theory note."""

import jax
import numpy as np
import pytest

import plateaux as px
from plateaux.dynamics.chain_hessian import (
    chain_hessian as _chain_hessian,
    has_closed_form,
)

from ..closeness import stacked
from .test_hessian import assert_same, automatic, hessian

chain_hessian = jax.jit(_chain_hessian)
X = [[0.5], [-1.0], [2.0]]
DATA = px.Problem(X, [1.0, 0.3, -0.7], weights=[1.0, 2.0, 0.5])
UNIT = px.Problem([[1.0]], [1.5])


def chain(depth, seed=0, **options):
    weights = np.random.default_rng(seed).uniform(-1.7, 1.7, size=depth)
    return px.networks.Chain(weights, **options)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("depth", "residual_scale"),
    [
        *((1, None), (2, None), (4, None), (1, 0.3), (4, 0.3)),
        *(pytest.param(depth, None, marks=SLOW) for depth in (3, 7)),
        *(pytest.param(depth, 0.3, marks=SLOW) for depth in (2, 3, 7)),
    ],
)
def test_closed_form_equals_autodiff(depth, residual_scale):
    network = chain(depth, residual_scale=residual_scale)
    assert_same(hessian(DATA, network), automatic(DATA, network))


@pytest.mark.parametrize("weights", [[0.0, 2.0, 3.0, -1.0], [0.0, 2.0, 0.0, -1.0]])
def test_zero_weights_are_exact(weights):
    network = px.networks.Chain(weights)
    assert_same(chain_hessian(DATA, network), automatic(DATA, network))


def test_saddle_at_zero():
    two = chain_hessian(UNIT, px.networks.Chain([0.0, 0.0]))
    np.testing.assert_array_equal(np.linalg.eigvalsh(two), [-1.5, 1.5])
    for depth in (3, 4):
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
    assert_same(hessian(data, network), automatic(data, network))


def test_batch_equals_loop():
    chains = [chain(4, seed) for seed in range(3)]
    batch = jax.jit(jax.vmap(lambda one: _chain_hessian(DATA, one)))
    for found, one in zip(np.asarray(batch(stacked(chains))), chains, strict=True):
        assert_same(found, chain_hessian(DATA, one))
