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


def equation(dim, size=11):
    rng = np.random.default_rng(dim)
    names = ("x", "y", "diffusion", "velocity", "reaction", "weights")
    shapes = ((size, dim), (size,), (size,), (size, dim), (size,), (size,))
    numbers = {
        name: rng.normal(size=shape) for name, shape in zip(names, shapes, strict=True)
    }
    numbers["weights"] = np.abs(numbers["weights"])
    return LinearEquation(numbers.pop("x"), numbers.pop("y"), **numbers)


KEEP = {"c": lambda problem, network: network.c}


@jax.jit
def by_autodiff(rows, u):
    def at(x, a, b, s, g):
        curvature = jnp.trace(jax.hessian(u)(x))
        return -a * curvature + b @ jax.grad(u)(x) + s * u(x) - g

    return jax.vmap(at)(rows.x, rows.diffusion, rows.velocity, rows.reaction, rows.y)


@pytest.mark.parametrize(
    ("dim", "activation"),
    [
        (3, "relu3"),
        (3, "tanh"),
        (1, "relu2"),
        pytest.param(3, "relu2", marks=pytest.mark.slow),
        pytest.param(1, "relu3", marks=pytest.mark.slow),
        pytest.param(1, "tanh", marks=pytest.mark.slow),
    ],
)
def test_residuals_are_those_of_autodiff(dim, activation):
    rows, rng = equation(dim), np.random.default_rng(7)
    w, p = rng.normal(size=(5, dim)), rng.normal(size=dim + 1)
    u = px.TwoLayer(w, rng.normal(size=5), rng.normal(size=5), p, activation=activation)
    expected = np.asarray(by_autodiff(rows, u))
    residual = equation_residual(rows, u)
    np.testing.assert_allclose(residual, expected, rtol=1e-12, atol=1e-12)
    half = 0.5 * np.sum(np.asarray(rows.sample_weights) * expected**2)
    np.testing.assert_allclose(equation_loss(rows, u), half, rtol=1e-12)


def test_a_solution_has_no_residual():
    # u = 3 max(x − 1/2, 0)² + x solves −u″ = −6·1[x > 1/2]
    x = np.linspace(0.05, 0.95, 10)[:, None]
    source = np.where(x[:, 0] > 0.5, -6.0, 0.0)
    ends = np.array([0.0, 3 * 0.25 + 1])
    rows = poisson(x, source, [[0.0], [1.0]], ends)
    u = px.TwoLayer([[1.0]], [-0.5], [3.0], [1.0, 0.0], activation="relu2")
    np.testing.assert_allclose(equation_residual(rows, u), 0, atol=1e-15)
    # and u′ + 2u = 6 max(x − 1/2, 0) + 1 + 2u
    value = 3 * np.maximum(x[:, 0] - 0.5, 0) ** 2 + x[:, 0]
    source = 6 * np.maximum(x[:, 0] - 0.5, 0) + 1 + 2 * value
    rows = advection_reaction(x, source, [[0.0]], [0.0], velocity=[1.0], reaction=2.0)
    np.testing.assert_allclose(equation_residual(rows, u), 0, atol=1e-14)


def test_weights_of_inside_and_boundary():
    x = np.linspace(0.1, 0.9, 9)[:, None]
    rows = poisson(x, np.zeros(9), [[0.0], [1.0]], [1.0, 1.0], boundary_weight=8.0)
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


def test_descent_trains_on_equations():
    x = np.linspace(0.05, 0.95, 19)[:, None]
    source = np.pi**2 * np.sin(np.pi * x[:, 0])
    rows = poisson(x, source, [[0.0], [1.0]], [0.0, 0.0])
    rng = np.random.default_rng(8)
    w, b, c = rng.normal(size=(8, 1)), rng.normal(size=8), rng.normal(size=8) / 2
    u = px.TwoLayer(w, b, c, activation="tanh")
    run = px.descend(
        rows,
        u,
        px.gradient_descent(1e-4),
        num_steps=200,
        record=KEEP,
    )
    assert np.all(np.diff(run.losses) < 0)
    np.testing.assert_allclose(run.losses[-1], equation_loss(rows, run.network))
    # one step by hand
    at = lambda c: equation_loss(rows, eqx.tree_at(lambda n: n.c, u, c))
    slope = np.asarray(jax.jit(jax.grad(at))(u.c))
    assert run.steps[1] == 1
    np.testing.assert_allclose(run.saved["c"][1], c - 1e-4 * slope, rtol=1e-12)


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
    x = np.linspace(0.1, 0.9, 5)[:, None]
    rows = poisson(x, np.ones(5), [[0.0], [1.0]], [0.0, 0.3], boundary_weight=2.0)
    u = px.TwoLayer([[1.0], [-0.5]], [0.2, 0.4], [0.3, -0.6], activation="tanh")
    ends = []
    for h, every in ((1 / 64, 1), (1 / 128, 2)):
        step = px.gradient_descent(h)
        run = px.descend(rows, u, step, num_steps=64, record=KEEP)
        ends.append(np.asarray(run.saved["c"])[run.steps == 32 * every][0])
    run = px.flow(rows, u, t1=0.5)
    first, second = (np.abs(end - np.asarray(run.network.c)).max() for end in ends)
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
