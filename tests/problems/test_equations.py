"""Rows of linear differential equations against derivatives by autodiff."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.problems import (
    LinearEquation,
    advection_reaction,
    dirichlet,
    equation_loss,
    equation_residual,
    join,
    poisson,
)


def equation(key, dim, size=11):
    names = ("x", "y", "diffusion", "velocity", "reaction", "weights")
    shapes = ((size, dim), (size,), (size,), (size, dim), (size,), (size,))
    draws = [
        jax.random.normal(k, shape)
        for k, shape in zip(jax.random.split(key, 6), shapes, strict=True)
    ]
    numbers = dict(zip(names, draws, strict=True))
    numbers["weights"] = jnp.abs(numbers["weights"])
    return LinearEquation(numbers.pop("x"), numbers.pop("y"), **numbers)


@pytest.mark.parametrize("activation", ["relu3", "relu2", "tanh"])
@pytest.mark.parametrize("dim", [1, 3])
def test_residuals_are_those_of_autodiff(activation, dim, key):
    rows = equation(key, dim)
    u = px.networks.he(
        key, width=5, in_dim=dim, bias="normal", affine=True, activation=activation
    )

    def by_autodiff(x, a, b, s, g):
        curvature = jnp.trace(jax.hessian(u)(x))
        return -a * curvature + b @ jax.grad(u)(x) + s * u(x) - g

    expected = jax.vmap(by_autodiff)(
        rows.x, rows.diffusion, rows.velocity, rows.reaction, rows.y
    )
    residual = equation_residual(rows, u)
    np.testing.assert_allclose(residual, expected, rtol=1e-12, atol=1e-12)
    half = 0.5 * np.sum(rows.sample_weights * np.asarray(expected) ** 2)
    np.testing.assert_allclose(equation_loss(rows, u), half, rtol=1e-12)


def test_a_solution_has_no_residual():
    # u = 3 max(x − 1/2, 0)² + x solves −u″ = −6·1[x > 1/2]
    x = jnp.linspace(0.05, 0.95, 10)[:, None]
    source = jnp.where(x[:, 0] > 0.5, -6.0, 0.0)
    ends = jnp.array([0.0, 3 * 0.25 + 1])
    rows = poisson(x, source, [[0.0], [1.0]], ends)
    u = px.TwoLayer([[1.0]], [-0.5], [3.0], [1.0, 0.0], activation="relu2")
    np.testing.assert_allclose(equation_residual(rows, u), 0, atol=1e-15)
    # and u′ + 2u = 6 max(x − 1/2, 0) + 1 + 2u
    value = 3 * np.maximum(x[:, 0] - 0.5, 0) ** 2 + x[:, 0]
    source = 6 * np.maximum(x[:, 0] - 0.5, 0) + 1 + 2 * value
    rows = advection_reaction(x, source, [[0.0]], [0.0], velocity=[1.0], reaction=2.0)
    np.testing.assert_allclose(equation_residual(rows, u), 0, atol=1e-14)


def test_weights_of_inside_and_boundary():
    x = jnp.linspace(0.1, 0.9, 9)[:, None]
    rows = poisson(x, jnp.zeros(9), [[0.0], [1.0]], [1.0, 1.0], boundary_weight=8.0)
    np.testing.assert_allclose(rows.sample_weights, [1 / 9] * 9 + [4.0] * 2)
    zero = px.TwoLayer([[1.0]], [0.0], [0.0], activation="relu2")
    np.testing.assert_allclose(equation_loss(rows, zero), 0.5 * 2 * 4.0)


def test_orders():
    point, one = [[0.5]], [1.0]
    assert LinearEquation(point, one).order == 0
    assert LinearEquation(point, one, velocity=[[1.0]]).order == 1
    assert LinearEquation(point, one, diffusion=one).order == 2
    both = join(dirichlet(point, one), LinearEquation(point, one, velocity=[[1.0]]))
    assert both.order == 1
    assert both.name == "dirichlet"


def test_descent_trains_on_equations(key):
    x = jnp.linspace(0.05, 0.95, 19)[:, None]
    source = jnp.pi**2 * jnp.sin(jnp.pi * x[:, 0])
    rows = poisson(x, source, [[0.0], [1.0]], [0.0, 0.0])
    u = px.networks.he(key, width=8, in_dim=1, bias="normal", activation="tanh")
    run = px.descend(rows, u, px.gradient_descent(1e-4), num_steps=200)
    assert bool(jnp.all(jnp.diff(run.losses) < 0))
    np.testing.assert_allclose(run.losses[-1], equation_loss(rows, run.network))
    # one step by hand
    run = px.descend(rows, u, px.gradient_descent(1e-4), num_steps=1)
    slope = jax.grad(lambda c: equation_loss(rows, eqx.tree_at(lambda n: n.c, u, c)))
    np.testing.assert_allclose(run.network.c, u.c - 1e-4 * slope(u.c), rtol=1e-12)


def test_what_has_no_answer_is_refused(key):
    rows = poisson([[0.5]], [1.0], [[0.0]], [0.0])
    relu = px.TwoLayer([[1.0]], [0.0], [1.0])
    with pytest.raises(ValueError, match="is ReLU\\(\\), whose Laplacian is 0"):
        equation_loss(rows, relu)
    with pytest.raises(TypeError, match="must be a TwoLayer for an equation"):
        equation_loss(rows, px.networks.mlp(key, widths=(3, 3), in_dim=1))
    bent = px.TwoLayer([[1.0]], [0.0], [1.0], activation="relu2")
    with pytest.raises(ValueError, match="must be smooth.*of a LinearEquation"):
        px.flow(rows, bent, t1=1.0)


def test_smooth_networks_flow_on_equations():
    """Flow of descent of small steps, whose error falls with the step size."""
    x = jnp.linspace(0.1, 0.9, 5)[:, None]
    rows = poisson(x, jnp.ones(5), [[0.0], [1.0]], [0.0, 0.3], boundary_weight=2.0)
    u = px.TwoLayer([[1.0], [-0.5]], [0.2, 0.4], [0.3, -0.6], activation="tanh")
    ends = [
        px.descend(rows, u, px.gradient_descent(h), num_steps=round(0.5 / h)).network.c
        for h in (1 / 64, 1 / 128)
    ]
    run = px.flow(rows, u, t1=0.5)
    first, second = (np.abs(end - run.network.c).max() for end in ends)
    assert 1.8 < first / second < 2.2  # descent is of first order
    assert abs(run.accuracy.energy_residual) < 1e-7


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LinearEquation([0.0], [0.0]), "must have shape \\(K, d\\)"),
        (lambda: LinearEquation([[0.0]], [0.0, 1.0]), "`y` must have shape \\(1,\\)"),
        (lambda: LinearEquation([[np.nan]], [0.0]), "`x` must be finite"),
        (lambda: LinearEquation([[0.0]], [np.inf]), "`y` must be finite"),
        (
            lambda: LinearEquation([[0.0]], [0.0], weights=[-1.0]),
            "`weights` must not be negative",
        ),
        (
            lambda: LinearEquation([[0.0]], [0.0], velocity=[1.0]),
            "`velocity` must have shape \\(1, 1\\)",
        ),
        (lambda: dirichlet([[0.0]], [0.0], weight=0.0), "`weight` must be positive"),
        (
            lambda: poisson(jnp.ones((3, 2)), jnp.ones(3), [[0.0]], [0.0]),
            "one number of inputs, but have \\[2, 1\\]",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_integers_are_refused():
    with pytest.raises(TypeError, match="floating-point"):
        LinearEquation([[1]], [1.0])
