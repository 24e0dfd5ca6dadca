"""Many initialisations: the same numbers as one at a time, whoever is beside."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import plateaux as px
from plateaux.dynamics.flow import checked
from plateaux.dynamics.flow_many import run_lanes

from ..closeness import assert_close, lane
from ..reference import network_1d, problem_1d

ARGUMENTS = dict(t1=20.0, rtol=1e-7, save=px.log_spaced(12), max_events=64)


def batch(seeds):
    return jax.tree.map(lambda *a: jnp.stack(a), *map(network_1d, seeds))


@pytest.fixture(scope="module")
def seven():
    return px.flow_many(problem_1d(), batch(range(7)), lanes=3, **ARGUMENTS)


def test_a_queue_of_lanes_is_a_loop_over_networks(seven):
    one = eqx.filter_jit(lambda n: px.flow(problem_1d(), n, **ARGUMENTS))
    for seed in range(7):
        alone, ours = one(network_1d(seed)), lane(seven, seed)
        assert_close(ours.times, alone.times)
        assert bool(ours.outcome == px.Outcome.completed)
        assert_close(ours.losses, alone.losses, ulps=1e4)
        assert jnp.array_equal(ours.events.kind, alone.events.kind)
        assert jnp.array_equal(ours.events.neuron, alone.events.neuron)
        assert_close(ours.network, alone.network, ulps=1e5)


def test_lanes_do_not_notice_their_neighbours(seven):
    """The same shape gives the same bits in another order, and beside a NaN."""
    order = [6, 5, 4, 3, 2, 1, 0]
    nets = batch(order)
    spoiled = eqx.tree_at(lambda n: n.c, nets, nets.c.at[2].set(jnp.nan))
    runs = px.flow_many(problem_1d(), spoiled, lanes=3, **ARGUMENTS)
    assert bool(lane(runs, 2).outcome == px.Outcome.diverged)
    assert not jnp.any(jnp.isnan(runs.losses))
    for place in (0, 1, 3, 4, 5, 6):
        ours, before = lane(runs, place), lane(seven, order[place])
        assert jnp.array_equal(ours.losses, before.losses)
        assert jnp.array_equal(ours.events.time, before.events.time)


def test_progress_counts_finished_networks():
    seen = []
    call = lambda done, total: seen.append((done, total))
    px.flow_many(problem_1d(), batch(range(7)), lanes=3, progress=call, **ARGUMENTS)
    assert seen[-1] == (7, 7)
    assert all(a <= b for (a, _), (b, _) in zip(seen, seen[1:], strict=False))


def test_smooth_networks_too():
    x = jnp.linspace(-1, 1, 6)[:, None]
    problem = px.Problem(x, jnp.sin(x[:, 0]))
    nets = [px.TwoLayer([[s]], [0.1], [s], activation="tanh") for s in (0.2, 0.5, 1.0)]
    nets = jax.tree.map(lambda *a: jnp.stack(a), *nets)
    runs = px.flow_many(problem, nets, t1=5.0, rtol=1e-6, lanes=2)
    alone = px.flow(problem, lane(nets, 2), t1=5.0, rtol=1e-6)
    assert runs.losses.shape == (3, 200)
    assert_close(lane(runs, 2).losses, alone.losses, ulps=1e4)


@pytest.mark.slow
def test_few_places_wait():
    """Lane efficiency on many lanes; the tail of the queue costs the rest."""
    plan = checked(
        problem_1d(), 50.0, 1e-8, None, px.log_spaced(2), 128, 10_000, "auto"
    )
    _, efficiency = run_lanes(problem_1d(), batch(range(4096)), plan, 64)
    assert efficiency >= 0.9


def test_networks_without_a_leading_axis_are_refused():
    nets = batch(range(3))
    uneven = eqx.tree_at(lambda n: n.b, nets, nets.b[:2])
    with pytest.raises(ValueError, match="one leading axis over initialisations"):
        px.flow_many(problem_1d(), uneven, t1=1.0)
