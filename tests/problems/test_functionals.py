"""Operators and functionals against closed forms, and what trains on functionals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

import plateaux as px
from plateaux.diagnostics import condensation, spectra
from plateaux.dynamics.hessian import gauss_newton, hessian
from plateaux.patterns import best_loss, cell_fit, segmented_fit
from plateaux.problems import (
    Functional,
    LinearEquation,
    Part,
    derivative,
    dirichlet,
    gauss_legendre,
    gradient,
    jet,
    join,
    laplacian,
    part_losses,
    residual,
    solution_error,
    tensor,
)

from ..closeness import stacked


def wavy(x):
    """u = x_0³ sin(2x_1) + x_0."""
    return x[0] ** 3 * jnp.sin(2 * x[1]) + x[0]


def by_hand(x):
    """u, ∇u and the Hessian of `wavy`."""
    s, c = np.sin(2 * x[1]), np.cos(2 * x[1])
    value = x[0] ** 3 * s + x[0]
    slope = [3 * x[0] ** 2 * s + 1, 2 * x[0] ** 3 * c]
    mixed = 6 * x[0] ** 2 * c
    return value, slope, [[6 * x[0] * s, mixed], [mixed, -4 * x[0] ** 3 * s]]


def poisson(dtype=None, size=9):
    """−u'' = 3x on points of unequal weights, u(−1) = 0.5, u(1) = −0.2 in one part."""
    rule = gauss_legendre(size, dtype=dtype)
    ends = jnp.array([[-1.0], [1.0]], rule.points.dtype)
    values = jnp.array([0.5, -0.2], ends.dtype)
    inside = residual(lambda u, x: -laplacian(u)(x) - 3 * x[0])
    boundary = residual(lambda u, x: u(x) - jnp.where(x[0] < 0, *values))
    weights = jnp.array([4.0, 6.0], ends.dtype)
    return Functional(
        [Part("inside", *rule, inside), Part("ends", ends, weights, boundary)],
        order=2,
        solution=lambda x: 0.15 * x[0] + 0.15 - 0.5 * x[0] ** 3,
        name="cubic",
    )


loss = eqx.filter_jit(px.loss)


def shallow(key, activation="tanh", in_dim=1, dtype=None):
    options = {"activation": activation, "affine": True, "dtype": dtype}
    return px.networks.he(key, width=5, in_dim=in_dim, bias="normal", **options)


# --- operators ---------------------------------------------------------------------


def test_operators_are_derivatives():
    x = np.array([0.7, -0.4])
    value, slope, bend = by_hand(x)
    close = lambda found, known: np.testing.assert_allclose(found, known, rtol=1e-14)

    @jax.jit
    def operators(x):
        first = [derivative(wavy, i)(x) for i in range(2)]
        second = [[derivative(wavy, i, j)(x) for j in range(2)] for i in range(2)]
        third = derivative(wavy, 0, 1, 1)(x)
        jets = [jet(wavy, i)(x) for i in range(2)]
        return gradient(wavy)(x), laplacian(wavy)(x), first, second, third, jets

    grad, trace, first, second, third, jets = operators(x)
    close(grad, slope)
    close(trace, np.trace(bend))
    close(first, slope)
    close(second, bend)
    close(third, -12 * x[0] ** 2 * np.sin(2 * x[1]))
    for i in range(2):
        close(jets[i].value, value)
        close(jets[i].gradient, slope)
        close(jets[i].change, bend[i])


@pytest.mark.parametrize(
    "dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)]
)
def test_operators_keep_the_precision_of_networks(dtype, key):
    options = {"in_dim": 2, "activation": "tanh", "dtype": dtype}
    u = px.networks.mlp(key, widths=(5, 5), **options)
    x = jnp.array([0.7, -0.4], dtype)
    found, hessian = jax.jit(
        lambda u, x: (
            (gradient(u)(x), laplacian(u)(x), derivative(u, 1, 0)(x), jet(u, 1)(x)),
            jax.hessian(u)(x),
        )
    )(u, x)
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype(dtype)}
    np.testing.assert_allclose(found[1], np.trace(hessian), rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: derivative(wavy), ValueError, "one coordinate at least"),
        (lambda: derivative(wavy, -1), ValueError, "at least 0, but is -1"),
        (lambda: jet(wavy, 0.0), TypeError, "must be an integer"),
        (
            lambda: derivative(wavy, 2)(jnp.ones(2)),
            ValueError,
            "below the number of inputs 2, but is 2",
        ),
    ],
)
def test_operators_refuse(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- functionals -------------------------------------------------------------------


def test_loss_is_that_of_the_linear_equation(key):
    problem, u = poisson(), shallow(key)
    inside, ends = problem.parts
    one = np.ones(len(inside.x))
    rows = join(
        LinearEquation(
            inside.x,
            3 * np.asarray(inside.x)[:, 0],
            diffusion=one,
            weights=inside.weights,
        ),
        LinearEquation(ends.x, [0.5, -0.2], reaction=[1.0, 1.0], weights=ends.weights),
    )
    np.testing.assert_allclose(loss(problem, u), loss(rows, u), rtol=1e-13)
    curvature = eqx.filter_jit(hessian)
    np.testing.assert_allclose(curvature(problem, u), curvature(rows, u), rtol=1e-9)
    assert rows.num_data == problem.num_data == 11
    np.testing.assert_array_equal(problem.x, rows.x)
    np.testing.assert_array_equal(problem.sample_weights, rows.sample_weights)
    assert (problem.in_dim, problem.out_dim, problem.name) == (1, None, "cubic")
    assert problem.time_unit == "flow time of L = inside + ends"


def test_parts_are_sums_of_densities_and_make_the_loss():
    density = lambda u, x: u(x) * x[0]  # 2x² for u = 2x
    parts = [
        Part("one", [[1.0], [3.0]], [0.5, 2.0], density),
        Part("two", [[-2.0]], [0.25], density),
    ]
    problem = Functional(parts, order=0)
    u = lambda x: 2 * x[0]
    assert part_losses(problem, u) == {"one": 37.0, "two": 2.0}
    assert problem.loss_of(u) == 39.0


def test_distance_from_the_solution():
    x = px.problems.Quadrature(jnp.array([[0.0], [1.0]]), jnp.array([0.5, 2.0]))
    problem = eqx.tree_at(
        lambda p: p.solution, poisson(), jax.tree_util.Partial(lambda x: 1 + x[0])
    )
    error = solution_error(problem, lambda x: 3 + 0 * x[0], x)  # off by 2 and 1
    np.testing.assert_allclose(error.absolute, np.sqrt(0.5 * 4 + 2), rtol=1e-15)
    np.testing.assert_allclose(error.relative, np.sqrt(4 / 8.5), rtol=1e-15)
    exact = solution_error(poisson(), poisson().solution, gauss_legendre(4))
    assert (exact.absolute, exact.relative) == (0, 0)


def test_solution_has_no_residual():
    assert poisson().loss_of(poisson().solution) < 1e-29


def test_a_batch_is_a_loop(key):
    problem = poisson()
    nets = [shallow(jax.random.fold_in(key, i)) for i in range(3)]
    several = stacked(nets)
    # functionals themselves are pytrees of arrays alone: three weights of the ends
    scale = np.array([0.5, 1.0, 2.0])
    ends = lambda p: p.parts[1].weights
    weighted = lambda s: eqx.tree_at(ends, problem, s * ends(problem))

    @jax.jit
    def batches(problem, several, scale):
        return (
            jax.vmap(lambda net: px.loss(problem, net))(several),
            jax.vmap(lambda s: px.loss(weighted(s), nets[0]))(scale),
        )

    batch, found = batches(problem, several, scale)
    alone = jax.jit(px.loss)
    np.testing.assert_allclose(batch, [alone(problem, n) for n in nets], rtol=1e-13)
    np.testing.assert_allclose(
        found, [alone(weighted(s), nets[0]) for s in scale], rtol=1e-13
    )


# --- training ----------------------------------------------------------------------


def test_one_step_of_descent_is_the_gradient_by_finite_differences(key):
    problem, u, h, shift = poisson(), shallow(key), 1e-3, 1e-5
    run = px.descend(problem, u, px.gradient_descent(h), num_steps=1)
    assert run.time_unit == problem.time_unit
    c = np.asarray(u.c)
    moved = (c - run.network.c) / h
    at = lambda i, s: loss(
        problem,
        eqx.tree_at(lambda n: n.c, u, jnp.asarray(c + s * shift * np.eye(5)[i])),
    )
    slopes = [(at(i, 1) - at(i, -1)) / (2 * shift) for i in range(5)]
    # the loss is a quadratic form in c: central differences err by round-off alone
    np.testing.assert_allclose(moved, slopes, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    ("optimizer", "dtype"),
    [
        (optax.adam(1e-2), "float32"),
        pytest.param(optax.lbfgs(), "float64", marks=pytest.mark.slow),
    ],
    ids=["adam", "lbfgs"],
)
def test_deep_networks_train(optimizer, dtype, key):
    u = px.networks.mlp(
        key, widths=(5, 5), in_dim=1, activation="tanh", bias="normal", dtype=dtype
    )
    problem, rule = poisson(dtype), gauss_legendre(20, dtype=dtype)
    record = {
        "parts": part_losses,
        "error": lambda problem, u: solution_error(problem, u, rule),
        "ranks": lambda problem, u: spectra(problem, u, quadrature=rule),
    }
    run = px.descend(
        problem, u, optimizer, num_steps=60, save=px.every(20), record=record
    )
    assert run.losses.dtype == run.saved["error"].relative.dtype == jnp.dtype(dtype)
    assert run.losses[-1] < 0.1 * run.losses[0]
    parts = run.saved["parts"]
    np.testing.assert_allclose(parts["inside"] + parts["ends"], run.losses, rtol=1e-5)
    shapes = [s.singular_values.shape for s in run.saved["ranks"]]
    assert shapes == [(len(run.times), 5)] * 2
    last = solution_error(problem, run.network, rule)
    np.testing.assert_allclose(run.saved["error"].relative[-1], last.relative, 1e-5)


WAY = {"t1": 0.01, "save": px.at([0.0, 0.01]), "method": "explicit"}


@pytest.mark.parametrize(
    "deep",
    [False, pytest.param(True, marks=pytest.mark.slow)],
    ids=["two_layer", "mlp"],
)
def test_smooth_networks_flow(deep, key):
    options = {"in_dim": 1, "activation": "tanh", "bias": "normal"}
    u = shallow(key)
    if deep:
        u = px.networks.mlp(key, widths=(3, 3), **options)
    problem = poisson(size=4)
    run = px.flow(problem, u, **WAY)
    assert run.outcome == px.Outcome.completed
    np.testing.assert_allclose(run.losses[-1], loss(problem, run.network))
    # L(0) − L(T) = ∫‖∇L‖², to the tolerance 1e-8 a step
    assert abs(run.accuracy.energy_residual) < 1e-6 * run.losses[0]


@pytest.mark.slow
def test_stiff_and_queued_flows_are_the_explicit_one(key):
    problem, u = poisson(size=4), shallow(key)
    run = px.flow(problem, u, **WAY)
    stiff = px.flow(problem, u, **(WAY | {"method": "stiff"}))
    np.testing.assert_allclose(stiff.losses, run.losses, rtol=1e-6)
    many = jax.tree.map(lambda leaf: leaf[None], u)
    queued = px.flow_many(problem, many, **WAY)
    np.testing.assert_allclose(queued.losses[0], run.losses, rtol=1e-10)


def test_kinks_train_on_first_derivatives():
    # u = c max(x, 0) on (0, 1): ½(c − 2)²
    slope = residual(lambda u, x: derivative(u, 0)(x) - 2.0)
    problem = Functional(
        [Part("slope", *gauss_legendre(3, domain=(0.0, 1.0)), slope)], order=1
    )
    u = px.TwoLayer([[1.0]], [0.0], [1.0])
    assert px.loss(problem, u) == pytest.approx(0.5, abs=1e-15)
    run = px.descend(problem, u, px.gradient_descent(0.1), num_steps=100)
    assert run.losses[-1] < 1e-20
    assert run.events is not None


# --- refusals ----------------------------------------------------------------------

RELU = px.TwoLayer([[1.0]], [0.0], [1.0])
TANH = px.TwoLayer([[1.0]], [0.0], [1.0], activation="tanh")


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "step"])
def test_kinks_have_no_second_derivative(activation):
    u = px.TwoLayer([[1.0]], [0.0], [1.0], activation=activation)
    with pytest.raises(ValueError, match="whose Laplacian is 0 off the kinks"):
        px.loss(poisson(), u)
    with pytest.raises(ValueError, match="whose Laplacian is 0 off the kinks"):
        px.descend(poisson(), u, px.gradient_descent(0.1), num_steps=2)


def test_flows_need_smooth_activations():
    for u in (RELU, px.TwoLayer([[1.0]], [0.0], [1.0], activation="relu3")):
        with pytest.raises(ValueError, match="must be smooth.*flow of a Functional"):
            px.flow(poisson(), u, t1=1.0)
    deep = px.networks.mlp(jax.random.key(0), widths=(3, 3), in_dim=1)
    with pytest.raises(ValueError, match="must be smooth.*flow of a Functional"):
        px.flow(poisson(), deep, t1=1.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda p: px.anls(p, RELU, num_steps=2),
        lambda p: cell_fit(p, RELU),
        lambda p: segmented_fit(p, 2),
        lambda p: best_loss(p, 1, affine=False),
        lambda p: gauss_newton(p, TANH),
        lambda p: condensation(p, TANH),
        lambda p: px.explain(
            p, px.descend(p, TANH, px.gradient_descent(0.1), num_steps=2)
        ),
    ],
    ids=[
        "anls",
        "cells",
        "segments",
        "best",
        "gauss_newton",
        "diagnostics",
        "explain",
    ],
)
def test_what_needs_data_says_so(call, monkeypatch):
    # the tests' type checker would speak before the library does
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(TypeError, match="must be a Problem, data with a loss, but is"):
        call(poisson())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"name": 3}, TypeError, "`name` must be a word"),
        ({"x": [0.0]}, ValueError, "must have shape \\(K, d\\)"),
        ({"x": [[1], [2]]}, TypeError, "floating-point"),
        ({"x": [[0.0], [np.nan]]}, ValueError, "`x` must be finite"),
        ({"weights": [1.0]}, ValueError, "`weights` must have shape \\(2,\\)"),
        ({"weights": [1.0, -1.0]}, ValueError, "must not be negative"),
        ({"density": 1.0}, TypeError, "`density` must be a function"),
    ],
)
def test_parts_refuse(change, error, message):
    good = {"name": "a", "x": [[0.0], [1.0]], "weights": [1.0, 1.0], "density": abs}
    with pytest.raises(error, match=message):
        Part(**(good | change))


def part(name="a", dim=1, dtype="float64"):
    x = jnp.ones((2, dim), dtype)
    return Part(name, x, x[:, 0], lambda u, x: u(x))


@pytest.mark.parametrize(
    ("parts", "options", "error", "message"),
    [
        ([], {}, TypeError, "one px.problems.Part or more"),
        ([part(), "b"], {}, TypeError, "but holds \\['Part', 'str'\\]"),
        ([part(), part()], {}, ValueError, "different names"),
        ([part(), part("b", 2)], {}, ValueError, "number of inputs"),
        ([part(), part("b", 1, "float32")], {}, TypeError, "one dtype"),
        ([part()], {"order": -1}, ValueError, "`order` must be at least 0"),
        ([part()], {"solution": 1.0}, TypeError, "`solution` must be a function"),
    ],
)
def test_functionals_refuse(parts, options, error, message):
    with pytest.raises(error, match=message):
        Functional(parts, **({"order": 0} | options))


def test_what_else_is_refused(key):
    vector = Part("v", [[1.0]], [1.0], lambda u, x: gradient(u)(x))
    with pytest.raises(ValueError, match="density of part 'v' must give a scalar"):
        px.loss(Functional([vector], order=1), TANH)
    with pytest.raises(TypeError, match="`operator` must be a function"):
        residual(3.0)
    with pytest.raises(ValueError, match="must know its solution"):
        solution_error(Functional([part()], order=0), TANH, gauss_legendre(3))
    square = tensor(gauss_legendre(2), gauss_legendre(2))
    with pytest.raises(ValueError, match="points of 1 inputs"):
        solution_error(poisson(), TANH, square)
    with pytest.raises(ValueError, match="as many inputs as the problem, 1"):
        px.descend(
            poisson(), shallow(key, in_dim=2), px.gradient_descent(0.1), num_steps=2
        )
    with pytest.raises(TypeError, match="must be a Functional to have parts"):
        part_losses(dirichlet([[0.0]], [0.0]), TANH)
