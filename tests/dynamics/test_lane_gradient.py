"""Gradients of many networks at once against those of one after another."""

import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.dynamics import evaluate, evaluate_unwatched, lane_gradient
from plateaux.dynamics.lane_gradient import _BLOCK, _FEW_LANES, _many

from .. import draws
from ..closeness import assert_close, lane, stacked


def networks(num, in_dim=1, **options):
    draw = lambda seed: draws.two_layer(5, in_dim, seed=seed, **options)
    return stacked([draw(seed) for seed in range(num)])


def problem(in_dim=1, loss="squared"):
    return draws.problem(9, in_dim, loss)


def assert_same(data, many):
    """Losses and gradients of both ways, in one program."""

    @eqx.filter_jit
    def both(many):
        looks = (ft.partial(look, data) for look in (evaluate_unwatched, evaluate))
        return [eqx.filter_vmap(look)(many) for look in looks]

    found, expected = both(many)
    assert found.preactivations == ()
    assert_close(found[:2], expected[:2])


@pytest.mark.parametrize(
    ("activation", "in_dim", "affine"),
    [
        ("relu", 1, False),
        ("leaky_relu", 1, True),
        ("relu", 3, True),
        ("relu", 5, False),  # matrix products are faster there
        ("tanh", 1, True),  # as they are with what costs more than a comparison
    ],
)
def test_equals_one_after_another(activation, in_dim, affine):
    many = networks(20, in_dim, affine=affine, activation=activation)
    assert_same(problem(in_dim), many)


@pytest.mark.parametrize("num", [1, _FEW_LANES - 1, _BLOCK, 2 * _BLOCK + 3])
def test_all_numbers_of_lanes(num):
    assert_same(problem(loss="logistic"), networks(num))


def test_the_fast_path_is_taken_where_it_can_be(monkeypatch):
    taken = []
    monkeypatch.setattr(
        "plateaux.dynamics.lane_gradient._many",
        lambda *arguments: taken.append(True) or _many(*arguments),
    )
    data, many = problem(), networks(20)
    assert_same(data, many)
    assert taken
    taken.clear()
    # targets that differ from lane to lane, or half a network that does not
    at = lambda y, net: evaluate_unwatched(eqx.tree_at(lambda p: p.y, data, y), net)
    look = lambda y, net: at(y, net).loss
    targets = np.asarray(data.y) + np.arange(20.0)[:, None]
    first, fourth = (lane(many, i) for i in (0, 3))
    one = lambda y, net: evaluate(eqx.tree_at(lambda p: p.y, data, y), net).loss
    losses = jax.jit(jax.vmap(look))(targets, many)
    one = jax.jit(one)
    assert_close(losses[3], one(targets[3], fourth))
    with_outer = lambda c: eqx.tree_at(lambda n: n.c, first, c)
    look = lambda c: evaluate_unwatched(data, with_outer(c)).loss
    losses = jax.jit(jax.vmap(look))(many.c)
    assert_close(losses[4], one(data.y, with_outer(many.c[4])))
    assert not taken


def test_batches_of_batches_and_derivatives():
    data, many = problem(), networks(40)
    folded = jax.tree.map(lambda a: np.asarray(a).reshape(2, 20, *a.shape[1:]), many)
    # derivatives of the gradient's size, in both modes, through the batch
    total = lambda function: lambda nets: jnp.sum(jax.vmap(function)(nets))

    def numbers(look, many, folded):
        value = lambda net: look(data, net).loss
        size = lambda net: jnp.sum(look(data, net).gradient.w ** 2)
        return (
            jax.vmap(jax.vmap(value))(folded),
            jax.grad(total(size))(many),
            jax.jvp(total(size), (many,), (many,))[1],
            jax.vmap(jax.grad(size))(many),
        )

    looks = evaluate_unwatched, evaluate
    both = jax.jit(lambda *nets: [numbers(look, *nets) for look in looks])
    assert_close(*both(many, folded))


@pytest.mark.parametrize("block", [1, 2, 3, 100])
def test_other_networks_are_taken_a_few_at_a_time(block, monkeypatch):
    data = problem(in_dim=2)
    draw = lambda seed: draws.deep((4, 3), 2, activation="tanh", seed=seed)
    many = stacked([draw(seed) for seed in range(5)])
    # Nine data and seven units: 63 values a lane.
    monkeypatch.setattr(lane_gradient, "_TOGETHER", 63 * block + 10)
    assert_same(data, many)
    size = lambda net: evaluate_unwatched(data, net).loss
    if block == 2:
        plain = lambda net: evaluate(data, net).loss
        gradients = lambda many: [jax.vmap(jax.grad(f))(many) for f in (size, plain)]
        assert_close(*jax.jit(gradients)(many))
    text = str(jax.make_jaxpr(jax.vmap(size))(many))
    assert ("scan" in text) == (block < 5)


def test_densities_may_hold_traced_numbers():
    net = draws.deep((3,), 1, activation="tanh")
    points, weights = np.ones((4, 1)), np.full(4, 0.25)

    def last_loss(level):
        density = px.problems.residual(lambda u, x: u(x) - level)
        part = px.problems.Part("level", points, weights, density)
        task = px.problems.Functional([part], order=0)
        run = px.descend(task, net, px.gradient_descent(0.1), num_steps=2)
        return run.losses[-1]

    h = 1e-6
    levels = np.array([0.5, 1.0, 1 + h, 1 - h])
    alone, slope = jax.jit(jax.value_and_grad(last_loss))(1.0)
    losses = np.asarray(jax.jit(jax.vmap(last_loss))(levels))
    assert_close(losses[1], alone)
    # Rounding of the differences, eps/h.
    expected = (losses[2] - losses[3]) / (2 * h)
    np.testing.assert_allclose(slope, expected, rtol=1e-8)


class Line(px.networks.Network):
    """x ↦ a·x: a network without hidden units."""

    a: jax.Array
    activation: px.networks.Activation = eqx.field(
        static=True, default=px.networks.ACTIVATIONS["identity"]
    )
    in_dim = 1
    out_dim = None

    def __call__(self, x):
        return self.a @ x

    def hidden(self, x):
        return ()


def test_networks_without_hidden_units():
    assert_same(problem(), Line(jnp.array([[0.5], [2.0]])))
