"""Bounds of exits against their formula, and against exact flows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.patterns import (
    cell_fit,
    cell_rates,
    design_matrix,
    exit_bounds,
    never_leaves,
    pattern,
    violation,
)

from ..closeness import stacked

X = np.arange(1.0, 21.0)[:, None] / 20
PARABOLA = px.Problem(X, X[:, 0] ** 2, normalisation="sum")
NET = px.TwoLayer([[1.0]], [-4.5 / 20], [1.2], [0.0, 0.0])


def setting(seed, *, affine, num=30, width=2, outer=4.0):
    """Unequal weights; c large, so that all imbalances are positive."""
    rng = np.random.default_rng(seed)
    problem = px.Problem(
        rng.normal(size=(num, 2)),
        rng.normal(size=num),
        weights=rng.uniform(0.5, 2, size=num),
    )
    p = rng.normal(size=3) if affine else None
    w, b = rng.normal(size=(width, 2)), 0.1 * rng.normal(size=width)
    c = outer * np.sign(rng.normal(size=width))
    return problem, px.TwoLayer(0.7 * w, b, c, p)


outputs, imbalance = jax.jit(px.outputs), jax.jit(px.networks.imbalance)


def textbook(problem, network):
    """The bound with ‖x̃‖/σ₋ for every pair at full column rank; inf elsewhere."""
    fit, rates = cell_fit(problem, network), cell_rates(problem, network)
    root = np.sqrt(np.asarray(problem.sample_weights))
    full = fit.singular_values.size == int(fit.rank)
    assert full
    inside = np.linalg.norm(
        root * (np.asarray(outputs(network, problem.x)) - np.asarray(fit.fitted))
    )
    conserved = np.asarray(imbalance(network))
    rate = float(rates.smallest) ** 2 * min(
        conserved.min(), 1 if network.p is not None else 9e9
    )
    length = np.sqrt(np.sum(np.asarray(problem.x) ** 2, axis=1) + 1)
    broken = np.asarray(violation(problem, network))
    with np.errstate(all="ignore"):
        time = np.log(length * inside / (float(rates.smallest) * broken)) / rate
    return np.where(broken > 0, time, np.inf), rate


@pytest.mark.parametrize("affine", [True, False])
def test_bounds_are_the_formula_or_sharper(affine):
    sharper = 0
    for seed in range(6):
        problem, network = setting(seed, affine=affine)
        if int(cell_fit(problem, network).rank) < (9 if affine else 6):
            continue
        bounds = exit_bounds(problem, network)
        expected, rate = textbook(problem, network)
        np.testing.assert_allclose(bounds.rate, rate, rtol=1e-10)
        assert np.array_equal(np.isfinite(bounds.latest), np.isfinite(expected))
        found = np.isfinite(expected)
        latest = np.asarray(bounds.latest)[found]
        assert np.all(latest <= expected[found] * (1 + 1e-9))
        sharper += found.sum()
    assert sharper > 10


def test_one_neuron_on_one_input_by_hand():
    """Orthogonal columns: x̃ = (±1, 1) on, η* = (0, −1), so both pairs are broken by 1;
    M = √q Φ = I·√2·√q, a = ‖x̃‖/σ₋, and the excess is that of η = (0, 2)."""
    problem = px.Problem([[-1.0], [1.0]], [-1.0, -1.0], normalisation="sum")
    network = px.TwoLayer([[0.0]], [1.0], [2.0])
    bounds = exit_bounds(problem, network)
    # σ₋² = 2, C = 3, λ = 6; ‖P r‖ = 3√2; a = √2/√2 = 1
    np.testing.assert_allclose(bounds.rate, 6, rtol=1e-12)
    np.testing.assert_allclose(
        bounds.latest, np.log(3 * np.sqrt(2)) / 6 * np.ones((1, 2))
    )
    assert int(bounds.neuron) == 0
    known = exit_bounds(problem, network, least_outer=jnp.array([1.0]))
    np.testing.assert_allclose(known.rate, 2, rtol=1e-12)


def test_nothing_is_forced_without_a_bound_or_where_the_minimiser_is_inside():
    small = px.TwoLayer(NET.w, NET.b, [0.9], NET.p)  # C < 0
    bounds = exit_bounds(PARABOLA, small)
    assert float(bounds.first) == np.inf
    assert (int(bounds.neuron), float(bounds.rate)) == (-1, 0)
    # the cell with nine data to the left holds a minimum
    inside = px.TwoLayer(NET.w, [-9.5 / 20], [1.5], NET.p)
    bounds = exit_bounds(PARABOLA, inside)
    assert float(bounds.rate) > 0
    assert float(bounds.first) == np.inf


def test_dead_and_undetermined_neurons_force_nothing():
    rows = lambda *values: np.array(values)
    # a dead neuron, and one that is on at the last datum alone: Φ has rank 5 of 8
    network = px.TwoLayer(
        rows(1.0, 1.0, 1.0)[:, None],
        rows(-4.5, -30, -19.5) / 20,
        rows(1.2, 2, 2.0),
        NET.p,
    )
    bounds = exit_bounds(PARABOLA, network)
    latest = np.asarray(bounds.latest)
    assert np.all(np.isinf(latest[1]))
    # on its only datum η_2·x̃ is determined, elsewhere not
    assert np.all(np.isinf(latest[2, :-1]))
    assert np.isfinite(bounds.first)


@pytest.mark.slow
def test_the_flow_leaves_before_every_bound():
    problem, _ = setting(0, affine=True)
    networks = [setting(seed, affine=True, outer=2.5)[1] for seed in range(12)]
    batch = stacked(networks)
    bounds = jax.jit(jax.vmap(lambda net: exit_bounds(problem, net)))(batch)
    runs = px.flow_many(problem, batch, t1=300.0, save=px.at([300.0]), max_events=256)
    first = runs.events.time[:, 0]
    latest = jnp.min(bounds.latest, axis=(1, 2))
    assert jnp.all(first <= latest)
    assert jnp.all(first > 0)
    assert jnp.sum(jnp.isfinite(latest)) > 4


@pytest.mark.slow
def test_a_lazy_network_is_proven_to_stay_and_stays():
    """Large c, small v: the minimiser is near."""
    x = jnp.linspace(-1, 1, 8)[:, None]
    teacher = px.TwoLayer(
        [[0.01], [0.012]], [0.002, -0.0025], [60.0, -40.0], [0.2, 0.0]
    )
    phi = np.asarray(design_matrix(pattern(teacher, x), x, affine=True))
    noise = 0.1 * np.sin(7 * np.arange(8))
    noise -= phi @ np.linalg.lstsq(phi, noise)[0]  # no fit of this cell sees it
    problem = px.Problem(x, px.outputs(teacher, x) + noise)
    lazy = px.TwoLayer(teacher.w + 1e-9, teacher.b, teacher.c, teacher.p)
    proof = never_leaves(problem, lazy)
    assert bool(proof.holds)
    run = px.flow(problem, lazy, t1=5.0, max_events=8)
    assert bool(run.outcome == px.Outcome.completed)
    assert int(run.events.count) == 0
    # v moved by no more than its bound
    moved = jnp.sqrt(
        (run.network.w - lazy.w)[:, 0] ** 2 + (run.network.b - lazy.b) ** 2
    )
    assert jnp.all(moved <= proof.way)
    assert jnp.all(moved > 0)


def test_proofs_are_not_given_away():
    assert not bool(never_leaves(PARABOLA, NET).holds)  # it leaves at 0.19
    small = px.TwoLayer(NET.w, NET.b, [0.9], NET.p)
    proof = never_leaves(PARABOLA, small)
    assert not bool(proof.holds)
    assert float(proof.way[0]) == np.inf
    dead = px.TwoLayer([[1.0]], [-2.0], [1.0])
    proof = never_leaves(PARABOLA, dead)
    assert bool(proof.holds)
    assert float(proof.way[0]) == 0


def test_refusals():
    with pytest.raises(ValueError, match="`least_outer` must have one entry a neuron"):
        exit_bounds(PARABOLA, NET, least_outer=jnp.ones(2))
    smooth = px.TwoLayer(NET.w, NET.b, NET.c, NET.p, activation="tanh")
    for check in (exit_bounds, never_leaves):
        with pytest.raises(ValueError, match="relu to have cells"):
            check(PARABOLA, smooth)
