"""Gradients along sorted data against automatic differentiation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.dynamics import evaluate, evaluate_sorted, in_order

from ..closeness import assert_close


def check(problem, network):
    """Loss and gradient, and the pattern's convention at kinks, as autodiff has it."""
    found = jax.jit(evaluate_sorted)(in_order(problem), network)
    value, gradient = eqx.filter_value_and_grad(lambda n: px.loss(problem, n))(network)
    assert_close(found.loss, value)
    assert_close(found.gradient, gradient)
    assert found.preactivations == ()


@pytest.mark.parametrize(
    ("activation", "affine", "loss"),
    [
        ("relu", False, "squared"),
        ("relu", True, "logistic"),
        ("leaky_relu", True, "squared"),
        ("identity", False, "squared"),
    ],
)
def test_equals_autodiff(activation, affine, loss, key):
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(31, 1)), rng.normal(size=31)
    y = y if loss == "squared" else np.sign(y)
    problem = px.Problem(x, y, weights=rng.uniform(size=31), loss=loss)
    network = px.networks.he(
        key, width=17, in_dim=1, bias="normal", affine=affine, activation=activation
    )
    check(problem, network)


@pytest.mark.parametrize("num", [1, 2, 3, 65])
def test_all_numbers_of_data(num, key):
    x = jax.random.normal(key, (num, 1))
    network = px.networks.he(key, width=5, in_dim=1, bias="normal")
    check(px.Problem(x, jnp.cos(3 * x[:, 0])), network)


def test_kinks_on_data_equal_data_dead_and_constant_neurons():
    x = jnp.array([[1.0], [-1.0], [0.5], [1.0], [0.5], [3.0]])
    network = px.TwoLayer(
        w=[[1.0], [-1.0], [2.0], [0.0], [0.0], [1.0], [-1.0]],
        b=[-0.5, 1.0, -2.0, 0.7, -0.7, 9.0, -9.0],
        c=[1.0, -2.0, 0.5, 0.3, 4.0, 0.1, 5.0],
    )
    found = evaluate_sorted(in_order(px.Problem(x, x[:, 0] ** 2)), network)
    there = evaluate(px.Problem(x, x[:, 0] ** 2), network)  # a datum on a kink is off
    assert_close(found.gradient, there.gradient)
    assert_close(found.loss, there.loss)


def test_small_sums_beside_large_ones_keep_their_digits():
    """Sums run from the end at which a neuron is on, in both directions."""
    x = jnp.array([[0.0], [1.0], [2.0], [3.0]])
    y = jnp.array([1e8, 0.0, 1e-8, 0.0])
    network = px.TwoLayer(w=[[1.0]], b=[-1.5], c=[0.0])
    found = evaluate_sorted(px.Problem(x, -y, normalisation="sum"), network)
    np.testing.assert_allclose(found.gradient.c, [0.5e-8], rtol=1e-15)
    mirrored = px.TwoLayer(w=[[-1.0]], b=[1.5], c=[0.0])
    problem = px.Problem(3 - x, -y, normalisation="sum")
    found = evaluate_sorted(in_order(problem), mirrored)
    np.testing.assert_allclose(found.gradient.c, [0.5e-8], rtol=1e-15)


def setting(key):
    x = jax.random.uniform(key, (40, 1), minval=-1)
    network = px.networks.he(key, width=12, in_dim=1, bias="normal", affine=True)
    return px.Problem(x, jnp.sin(4 * x[:, 0])), network


def train(problem, network, how, **options):
    return px.descend(
        problem,
        network,
        px.gradient_descent(0.05),
        num_steps=200,
        watch=False,
        gradient=how,
        **options,
    )


def test_descent_takes_the_same_path(key):
    problem, network = setting(key)
    record = {"outputs": lambda p, net: px.networks.outputs(net, p.x)}
    runs = [train(problem, network, how, record=record) for how in ("sorted", "dense")]
    np.testing.assert_allclose(runs[0].losses, runs[1].losses, rtol=1e-11)
    # recorded functions see the data in their own order
    np.testing.assert_allclose(
        runs[0].saved["outputs"], runs[1].saved["outputs"], atol=1e-10
    )


def test_batches_and_reverse_derivatives(key):
    problem, network = setting(key)

    def last(how, scale):
        scaled = eqx.tree_at(lambda net: net.c, network, scale * network.c)
        return train(problem, scaled, how).losses[-1]

    for how in ("sorted", "dense"):
        many = jax.vmap(lambda s, how=how: last(how, s))(jnp.array([0.5, 1.0]))
        np.testing.assert_allclose(many[1], last(how, 1.0), rtol=1e-12)
    slopes = [
        jax.grad(lambda s, how=how: last(how, s))(1.0) for how in ("sorted", "dense")
    ]
    np.testing.assert_allclose(*slopes, rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gradient": "fast"}, "gradient"),
        ({"gradient": "sorted", "watch": True}, "watch"),
        ({"gradient": "sorted", "activation": "tanh"}, "piecewise-linear"),
        ({"gradient": "sorted", "in_dim": 2}, "one input"),
    ],
)
def test_refusals(change, message, key):
    options = {"watch": False, "activation": "relu", "in_dim": 1} | change
    dim, activation = options.pop("in_dim"), options.pop("activation")
    network = px.networks.he(key, width=3, in_dim=dim, activation=activation)
    problem = px.Problem(jnp.ones((4, dim)), jnp.ones(4))
    step = px.gradient_descent(0.1)
    with pytest.raises(ValueError, match=message):
        px.descend(problem, network, step, num_steps=2, **options)
