"""Closed-form gradients against automatic differentiation."""

import itertools

import equinox as eqx
import jax
import numpy as np
import pytest

import plateaux as px
from plateaux.dynamics import evaluate

from .. import draws
from ..closeness import assert_close
from ..registry import ACTIVATIONS
from ..variants import most_slow


def problem(loss="squared"):
    return draws.problem(7, 3, loss, "sum")


FAST = [(name, True, "logistic") for name in ACTIVATIONS]
FAST += [("relu", False, "squared"), ("tanh", False, "exponential")]
LOSSES = ("squared", "logistic", "exponential")
CASES = most_slow(itertools.product(ACTIVATIONS, (False, True), LOSSES), FAST)


@pytest.mark.parametrize(("name", "affine", "loss"), CASES)
def test_closed_form_equals_autodiff(name, affine, loss):
    network = draws.two_layer(5, 3, affine=affine, activation=name)
    data = problem(loss)
    both = lambda n: (
        evaluate(data, n),
        eqx.filter_value_and_grad(lambda n: px.loss(data, n))(n),
    )
    evaluation, (value, gradient) = eqx.filter_jit(both)(network)
    assert_close(evaluation.loss, value)
    assert_close(evaluation.gradient, gradient)
    (z,) = evaluation.preactivations
    w, b, x = map(np.asarray, (network.w, network.b, data.x))
    assert_close(z, w @ x.T + b[:, None])


def test_gradient_at_a_kink_uses_the_convention():
    """A datum exactly on the boundary counts as off."""
    data = px.Problem([[1.0], [2.0]], [1.0, 5.0])
    network = px.TwoLayer(w=[[1.0]], b=[-1.0], c=[1.0])  # z = 0 and 1
    gradient = jax.jit(evaluate)(data, network).gradient
    residual = 1.0 - 5.0
    assert_close(gradient.b, np.array([residual / 2]))
    assert_close(gradient.w, np.array([[2 * residual / 2]]))


def test_identity_of_homogeneous_activations():
    """c ∂L/∂c = v·∂L/∂v."""
    network = draws.two_layer(6, 3)
    gradient = jax.jit(evaluate)(problem(), network).gradient
    n, g = (jax.tree.map(np.asarray, tree) for tree in (network, gradient))
    assert_close(n.c * g.c, np.sum(n.w * g.w, axis=1) + n.b * g.b)
