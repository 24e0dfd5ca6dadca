"""Gradients of many networks at once against those of one after another."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.dynamics import evaluate, evaluate_unwatched, lane_gradient
from plateaux.dynamics.lane_gradient import _BLOCK, _FEW_LANES, _many

from ..closeness import assert_close


def networks(key, num, in_dim=1, **options):
    draw = lambda k: px.networks.he(k, width=5, in_dim=in_dim, bias="normal", **options)
    return jax.vmap(draw)(jax.random.split(key, num))


def problem(in_dim=1, loss="squared"):
    rng = np.random.default_rng(in_dim)
    x, y = rng.normal(size=(9, in_dim)), rng.normal(size=9)
    y = y if loss == "squared" else np.sign(y)
    return px.Problem(x, y, weights=rng.uniform(size=9), loss=loss)


def one_by_one(data, many):
    look = lambda net: evaluate(data, net)
    found = eqx.filter_vmap(look)(many)
    return found.loss, found.gradient


def together(data, many):
    look = lambda net: evaluate_unwatched(data, net)
    found = eqx.filter_jit(eqx.filter_vmap(look))(many)
    assert found.preactivations == ()
    return found.loss, found.gradient


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
def test_equals_one_after_another(activation, in_dim, affine, key):
    many = networks(key, 20, in_dim, affine=affine, activation=activation)
    data = problem(in_dim)
    assert_close(together(data, many), one_by_one(data, many))


@pytest.mark.parametrize("num", [1, _FEW_LANES - 1, _BLOCK, 2 * _BLOCK + 3])
def test_all_numbers_of_lanes(num, key):
    data, many = problem(loss="logistic"), networks(key, num)
    assert_close(together(data, many), one_by_one(data, many))


def test_the_fast_path_is_taken_where_it_can_be(key, monkeypatch):
    taken = []
    monkeypatch.setattr(
        "plateaux.dynamics.lane_gradient._many",
        lambda *arguments: taken.append(True) or _many(*arguments),
    )
    data, many = problem(), networks(key, 20)
    assert_close(together(data, many), one_by_one(data, many))
    assert taken
    taken.clear()
    # targets that differ from lane to lane, or half a network that does not
    look = lambda y, net: (
        evaluate_unwatched(eqx.tree_at(lambda p: p.y, data, y), net).loss
    )
    targets = jnp.stack([data.y + i for i in range(20)])
    first, fourth = (jax.tree.map(lambda leaf, i=i: leaf[i], many) for i in (0, 3))
    assert_close(jax.vmap(look)(targets, many)[3], look(targets[3], fourth))
    look = lambda c: evaluate_unwatched(data, eqx.tree_at(lambda n: n.c, first, c)).loss
    assert_close(jax.vmap(look)(many.c)[4], look(many.c[4]))
    assert not taken


def test_batches_of_batches_and_derivatives(key):
    data, many = problem(), networks(key, 40)
    folded = jax.tree.map(lambda leaf: leaf.reshape(2, 20, *leaf.shape[1:]), many)
    look = lambda net: evaluate_unwatched(data, net).loss
    values = jax.vmap(jax.vmap(look))(folded)
    assert_close(values.ravel(), one_by_one(data, many)[0])
    # derivatives of the gradient's size, in both modes, through the batch
    size = lambda net: jnp.sum(evaluate_unwatched(data, net).gradient.w ** 2)
    plain = lambda net: jnp.sum(evaluate(data, net).gradient.w ** 2)
    total = lambda function: lambda nets: jnp.sum(jax.vmap(function)(nets))
    assert_close(jax.grad(total(size))(many), jax.grad(total(plain))(many))
    along = lambda function: jax.jvp(total(function), (many,), (many,))[1]
    assert_close(along(size), along(plain))
    assert_close(jax.vmap(jax.grad(size))(many), jax.vmap(jax.grad(plain))(many))


@pytest.mark.parametrize("block", [1, 2, 3, 100])
def test_other_networks_are_taken_a_few_at_a_time(block, key, monkeypatch):
    data = problem(in_dim=2)
    draw = lambda k: px.networks.mlp(k, widths=(4, 3), in_dim=2, activation="tanh")
    many = jax.vmap(draw)(jax.random.split(key, 5))
    # Nine data and seven units: 63 values a lane.
    monkeypatch.setattr(lane_gradient, "_TOGETHER", 63 * block + 10)
    assert_close(together(data, many), one_by_one(data, many))
    size = lambda net: evaluate_unwatched(data, net).loss
    plain = lambda net: evaluate(data, net).loss
    reverse = jax.vmap(jax.grad(size))(many)
    assert_close(reverse, jax.vmap(jax.grad(plain))(many))
    text = str(jax.make_jaxpr(jax.vmap(size))(many))
    assert ("scan" in text) == (block < 5)


def test_densities_may_hold_traced_numbers(key):
    net = px.networks.mlp(key, widths=(3,), in_dim=1, activation="tanh")
    weights = jnp.full(4, 0.25)

    def last_loss(level):
        density = px.problems.residual(lambda u, x: u(x) - level)
        part = px.problems.Part("level", jnp.ones((4, 1)), weights, density)
        task = px.problems.Functional([part], order=0)
        run = px.descend(task, net, px.gradient_descent(0.1), num_steps=2)
        return run.losses[-1]

    levels = jnp.array([0.5, 1.0])
    each = jnp.stack([last_loss(level) for level in levels])
    assert_close(jax.vmap(last_loss)(levels), each)
    h = 1e-6
    slope = (last_loss(1 + h) - last_loss(1 - h)) / (2 * h)
    # Rounding of the differences, eps/h.
    np.testing.assert_allclose(jax.grad(last_loss)(1.0), slope, rtol=1e-8)


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
    many = Line(jnp.array([[0.5], [2.0]]))
    assert_close(together(problem(), many), one_by_one(problem(), many))
