"""Optimizers that leave saddles, on saddles and chains whose steps are known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import plateaux as px
from plateaux.dynamics import (
    gradient_norm,
    noisy_descent,
    normalised_descent,
    reduced,
    saddle_free_newton,
)
from plateaux.sweeps.grid import grid
from plateaux.sweeps.optimizers import make_optimizer

from ..closeness import stacked
from ..sweeps.conftest import tiny

PROBLEM = px.Problem([[1.0]], [1.0])
H = 0.01


def steps_out(optimizer, start, curvature, radius=0.5):
    """Steps along the direction of curvature −κ of the saddle ½ z'Hz, H = (κ', −κ)."""
    matrix = jnp.asarray(np.diag([3.0, -curvature]))
    value = lambda z: z @ matrix @ z / 2
    optimizer = optax.with_extra_args_support(optimizer)

    def step(carry):
        z, state, count = carry
        update, state = optimizer.update(matrix @ z, state, z, value_fn=value)
        return z + update, state, count + 1

    def count(z):
        inside = lambda c: (c[0][1] < radius) & (c[2] < 10_000)
        return jax.lax.while_loop(inside, step, (z, optimizer.init(z), 0))[2]

    return int(jax.jit(count)(np.array([0.0, start])))


@pytest.mark.parametrize("curvature", [1e-2, 1e-12, 1e-200])
def test_steps_out_of_a_saddle_ignore_the_curvature(curvature):
    straight = reduced.saddle_escape_time(
        1e-3, 0.5, curvature=curvature, method="normalised", step_size=H
    )
    assert steps_out(normalised_descent(H), 1e-3, curvature) == np.ceil(straight)


@pytest.mark.parametrize("curvature", [3.0, 1e-2])
def test_saddle_free_newton_grows_by_one_factor(curvature):
    """1 + h κ/(κ + μ), μ the damping times the largest curvature, 3."""
    growth = 1 + 0.1 * curvature / (curvature + 1e-3 * 3.0)
    expected = np.ceil(np.log(0.5 / 1e-3) / np.log(growth))
    assert steps_out(saddle_free_newton(0.1), 1e-3, curvature) == expected


def test_saddle_free_newton_against_dense_algebra():
    weights = np.array([0.3, -0.7, 0.5])
    chain = px.networks.Chain(weights)
    matrix = np.asarray(jax.jit(px.dynamics.hessian)(PROBLEM, chain))
    look = jax.jit(px.dynamics.evaluate)
    gradient = np.asarray(look(PROBLEM, chain).gradient.weights)
    values, vectors = np.linalg.eigh(matrix)
    sizes = np.abs(values) + 0.05 * np.abs(values).max()
    expected = weights - 0.3 * vectors @ (vectors.T @ gradient / sizes)
    run = px.descend(PROBLEM, chain, saddle_free_newton(0.3, 0.05), num_steps=1)
    np.testing.assert_allclose(run.network.weights, expected, rtol=1e-13)
    assert run.time_unit == "steps"


def test_saddle_free_newton_wants_the_value_function():
    optimizer = saddle_free_newton(0.1)
    with pytest.raises(TypeError, match="value_fn"):
        optimizer.update(jnp.ones(2), optimizer.init(jnp.ones(2)), jnp.ones(2))


def test_nothing_moves_where_there_is_no_gradient():
    dead = px.networks.Chain([0.0, 0.0, 0.0])
    for optimizer in (normalised_descent(H), saddle_free_newton(H)):
        run = px.descend(PROBLEM, dead, optimizer, num_steps=2)
        np.testing.assert_array_equal(run.network.weights, 0)
        assert run.outcome == px.Outcome.completed


def test_gradients_whose_squares_underflow_have_norms():
    """On a chain of w = 1e-60 with L = 4 the gradient is w³ in every entry."""
    chain, norm = px.networks.Chain(np.full(4, 1e-60)), jax.jit(gradient_norm)
    np.testing.assert_allclose(norm(PROBLEM, chain), 2e-180, rtol=1e-12)
    assert float(norm(PROBLEM, px.networks.Chain(np.zeros(4)))) == 0
    run = px.descend(PROBLEM, chain, normalised_descent(H), num_steps=1)
    np.testing.assert_allclose(run.network.weights, H / 2, rtol=1e-12)


def test_noise_has_its_variance_and_decays():
    optimizer = noisy_descent(0.5, variance=4.0, decay=2.0, seed=3)
    state, step = jax.jit(optimizer.init)(np.zeros(40_000)), jax.jit(optimizer.update)
    for t in range(2):
        update, state = step(np.full(40_000, 7.0), state)
        noise = -np.asarray(update) / 0.5 - 7.0
        # Four standard errors of mean and variance of 40 000 normal numbers.
        deviation = 2.0 / (1 + t)
        assert abs(np.mean(noise)) < 4 * deviation / 200
        assert abs(np.var(noise) / deviation**2 - 1) < 4 * np.sqrt(2) / 200


def test_noise_is_the_lanes_own_and_repeatable():
    draw = lambda seed: np.random.default_rng(seed).uniform(-1e-60, 1e-60, size=3)
    chains = [px.networks.Chain(draw(seed)) for seed in range(3)]
    train = lambda chain: px.descend(
        PROBLEM, chain, noisy_descent(H, variance=1.0), num_steps=4
    )
    runs = jax.vmap(train)(stacked(chains))
    ends = np.asarray(runs.network.weights)
    assert np.min(np.abs(ends[0] - ends[1:])) > 1e-6
    again = train(chains[1])
    np.testing.assert_allclose(again.network.weights, ends[1], rtol=1e-12)


def test_bad_numbers_are_refused():
    for make in (normalised_descent, saddle_free_newton, noisy_descent):
        with pytest.raises(ValueError, match="step_size"):
            make(-1.0)
    with pytest.raises(ValueError, match="damping"):
        saddle_free_newton(0.1, damping=0.0)
    with pytest.raises(ValueError, match="variance"):
        noisy_descent(0.1, variance=0.0)


def test_a_specification_names_them():
    pairs = {
        "normalised_sgd": (normalised_descent(H), {}),
        "saddle_free_newton": (saddle_free_newton(H, 0.1), {"damping": 0.1}),
        "noisy_sgd": (noisy_descent(H, seed=5), {"seed": 5}),
    }
    value = lambda z: jnp.sum(z**2) + z[0] * z[1] ** 3

    def updates(z):
        for name, (optimizer, options) in pairs.items():
            for opt in (optimizer, make_optimizer(name, H, options)):
                opt = optax.with_extra_args_support(opt)
                yield opt.update(jax.grad(value)(z), opt.init(z), z, value_fn=value)[0]

    found = jax.jit(lambda z: list(updates(z)))(np.array([0.3, -0.7]))
    for one, other in zip(found[::2], found[1::2], strict=True):
        np.testing.assert_array_equal(one, other)
    for name, (_, options) in pairs.items():
        table = {"optimizer": name, "name": "descent", name: options}
        assert grid(tiny(method=table))
    with pytest.raises(ValueError, match="dampin"):
        tiny(method={"optimizer": name, "dampin": 0.1})


# --- how optax places eps ------------------------------------------------------------


def test_where_rmsprop_and_adam_have_their_eps():
    """The first step from g: bias correction, and eps inside or outside of the root."""
    g, h, eps = 1e-6, 0.01, 1e-8
    first = lambda opt: -float(jax.jit(lambda g: opt.update(g, opt.init(0 * g))[0])(g))
    scale = np.sqrt(0.01) * g
    inside = optax.rmsprop(h, decay=0.99, eps=eps)
    outside = optax.rmsprop(h, decay=0.99, eps=eps, eps_in_sqrt=False)
    corrected = optax.rmsprop(
        h, decay=0.99, eps=eps, eps_in_sqrt=False, bias_correction=True
    )
    expected = [h * g / np.sqrt(scale**2 + eps), h * g / (scale + eps), h / (1 + 0.01)]
    with jax.numpy_dtype_promotion("standard"):  # optax counts steps in int32
        found = [first(opt) for opt in (inside, outside, corrected)]
        adam = first(optax.adam(h, b2=0.99, eps=eps))
        root = first(optax.adam(h, b2=0.99, eps=eps, eps_root=1e-12))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(adam, h / (1 + 0.01), rtol=1e-12)
    np.testing.assert_allclose(root, h * g / (np.sqrt(2e-12) + eps), rtol=1e-12)
