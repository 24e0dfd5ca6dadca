"""Local regression lines: closed forms on the parabola, jumps, coupling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.patterns import (
    StationaryKind,
    active_counts,
    cell_fit,
    local_lines,
    pattern,
    stationary_point,
)

from ..closeness import assert_close, lane, stacked


def parabola(num, step=0.1):
    x = step * np.arange(1, num + 1)
    return px.Problem(x[:, None], x**2, normalisation="sum")


def suffixes(sizes, step=0.1, kinks=None):
    """One rising neuron a boundary of groups with these sizes, and an affine part."""
    edges = np.cumsum(sizes)[:-1]
    kinks = step * (edges + 0.5) if kinks is None else kinks
    ones = np.ones(len(edges))
    return px.TwoLayer(ones[:, None], -np.asarray(kinks), ones, [0.0, 0.0])


loss_of = jax.jit(px.loss)
value_and_gradient = jax.jit(
    jax.value_and_grad(lambda network, problem: px.loss(problem, network))
)


@pytest.mark.parametrize(
    ("sizes", "meet", "inside"),
    [
        ((5, 7), 0.58333333333, True),
        ((5, 8), 0.6, False),
        pytest.param((4, 9), 0.53333333333, False, marks=pytest.mark.slow),
    ],
)
def test_where_neighbouring_lines_meet(sizes, meet, inside):
    """In the gap 0.5 to 0.6, on a datum, outside the gap 0.4 to 0.5."""
    lines = local_lines(parabola(sum(sizes)), suffixes(sizes))
    np.testing.assert_allclose(lines.meet[0], meet, rtol=1e-9)
    assert bool(lines.consistent[0]) is inside
    rss = [q * (q**2 - 1) * (q**2 - 4) / 180 * 1e-4 for q in sizes]
    np.testing.assert_allclose(lines.rss, rss, rtol=1e-9)
    assert bool(lines.independent)
    np.testing.assert_allclose(lines.fitted_slope, lines.slope, rtol=1e-10)
    np.testing.assert_allclose(lines.fitted_height, lines.height, rtol=1e-10)


@pytest.mark.parametrize(
    ("sizes", "loss"),
    [
        ((5, 5, 5, 5), 0.0028),
        pytest.param((5, 6, 7, 6, 5), 0.00933333333, marks=pytest.mark.slow),
        ((4, 8, 4, 4), None),
    ],
)
def test_minima_of_the_quadratic_family(sizes, loss):
    """Kinks where the lines meet are stationary if sizes differ by at most 2."""
    problem = parabola(sum(sizes))
    lines = local_lines(problem, suffixes(sizes))
    bends = np.diff(lines.slope)
    kinks = np.asarray(lines.meet)
    if loss is None:  # lines meet on data: exactly there, where z = 0 counts as off
        kinks = np.asarray(problem.x)[np.rint(kinks / 0.1).astype(int) - 1, 0]
    line = float(lines.height[0] - lines.slope[0] * lines.center[0])
    network = px.TwoLayer(
        np.ones((len(bends), 1)), -kinks, bends, [float(lines.slope[0]), line]
    )
    value, gradient = value_and_gradient(network, problem)
    size = np.sqrt(sum(np.sum(np.asarray(g) ** 2) for g in jax.tree.leaves(gradient)))
    if loss is None:
        assert not np.all(lines.consistent)
        assert size > 1e-3
        return
    assert np.all(lines.consistent)
    assert size < 1e-12
    np.testing.assert_allclose(value, loss, rtol=1e-8)
    np.testing.assert_allclose(np.sum(lines.rss) / 2, loss, rtol=1e-8)
    point = stationary_point(problem, network, tolerance=1e-10)
    assert int(point.kind) == StationaryKind.minimum
    step = px.gradient_descent(1e-3)
    still = px.descend(problem, network, step, num_steps=100)
    assert int(still.stats.pair_flips) == 0
    np.testing.assert_allclose(still.losses[-1], loss, rtol=1e-8)


def test_the_hinge_map():
    """Fit, put the kink where the lines meet, fit again: k⁺ = ⌊k + ½ + (m − 2k)/6⌋."""
    problem = parabola(100)
    look = jax.jit(lambda net: local_lines(problem, net))
    left, seen = 10, [10]
    for _ in range(9):
        meet = float(look(suffixes((left, 100 - left))).meet[0])
        left = int(np.sum(np.asarray(problem.x) < meet))
        seen.append(left)
    assert seen == [10, 23, 32, 38, 42, 45, 47, 48, 49, 49]


def test_the_floor_is_that_of_the_lines():
    rng = np.random.default_rng(0)
    problem = px.Problem(
        rng.normal(size=(14, 1)), rng.normal(size=14), weights=rng.uniform(0.5, 2, 14)
    )
    network = px.TwoLayer([[1.0], [-2.0]], [-0.4, -0.8], [1.0, 1.0], [0.0, 0.0])
    lines = local_lines(problem, network)
    assert int(lines.count) == 3
    np.testing.assert_allclose(
        np.sum(lines.rss) / 2, cell_fit(problem, network).value, rtol=1e-12
    )
    for g in range(3):
        members = np.asarray(lines.order)[np.asarray(lines.group) == g]
        x, y, q = (
            np.asarray(a)[members]
            for a in (problem.x[:, 0], problem.y, problem.sample_weights)
        )
        slope, height = np.polyfit(x, y, 1, w=np.sqrt(q))
        np.testing.assert_allclose(lines.slope[g], slope, rtol=1e-9)
        at_center = slope * np.average(x, weights=q) + height
        np.testing.assert_allclose(lines.height[g], at_center, atol=1e-12)


def test_without_affine_part_the_first_group_is_zero():
    """Suffix neurons only: f = 0 on G_0, so ½ Σ y² takes the place of ½ RSS_0."""
    problem = parabola(10)
    both = suffixes((5, 5))
    network = px.TwoLayer(both.w, both.b, both.c)
    lines = local_lines(problem, network)
    assert not bool(lines.independent)
    assert (float(lines.fitted_slope[0]), float(lines.fitted_height[0])) == (0, 0)
    expected = (np.sum(np.asarray(problem.y)[:5] ** 2) + float(lines.rss[1])) / 2
    np.testing.assert_allclose(cell_fit(problem, network).value, expected, rtol=1e-12)


def test_two_kinks_in_a_gap_make_any_jump():
    x = np.arange(8.0)
    problem = px.Problem(x[:, None], np.where(x < 4, 0.5 * x, 9 - x))
    one = local_lines(problem, px.TwoLayer([[1.0]], [-3.5], [1.0], [0.0, 0.0]))
    assert not bool(one.consistent[0])
    ones = np.ones(2)
    two = px.TwoLayer(ones[:, None], [-3.3, -3.6], ones, [0.0, 0.0])
    lines = local_lines(problem, two)
    assert lines.neurons.tolist() == [2, 0]
    assert bool(lines.consistent[0])
    # α₂ = (−β − αξ₁)/(ξ₂ − ξ₁), α₁ = α − α₂ for the jump αx + β
    alpha, beta = -1.5, 9.0
    second = (-beta - alpha * 3.3) / 0.3
    exact = px.TwoLayer(two.w, two.b, [alpha - second, second], [0.5, 0.0])
    assert float(loss_of(problem, exact)) < 1e-25


def test_parallel_and_equal_lines():
    x = np.arange(8.0)
    network = px.TwoLayer([[1.0]], [-2.5], [1.0], [0.0, 0.0])
    straight = local_lines(px.Problem(x[:, None], 2 * x + 1), network)
    assert bool(straight.consistent[0])
    assert float(straight.meet[0]) == pytest.approx(2.5)
    apart = local_lines(px.Problem(x[:, None], 2 * x + (x > 2)), network)
    assert not bool(apart.consistent[0])


def test_one_input_by_itself_has_no_line():
    x, y = np.arange(-1.0, 7.0), np.array([1.0, 3.0, 0.0, 5.0, 1.0, 2.0, 4.0, 0.0])
    x[0] = 0.0
    problem = px.Problem(x[:, None], y)
    network = px.TwoLayer([[1.0]], [-0.5], [1.0], [0.0, 0.0])
    lines = local_lines(problem, network)
    assert (float(lines.slope[0]), float(lines.height[0])) == (0, 2)
    assert bool(lines.consistent[0])
    for leaf in lines:
        assert not np.any(np.isnan(np.asarray(leaf, dtype=float)))


def test_counts_describe_patterns_in_one_dimension():
    """2K patterns: the sign of the slope and the number of active data say which."""
    x = jnp.asarray([[0.3], [-1.0], [2.0], [0.9]])
    rng = np.random.default_rng(1)
    w, b = rng.normal(size=(2, 4000))
    network = px.TwoLayer(w[:, None], b, np.ones(4000))
    active = np.asarray(pattern(network, x))
    counts = np.asarray(active_counts(pattern(network, x)))
    names = set(zip(np.sign(w), counts, strict=True))
    assert len(np.unique(active, axis=0)) == 8
    assert len(
        {
            (s, k, tuple(a))
            for (s, k), a in zip(
                zip(np.sign(w), counts, strict=True), active, strict=True
            )
        }
    ) == len(names)


def test_a_batch_is_a_loop():
    problem = parabola(12)
    networks = [suffixes(sizes) for sizes in ((5, 7), (3, 9))]
    batch = stacked(networks)
    look = lambda net: local_lines(problem, net)
    together = jax.jit(jax.vmap(look))(batch)
    for i, net in enumerate(networks):
        assert_close(lane(together, i), look(net))


def test_more_inputs_are_refused():
    with pytest.raises(ValueError, match="one input to have lines, but has 2"):
        local_lines(
            px.Problem(np.ones((3, 2)), np.ones(3)),
            px.TwoLayer([[1.0, 0.0]], [0.0], [1.0]),
        )
