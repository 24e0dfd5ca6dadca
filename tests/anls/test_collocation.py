"""Collocation of linear equations: exact solutions, monotony, refusals."""

import functools as ft

import jax
import numpy as np
import pytest

import plateaux as px
from plateaux.anls import Collocation, Joint
from plateaux.problems import (
    LinearEquation,
    advection_reaction,
    dirichlet,
    join,
    poisson,
)

from ..closeness import lane


def starts(num, width, activation, in_dim=1):
    def draw(key):
        return px.networks.unit_kinks(
            key,
            width=width,
            in_dim=in_dim,
            affine=True,
            activation=activation,
            lo=0.0,
            hi=1.0,
        )

    keys = jax.random.split(jax.random.key(1), num)
    return jax.jit(jax.vmap(draw))(keys)


@ft.partial(jax.jit, static_argnums=2)
def solve(equation, networks, num_steps):
    keys = jax.random.split(jax.random.key(2), len(networks.c))
    run = lambda net, key: px.anls(equation, net, num_steps=num_steps, key=key)
    return jax.vmap(run)(networks, keys)


def error(networks, x, u):
    """Largest error of every network at points."""
    values = jax.jit(jax.vmap(px.outputs, in_axes=(0, None)))(networks, x)
    return np.max(np.abs(np.asarray(values) - np.asarray(u)[None]), axis=1)


GRID = np.linspace(0.0, 1.0, 101)[:, None]


@pytest.mark.slow
def test_poisson_converges_in_the_width():
    x = np.linspace(0.0, 1.0, 61)[1:-1, None]
    source = np.pi**2 * np.sin(np.pi * x[:, 0])
    equation = poisson(x, source, [[0.0], [1.0]], np.zeros(2), boundary_weight=1e4)
    last = []
    for width in (3, 9):
        run = solve(equation, starts(4, width, "relu3"), 60)
        assert bool(np.all(np.diff(run.losses, axis=1) <= 0))
        assert bool(np.all(np.isfinite(run.losses)))
        last.append(np.median(error(run.network, GRID, np.sin(np.pi * GRID[:, 0]))))
    # u″ is fitted by a line on each piece: of order width⁻²
    assert last[0] < 0.02
    assert last[1] < last[0] / 5


def test_a_solution_within_reach_is_found():
    # u′ + 2u = f, and u a line with two kinks: two ReLU neurons solve it exactly
    kinks = lambda x: np.maximum(x - 0.4, 0) - 2 * np.maximum(x - 0.7, 0) + 0.5 * x
    x = np.linspace(0.0, 1.0, 41)[1:, None]
    at = x[:, 0]
    slope = 0.5 + (at > 0.4) - 2.0 * (at > 0.7)
    equation = advection_reaction(
        x,
        slope + 2 * kinks(at),
        [[0.0]],
        [0.0],
        velocity=[1.0],
        reaction=2.0,
    )
    run = solve(equation, starts(6, 4, "relu"), 120)
    assert float(np.min(run.losses[:, -1])) < 1e-20
    best = int(np.argmin(run.losses[:, -1]))
    found = error(run.network, GRID, kinks(np.asarray(GRID[:, 0])))[best]
    # between two points the kink is free: the slope there is not fixed by any row
    assert found < 0.05


@pytest.mark.slow
def test_two_dimensions():
    side = np.linspace(0.0, 1.0, 9)
    grid = np.stack([a.ravel() for a in np.meshgrid(side, side)], axis=1)
    edge = np.any((grid == 0) | (grid == 1), axis=1)
    u = lambda x: np.sin(np.pi * x[:, 0]) * np.sin(np.pi * x[:, 1])
    inside, outside = grid[~edge], grid[edge]
    equation = poisson(
        inside,
        2 * np.pi**2 * u(inside),
        outside,
        np.zeros(len(outside)),
        boundary_weight=1e3,
    )
    run = solve(equation, starts(2, 20, "relu3", in_dim=2), 40)
    assert bool(np.all(np.diff(run.losses, axis=1) <= 0))
    assert bool(np.all(run.losses[:, -1] < 1e-2 * run.losses[:, 0]))
    assert np.all(error(run.network, grid, u(grid)) < 0.1)


def test_outer_weights_are_the_best_ones():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(12, 2))
    equation = join(
        LinearEquation(
            x,
            rng.normal(size=12),
            diffusion=rng.normal(size=12),
            velocity=rng.normal(size=(12, 2)),
        ),
        dirichlet([[0.0, 0.0]], [1.0], weight=2.0),
    )
    network = lane(starts(1, 4, "relu2", in_dim=2), 0)
    run = px.anls(equation, network, num_steps=1, method=Collocation(exchange=False))
    slope = jax.jit(jax.grad(lambda net: px.loss(equation, net)))(run.network)
    size = float(np.max(np.abs(run.network.c))) + 1
    np.testing.assert_allclose(slope.c, 0, atol=1e-8 * size)
    np.testing.assert_allclose(slope.p, 0, atol=1e-8 * size)


def test_what_collocation_is_not_for():
    equation = dirichlet([[0.0]], [1.0])
    network = px.TwoLayer([[1.0]], [0.0], [1.0], activation="tanh")
    with pytest.raises(ValueError, match="must be relu, relu2 or relu3"):
        px.anls(equation, network, num_steps=1)
    network = px.TwoLayer([[1.0]], [0.0], [1.0], activation="relu2")
    with pytest.raises(ValueError, match="must be a Collocation for a linear equation"):
        px.anls(equation, network, num_steps=1, method=Joint())
    problem = px.Problem([[0.0]], [1.0])
    with pytest.raises(ValueError, match="and for that alone"):
        px.anls(problem, network, num_steps=1, method=Collocation())
    second = LinearEquation([[0.0]], [1.0], diffusion=[1.0])
    network = px.TwoLayer([[1.0]], [0.0], [1.0])
    with pytest.raises(ValueError, match="is ReLU\\(\\), whose Laplacian is 0"):
        px.anls(second, network, num_steps=1)
