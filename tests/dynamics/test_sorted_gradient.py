"""Gradients along sorted data against automatic differentiation."""

import functools as ft

import equinox as eqx
import jax
import numpy as np
import pytest

import plateaux as px
from plateaux.dynamics import evaluate, evaluate_sorted, in_order

from .. import draws
from ..closeness import assert_close


@jax.jit
def both(problem, network):
    """Loss and gradient along sorted data, and by automatic differentiation."""
    value = eqx.filter_value_and_grad(lambda n: px.loss(problem, n))(network)
    return evaluate_sorted(in_order(problem), network), value


def check(problem, network):
    """Loss and gradient, and the pattern's convention at kinks, as autodiff has it."""
    found, (value, gradient) = both(problem, network)
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
def test_equals_autodiff(activation, affine, loss):
    network = draws.two_layer(17, 1, affine=affine, activation=activation)
    check(draws.problem(31, 1, loss), network)


@pytest.mark.parametrize("num", [1, 2, 3, 65])
def test_all_numbers_of_data(num):
    check(draws.problem(num, 1), draws.two_layer(5, 1))


def test_kinks_on_data_equal_data_dead_and_constant_neurons():
    x = np.array([[1.0], [-1.0], [0.5], [1.0], [0.5], [3.0]])
    network = px.TwoLayer(
        w=[[1.0], [-1.0], [2.0], [0.0], [0.0], [1.0], [-1.0]],
        b=[-0.5, 1.0, -2.0, 0.7, -0.7, 9.0, -9.0],
        c=[1.0, -2.0, 0.5, 0.3, 4.0, 0.1, 5.0],
    )
    problem = px.Problem(x, x[:, 0] ** 2)
    # Sorted by NumPy, out of any program; a datum on a kink is off.
    found = jax.jit(evaluate_sorted)(in_order(problem), network)
    there = jax.jit(evaluate)(problem, network)
    assert_close(found.gradient, there.gradient)
    assert_close(found.loss, there.loss)


def test_small_sums_beside_large_ones_keep_their_digits():
    """Sums run from the end at which a neuron is on, in both directions."""
    x = np.array([[0.0], [1.0], [2.0], [3.0]])
    y = np.array([1e8, 0.0, 1e-8, 0.0])
    network = px.TwoLayer(w=[[1.0]], b=[-1.5], c=[0.0])
    look = jax.jit(evaluate_sorted)
    found = look(px.Problem(x, -y, normalisation="sum"), network)
    np.testing.assert_allclose(found.gradient.c, [0.5e-8], rtol=1e-15)
    mirrored = px.TwoLayer(w=[[-1.0]], b=[1.5], c=[0.0])
    problem = px.Problem(3 - x, -y, normalisation="sum")
    found = look(in_order(problem), mirrored)
    np.testing.assert_allclose(found.gradient.c, [0.5e-8], rtol=1e-15)


def setting():
    x = np.random.default_rng(0).uniform(-1, 1, size=(40, 1))
    return px.Problem(x, np.sin(4 * x[:, 0])), draws.two_layer(12, 1, affine=True)


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


RECORD = {"outputs": lambda p, net: px.networks.outputs(net, p.x)}


def test_descent_takes_the_same_path():
    problem, network = setting()
    runs = [train(problem, network, how, record=RECORD) for how in ("sorted", "dense")]
    np.testing.assert_allclose(runs[0].losses, runs[1].losses, rtol=1e-11)
    # recorded functions see the data in their own order
    np.testing.assert_allclose(
        runs[0].saved["outputs"], runs[1].saved["outputs"], atol=1e-10
    )


def test_batches_and_reverse_derivatives():
    problem, network = setting()

    def last(how, scale):
        scaled = eqx.tree_at(lambda net: net.c, network, scale * network.c)
        return train(problem, scaled, how, record=RECORD).losses[-1]

    slopes = []
    for how in ("sorted", "dense"):
        of_both = jax.jit(jax.vmap(jax.value_and_grad(ft.partial(last, how))))
        many, slope = of_both(np.array([0.5, 1.0]))
        np.testing.assert_allclose(np.asarray(many)[1], last(how, 1.0), rtol=1e-12)
        slopes.append(slope)
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
def test_refusals(change, message):
    options = {"watch": False, "activation": "relu", "in_dim": 1} | change
    dim, activation = options.pop("in_dim"), options.pop("activation")
    network = draws.two_layer(3, dim, activation=activation)
    problem = px.Problem(np.ones((4, dim)), np.ones(4))
    step = px.gradient_descent(0.1)
    with pytest.raises(ValueError, match=message):
        px.descend(problem, network, step, num_steps=2, **options)
