"""Stationary points of every kind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.patterns import StationaryKind, cell_fit, stationary_point

from ..closeness import assert_close, lane, stacked

X = np.asarray(jax.random.normal(jax.random.key(3), (12, 2)))
PROBLEM = px.Problem(
    X, np.sin(3 * X[:, 0]) + X[:, 1] ** 2, weights=np.linspace(1, 3, 12)
)
loss = jax.jit(px.loss)


def kind(problem, network, tolerance=1e-9):
    point = stationary_point(problem, network, tolerance=tolerance)
    return StationaryKind(int(point.kind)).name


def minimum(affine):
    """A network at the minimiser of its cell, which is inside the cell."""
    start = px.TwoLayer([[1.0, 0.3]], [8.0], [1.5], [0.0, 0.1, 0.2] if affine else None)
    if affine:
        eta = np.asarray(cell_fit(PROBLEM, start).coefficients)
        return px.TwoLayer(
            start.w,
            start.b,
            start.c,
            eta[:3] + eta[3:] - 1.5 * np.array([1.0, 0.3, 8.0]),
        )
    z = X @ [1.0, 0.3] + 8.0
    y = 1.5 * np.maximum(z, 0) + 1.0  # affine targets well above zero
    return px.Problem(X, y), px.TwoLayer([[1.5, 0.45]], [13.0], [1.0])


def test_a_minimum_over_its_cell():
    network = minimum(affine=True)
    assert kind(PROBLEM, network) == "minimum"
    assert float(loss(PROBLEM, network)) == pytest.approx(
        float(cell_fit(PROBLEM, network).value), rel=1e-12
    )
    assert kind(*minimum(affine=False)) == "minimum"


def test_random_points_move():
    w = [[1.0, -0.5], [0.3, 0.8]]
    network = px.TwoLayer(w, [0.2, -0.1], [1.0, -0.7], np.zeros(3))
    assert kind(PROBLEM, network) == "moving"
    point = stationary_point(PROBLEM, network, tolerance=1e-9)
    assert float(point.curvature) == 0
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(point.direction))


def saddle(affine=True):
    """The best affine fit, and neurons with c = 0 and v ⟂ g."""
    line = cell_fit(PROBLEM, px.TwoLayer([[0.0, 0.0]], [-1.0], [0.0], np.zeros(3)))
    p = np.asarray(line.coefficients)[-3:]
    x1 = np.concatenate([X, np.ones((12, 1))], axis=1)
    force = np.asarray(PROBLEM.sample_weights) * np.asarray(line.residual)
    rows, rng = [], np.random.default_rng(0)
    while len(rows) < 2:
        v = rng.normal(size=3)
        on = x1 @ v > 0
        g = (on * force) @ x1
        v = v - (v @ g) / (g @ g) * g
        if np.array_equal(x1 @ v > 0, on) and np.min(np.abs(x1 @ v)) > 0.02:
            rows.append(v)
    v = np.array(rows)
    return px.TwoLayer(v[:, :2], v[:, 2], np.zeros(2), p)


def test_a_saddle_falls_along_its_direction_as_it_says():
    network = saddle()
    point = stationary_point(PROBLEM, network, tolerance=1e-9)
    assert StationaryKind(int(point.kind)) == StationaryKind.saddle
    direction = point.direction
    length = sum(np.sum(np.asarray(leaf) ** 2) for leaf in jax.tree.leaves(direction))
    np.testing.assert_allclose(length, 1, rtol=1e-12)
    flat, restore = jax.flatten_util.ravel_pytree(network)

    @jax.jit
    def along(e):
        return px.loss(
            PROBLEM, jax.tree.map(lambda a, b: a + e * b, network, direction)
        )

    change = lambda e: float(along(e)) - float(along(0.0))
    curvature = float(point.curvature)
    assert curvature < 0
    for epsilon in (1e-3, 1e-4):
        expected = curvature * epsilon**2 / 2
        assert change(epsilon) == pytest.approx(expected, rel=20 * epsilon)
    # no other unit vector of this neuron's parameters has a more negative curvature
    hessian = jax.jit(jax.hessian(lambda v: px.loss(PROBLEM, restore(v))))(flat)
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
    moved = px.TwoLayer(network.w, network.b, network.c, np.asarray(network.p) + 1e-5)
    scaled_problem = px.Problem(
        X, 1e-6 * np.asarray(PROBLEM.y), weights=PROBLEM.weights
    )
    scaled = px.TwoLayer(
        network.w, network.b, 1e-6 * np.asarray(network.c), 1e-6 * np.asarray(moved.p)
    )
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
    np.testing.assert_allclose(loss(problem, net), expected, rtol=1e-12)
    other = px.TwoLayer([[0.1], [slope - 0.1]], [0.5, height - 0.4], [1.0, 1.0])
    assert kind(problem, other) == "moving"


def test_a_batch_is_a_loop():
    networks = [
        saddle(),
        jax.tree.map(lambda a: jnp.asarray(np.asarray(a) + 0.1), saddle()),
    ]
    batch = stacked(networks)
    look = lambda net: stationary_point(PROBLEM, net, tolerance=1e-9)
    together = jax.jit(jax.vmap(look))(batch)
    for i, net in enumerate(networks):
        assert_close(lane(together, i), look(net), ulps=1e4)


def test_refusals():
    with pytest.raises(ValueError, match="`tolerance` must be positive"):
        stationary_point(PROBLEM, saddle(), tolerance=0.0)
