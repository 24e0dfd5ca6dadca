"""Taylor series of the flow inside a mode against SciPy."""

import functools as ft

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import plateaux as px
from plateaux.dynamics.kinked_state import data_of, parameters_of
from plateaux.dynamics.modes import Modes, Parameters, sliding_basis, slopes
from plateaux.dynamics.series import inner_products, taylor_series, weighted_sums
from plateaux.networks.activations import LeakyReLU

NUM, DIM, NUM_DATA, ORDER = 3, 2, 7, 5
GRADIENTS = {
    "squared": lambda f, y: f - y,
    "logistic": lambda f, y: -y / (1 + np.exp(y * f)),
    "exponential": lambda f, y: -y * np.exp(-y * f),
}


def setting(loss="squared", slope=0.0, affine=False, slides=(), dim=DIM):
    """Problem, data, modes and parameters; neuron 0 slides along some data."""
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(NUM_DATA, dim)), rng.normal(size=NUM_DATA)
    y = y if loss == "squared" else np.sign(y)
    v, c = rng.normal(size=(NUM, dim + 1)), rng.normal(size=NUM)
    x1 = np.column_stack([x, np.ones(NUM_DATA)])
    if slides:
        span = x1[list(slides)]
        v[0] -= np.linalg.pinv(span) @ (span @ v[0])
    weights = rng.uniform(1, 2, size=NUM_DATA)
    problem = px.Problem(x, y, loss=loss, weights=weights)
    p = rng.normal(size=dim + 1) if affine else None
    activation = LeakyReLU(slope) if slope else "relu"
    net = px.TwoLayer(v[:, :-1], v[:, -1], c, p, activation=activation)
    table = np.full((NUM, dim), -1)
    table[0, : len(slides)] = slides
    modes = Modes(v @ x1.T > 0, table.astype(np.int32))
    return problem, data_of(problem, net), modes, parameters_of(net)


@ft.partial(jax.jit, static_argnums=4)
def expanded(problem, data, modes, start, order):
    """Slopes and the series."""
    slope, basis = slopes(data, modes), sliding_basis(data, modes)
    return slope, taylor_series(problem, data, slope, basis, start, order)


def evaluated(coefficients, t):
    return np.polynomial.polynomial.polyval(t, np.asarray(coefficients))


def flat(parameters):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(parameters)])


def exact(loss, problem, data, modes, slope, start, h):
    """DOP853 on v' = −c P g, c' = −v·g, p' = −Σ e x̃."""
    x1, slope = np.asarray(data.x1), np.asarray(slope)
    q, y = np.asarray(problem.sample_weights), np.asarray(problem.y)
    held = [k for k in np.asarray(modes.slides)[0] if k >= 0]
    projector = np.eye(x1.shape[1])
    if held:
        projector = projector - np.linalg.pinv(x1[held]) @ x1[held]

    def velocity(_, state):
        v, c = state[: start.v.size].reshape(start.v.shape), state[start.v.size :]
        c, p = c[:NUM], c[NUM:] if start.p is not None else np.zeros(x1.shape[1])
        z = v @ x1.T
        e = q * GRADIENTS[loss](c @ (slope * z) + x1 @ p, y)
        g = (slope * e) @ x1
        rate = -c[:, None] * g
        rate[0] = projector @ rate[0]
        parts = [rate.ravel(), -np.sum(v * g, axis=1)]
        return np.concatenate(parts + ([-e @ x1] if start.p is not None else []))

    run = solve_ivp(velocity, (0, h), flat(start), "DOP853", rtol=1e-13, atol=1e-15)
    return run.y[:, -1]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loss": "logistic"},
        {"loss": "exponential", "affine": True},
        {"slope": 0.2, "affine": True, "slides": (3,)},
        {"slides": (1, 4)},
        {"dim": 5},  # more inputs than are written out
    ],
    ids=str,
)
def test_a_step_has_the_order_of_its_series(options):
    problem, data, modes, start = setting(**options)
    slope, series = expanded(problem, data, modes, start, ORDER)
    coefficients = jax.tree.map(np.asarray, series.parameters)
    beyond = flat(jax.tree.map(lambda a: a[-1], coefficients))
    radius = (np.linalg.norm(flat(start)) / np.linalg.norm(beyond)) ** (1 / (ORDER + 1))
    errors, steps = [], (0.1 * radius, 0.05 * radius)
    for h in steps:
        end = jax.tree.map(lambda a, h=h: evaluated(a[:-1], h), coefficients)
        loss = options.get("loss", "squared")
        truth = exact(loss, problem, data, modes, slope, start, h)
        errors.append(np.linalg.norm(flat(end) - truth))
    assert ORDER + 0.5 < np.log2(errors[0] / errors[1]) < ORDER + 1.7
    # what is beyond the order is the next coefficient
    assert abs(errors[1] / np.linalg.norm(beyond * steps[1] ** (ORDER + 1)) - 1) < 0.5


def test_g_and_e_are_series_of_the_gradients_along_the_step():
    problem, data, modes, start = setting("logistic", affine=True)
    slope, series = expanded(problem, data, modes, start, 12)
    data = jax.tree.map(np.asarray, data)
    at = lambda a: evaluated(a, 0.05)
    v, c, p = map(at, series.parameters)
    slope = np.asarray(slope)
    f = c @ (slope * (v @ data.x1.T)) + data.x1 @ p
    y = np.asarray(problem.y)
    e = np.asarray(problem.sample_weights) * GRADIENTS["logistic"](f, y)
    np.testing.assert_allclose(at(series.e), e, rtol=0, atol=1e-13)
    np.testing.assert_allclose(at(series.g), (slope * e) @ data.x1, rtol=0, atol=1e-13)
    assert series.parameters.v.shape == (14, NUM, DIM + 1)
    assert series.e.shape == (13, NUM_DATA)


def test_a_sliding_neuron_stays_on_its_boundaries():
    problem, data, modes, start = setting(slides=(1, 4))
    _, series = expanded(problem, data, modes, start, 12)
    z = np.asarray(series.parameters.v)[:, 0] @ np.asarray(data.x1)[[1, 4]].T
    assert np.max(np.abs(z) * 0.1 ** np.arange(14)[:, None]) < 1e-14


@pytest.mark.parametrize("dim", [1, 3, 4, 9])
def test_products_written_out_are_products(dim):
    rng = np.random.default_rng(0)
    x1, v = rng.normal(size=(6, dim)), rng.normal(size=(2, 5, dim))
    slope, e = rng.normal(size=(5, 6)), rng.normal(size=6)
    np.testing.assert_allclose(jax.jit(inner_products)(v, x1), v @ x1.T, atol=1e-14)
    sums = jax.jit(weighted_sums)(slope, e, x1)
    np.testing.assert_allclose(sums, slope @ (e[:, None] * x1), atol=1e-14)


def test_a_neuron_at_zero_has_no_series():
    problem, data, modes, start = setting()
    alive = np.arange(NUM) != 1
    v, c = np.asarray(start.v) * alive[:, None], np.asarray(start.c) * alive
    start = Parameters(v, c, None)
    modes = Modes(modes.on & alive[:, None], modes.slides)
    _, series = expanded(problem, data, modes, start, ORDER)
    assert not np.any(np.asarray(series.parameters.v)[1:, 1])
    assert not np.any(np.asarray(series.parameters.c)[:, 1])
