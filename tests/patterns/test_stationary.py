"""Stationary points of every kind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.patterns import StationaryKind, cell_fit, stationary_point

from ..closeness import assert_close

KEY = jax.random.key(3)
X = jax.random.normal(KEY, (12, 2))
PROBLEM = px.Problem(
    X, jnp.sin(3 * X[:, 0]) + X[:, 1] ** 2, weights=jnp.linspace(1, 3, 12)
)


def kind(problem, network, tolerance=1e-9):
    point = stationary_point(problem, network, tolerance=tolerance)
    return StationaryKind(int(point.kind)).name


def minimum(affine):
    """A network at the minimiser of its cell, which is inside the cell."""
    start = px.TwoLayer([[1.0, 0.3]], [8.0], [1.5], [0.0, 0.1, 0.2] if affine else None)
    eta = cell_fit(PROBLEM, start).coefficients
    if affine:
        return px.TwoLayer(
            start.w,
            start.b,
            start.c,
            eta[:3] + eta[3:] - 1.5 * jnp.array([1.0, 0.3, 8.0]),
        )
    y = px.outputs(start, X) + 1.0  # affine targets well above zero
    return px.Problem(X, y), px.TwoLayer([[1.5, 0.45]], [13.0], [1.0])


def test_a_minimum_over_its_cell():
    network = minimum(affine=True)
    assert kind(PROBLEM, network) == "minimum"
    assert float(px.loss(PROBLEM, network)) == pytest.approx(
        float(cell_fit(PROBLEM, network).value), rel=1e-12
    )
    assert kind(*minimum(affine=False)) == "minimum"


def test_random_points_move():
    network = px.networks.he(KEY, width=3, in_dim=2, bias="normal")
    assert kind(PROBLEM, network) == "moving"
    point = stationary_point(PROBLEM, network, tolerance=1e-9)
    assert float(point.curvature) == 0
    assert not np.any(jax.flatten_util.ravel_pytree(point.direction)[0])


def saddle(affine=True):
    """The best affine fit, and neurons with c = 0 and v ⟂ g."""
    line = cell_fit(PROBLEM, px.TwoLayer([[0.0, 0.0]], [-1.0], [0.0], jnp.zeros(3)))
    p = line.coefficients[-3:]
    x1 = np.concatenate([X, np.ones((12, 1))], axis=1)
    force = np.asarray(PROBLEM.sample_weights * line.residual)
    rows, rng = [], np.random.default_rng(0)
    while len(rows) < 2:
        v = rng.normal(size=3)
        on = x1 @ v > 0
        g = (on * force) @ x1
        v = v - (v @ g) / (g @ g) * g
        if np.array_equal(x1 @ v > 0, on) and np.min(np.abs(x1 @ v)) > 0.02:
            rows.append(v)
    v = jnp.asarray(np.array(rows))
    return px.TwoLayer(v[:, :2], v[:, 2], jnp.zeros(2), p)


def test_a_saddle_falls_along_its_direction_as_it_says():
    network = saddle()
    point = stationary_point(PROBLEM, network, tolerance=1e-9)
    assert StationaryKind(int(point.kind)) == StationaryKind.saddle
    flat, restore = jax.flatten_util.ravel_pytree(network)
    direction, _ = jax.flatten_util.ravel_pytree(point.direction)
    np.testing.assert_allclose(jnp.linalg.norm(direction), 1, rtol=1e-12)
    change = lambda e: float(
        px.loss(PROBLEM, restore(flat + e * direction)) - px.loss(PROBLEM, network)
    )
    curvature = float(point.curvature)
    assert curvature < 0
    for epsilon in (1e-3, 1e-4):
        expected = curvature * epsilon**2 / 2
        assert change(epsilon) == pytest.approx(expected, rel=20 * epsilon)
    # no other unit vector of this neuron's parameters has a more negative curvature
    hessian = jax.hessian(lambda v: px.loss(PROBLEM, restore(v)))(flat)
    i = int(point.neuron)
    mine = np.array([2 * i, 2 * i + 1, 4 + i, 6 + i])  # w, b, c of neuron i
    block = np.asarray(hessian)[np.ix_(mine, mine)]
    np.testing.assert_allclose(np.linalg.eigvalsh(block)[0], curvature, rtol=1e-9)


def test_dead_and_boundary():
    off = px.TwoLayer([[0.0, 0.0]], [-1.0], [2.0])
    assert kind(PROBLEM, off) == "dead"
    half = px.TwoLayer([[0.0, 0.0]], [-1.0], [2.0], [1.0, 0.0, 0.0])
    assert kind(PROBLEM, half) == "moving"  # the affine part is not done
    gone = px.TwoLayer([[0.0, 0.0]], [0.0], [2.0])
    assert kind(PROBLEM, gone) == "boundary"


def test_units_of_the_data_do_not_matter():
    """x → 1e6 x, y → 1e−6 y, with weights to match, at a point that is nearly still."""
    network = minimum(affine=True)
    moved = px.TwoLayer(network.w, network.b, network.c, network.p + 1e-5)
    scaled_problem = px.Problem(X, 1e-6 * PROBLEM.y, weights=PROBLEM.weights)
    scaled = px.TwoLayer(network.w, network.b, 1e-6 * network.c, 1e-6 * moved.p)
    for tolerance, expected in ((1e-3, "minimum"), (1e-8, "moving")):
        assert kind(PROBLEM, moved, tolerance) == expected
        assert kind(scaled_problem, scaled, tolerance) == expected


def test_all_on_everywhere_is_the_regression_line():
    """Univariate: stationary iff the output is the line of all data; then the loss is
    ½ (S_yy − S_xy²/S_xx) with centred sums."""
    x = np.array([0.1, 0.5, 1.1, 1.7, 2.0])
    y = np.array([3.0, 2.2, 2.9, 1.0, 2.5])
    problem = px.Problem(x[:, None], y, normalisation="sum")
    slope, height = np.polyfit(x, y, 1)
    net = px.TwoLayer([[0.1], [slope - 0.1]], [0.5, height - 0.5], [1.0, 1.0])
    assert kind(problem, net) == "minimum"
    dx, dy = x - x.mean(), y - y.mean()
    expected = (dy @ dy - (dx @ dy) ** 2 / (dx @ dx)) / 2
    np.testing.assert_allclose(px.loss(problem, net), expected, rtol=1e-12)
    other = px.TwoLayer([[0.1], [slope - 0.1]], [0.5, height - 0.4], [1.0, 1.0])
    assert kind(problem, other) == "moving"


def test_a_batch_is_a_loop():
    networks = [saddle(), jax.tree.map(lambda a: a + 0.1, saddle())]
    batch = jax.tree.map(lambda *a: jnp.stack(a), *networks)
    look = lambda net: stationary_point(PROBLEM, net, tolerance=1e-9)
    together = jax.jit(jax.vmap(look))(batch)
    for i, net in enumerate(networks):
        assert_close(
            jax.tree.map(lambda a, i=i: a[i], together), jax.jit(look)(net), ulps=1e4
        )


def test_refusals():
    with pytest.raises(ValueError, match="`tolerance` must be positive"):
        stationary_point(PROBLEM, saddle(), tolerance=0.0)
