"""Many initialisations: the same numbers as one at a time, whoever is beside."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import plateaux as px
from plateaux.dynamics.flow_arguments import checked
from plateaux.dynamics.flow_many import lane_efficiency

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


def smooth_batch(seeds):
    keys = jax.vmap(jax.random.key)(jnp.array(seeds))
    draw = lambda key: px.networks.xavier(
        key, width=4, in_dim=1, bias="normal", activation="tanh"
    )
    return jax.vmap(draw)(keys)


def deep_batch(seeds):
    keys = jax.vmap(jax.random.key)(jnp.array(seeds))
    draw = lambda key: px.networks.mlp(key, widths=(5, 4), in_dim=1, bias="normal")
    return jax.vmap(draw)(keys)


@pytest.fixture(scope="module", params=[smooth_batch, deep_batch])
def others(request):
    """Networks whose flow is not that of kinks alone, and five of their runs."""
    draw = request.param
    return draw, px.flow_many(curve(), draw(range(5)), lanes=2, **SHORT)


def curve():
    x = jnp.linspace(-1, 1, 6)[:, None]
    return px.Problem(x, jnp.sin(3 * x[:, 0]))


SHORT = dict(t1=5.0, rtol=1e-6, save=px.log_spaced(12), max_steps=18)


def test_smooth_and_deep_networks_queue_too(others):
    draw, runs = others
    one = eqx.filter_jit(lambda n: px.flow(curve(), n, **SHORT))
    ends = set()
    for seed in range(5):
        alone, ours = one(lane(draw(range(5)), seed)), lane(runs, seed)
        assert bool(ours.outcome == alone.outcome)
        assert jnp.array_equal(ours.steps, alone.steps)
        assert_close(ours.losses, alone.losses, ulps=1e4)
        # The time of a run's last step is as uncertain as the estimated errors, small
        # differences, that chose its steps.
        done = bool(alone.outcome == px.Outcome.completed)
        assert_close(ours.network, alone.network, ulps=1e5 if done else 1e8)
        ends.add(int(ours.stats.num_steps))
    assert len(ends) > 1  # lanes of one length would never wait


def test_smooth_and_deep_lanes_do_not_notice_their_neighbours(others):
    draw, before = others
    order = [4, 3, 2, 1, 0]
    nets = draw(order)
    leaf = lambda n: jax.tree.leaves(n)[0]
    spoiled = eqx.tree_at(leaf, nets, leaf(nets).at[2].set(jnp.nan))
    runs = px.flow_many(curve(), spoiled, lanes=2, **SHORT)
    assert bool(lane(runs, 2).outcome == px.Outcome.diverged)
    for place in (0, 1, 3, 4):
        ours, theirs = lane(runs, place), lane(before, order[place])
        assert jnp.array_equal(ours.losses, theirs.losses)


def test_a_lane_out_of_steps_says_so_and_its_neighbours_go_on(others):
    _, runs = others
    out = runs.outcome == px.Outcome.out_of_steps
    tried = runs.stats.num_steps + runs.stats.num_rejected
    assert jnp.array_equal(out, jnp.array([False, True, False, False, True]))
    assert tried[out].tolist() == [18, 18]
    assert jnp.array_equal(out, jnp.isinf(runs.losses[:, -1]) & (tried == 18))


@pytest.mark.slow
def test_few_places_wait():
    """Lane efficiency on many lanes; the tail of the queue costs the rest."""
    plan = checked(
        problem_1d(), 50.0, 1e-8, None, px.log_spaced(2), 128, 10_000, "auto"
    )
    _, efficiency = lane_efficiency(problem_1d(), batch(range(4096)), plan, 64)
    assert efficiency >= 0.9


def test_networks_without_a_leading_axis_are_refused():
    nets = batch(range(3))
    uneven = eqx.tree_at(lambda n: n.b, nets, nets.b[:2])
    with pytest.raises(ValueError, match="one leading axis over initialisations"):
        px.flow_many(problem_1d(), uneven, t1=1.0)
