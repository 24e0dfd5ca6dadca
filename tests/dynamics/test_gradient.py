"""Closed-form gradients against automatic differentiation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import plateaux as px
from plateaux.dynamics import evaluate

from ..closeness import assert_close
from ..registry import ACTIVATIONS


def problem(key, loss="squared", normalisation="mean"):
    kx, ky, kw = jax.random.split(key, 3)
    x = jax.random.normal(kx, (7, 3))
    y = jax.random.normal(ky, (7,))
    y = y if loss == "squared" else jnp.sign(y)
    weights = jax.random.uniform(kw, (7,))
    return px.Problem(x, y, weights=weights, loss=loss, normalisation=normalisation)


@pytest.mark.parametrize("loss", ["squared", "logistic", "exponential"])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_closed_form_equals_autodiff(name, affine, loss, key):
    network = px.networks.he(
        key, width=5, in_dim=3, bias="normal", affine=affine, activation=name
    )
    data = problem(key, loss, "sum")
    evaluation = evaluate(data, network)
    value, gradient = eqx.filter_value_and_grad(lambda n: px.loss(data, n))(network)
    assert_close(evaluation.loss, value)
    assert_close(evaluation.gradient, gradient)
    (z,) = evaluation.preactivations
    assert_close(z, network.w @ data.x.T + network.b[:, None])


def test_gradient_at_a_kink_uses_the_convention(key):
    """A datum exactly on the boundary counts as off."""
    data = px.Problem(jnp.array([[1.0], [2.0]]), jnp.array([1.0, 5.0]))
    network = px.TwoLayer(w=[[1.0]], b=[-1.0], c=[1.0])  # z = 0 and 1
    gradient = evaluate(data, network).gradient
    residual = 1.0 - 5.0
    assert_close(gradient.b, jnp.array([residual / 2]))
    assert_close(gradient.w, jnp.array([[2 * residual / 2]]))


def test_identity_of_homogeneous_activations(key):
    """c ∂L/∂c = v·∂L/∂v."""
    network = px.networks.he(key, width=6, in_dim=3, bias="normal")
    gradient = evaluate(problem(key), network).gradient
    left = network.c * gradient.c
    right = jnp.sum(network.w * gradient.w, axis=1) + network.b * gradient.b
    assert_close(left, right)
