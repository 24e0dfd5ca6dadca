"""Many initialisations: the same numbers as one at a time, whoever is beside."""

import equinox as eqx
import jax
import numpy as np
import pytest

import plateaux as px
from plateaux.dynamics.flow_arguments import checked
from plateaux.dynamics.flow_many import lane_efficiency

from ..closeness import assert_close, lane, stacked
from ..reference import network_1d, problem_1d

ARGUMENTS = dict(t1=20.0, rtol=1e-7, save=px.log_spaced(12), max_events=64)


def batch(seeds):
    return stacked(map(network_1d, seeds))


def spoiled(networks, lane):
    """The networks with one that is not finite."""
    leaf = lambda n: jax.tree.leaves(n)[0]
    bad = np.array(leaf(networks))
    bad[lane] = np.nan
    return eqx.tree_at(leaf, networks, bad)


@pytest.fixture(scope="module")
def seven():
    return px.flow_many(problem_1d(), batch(range(7)), lanes=3, **ARGUMENTS)


def test_a_queue_of_lanes_is_a_loop_over_networks(seven):
    for seed in range(7):
        alone = px.flow(problem_1d(), network_1d(seed), **ARGUMENTS)
        ours = lane(seven, seed)
        assert_close(ours.times, alone.times)
        assert bool(ours.outcome == px.Outcome.completed)
        assert_close(ours.losses, alone.losses, ulps=1e4)
        assert np.array_equal(ours.events.kind, alone.events.kind)
        assert np.array_equal(ours.events.neuron, alone.events.neuron)
        assert_close(ours.network, alone.network, ulps=1e5)


def test_lanes_do_not_notice_their_neighbours(seven):
    """The same shape gives the same bits in another order, and beside a NaN."""
    order = [6, 5, 4, 3, 2, 1, 0]
    nets = spoiled(batch(order), 2)
    runs = px.flow_many(problem_1d(), nets, lanes=3, **ARGUMENTS)
    assert bool(lane(runs, 2).outcome == px.Outcome.diverged)
    assert not np.any(np.isnan(runs.losses))
    for place in (0, 1, 3, 4, 5, 6):
        ours, before = lane(runs, place), lane(seven, order[place])
        assert np.array_equal(ours.losses, before.losses)
        assert np.array_equal(ours.events.time, before.events.time)


def test_progress_counts_finished_networks():
    seen = []
    call = lambda done, total: seen.append((done, total))
    px.flow_many(problem_1d(), batch(range(7)), lanes=3, progress=call, **ARGUMENTS)
    assert seen[-1] == (7, 7)
    assert all(a <= b for (a, _), (b, _) in zip(seen, seen[1:], strict=False))


def smooth(seed):
    draw = np.random.default_rng(seed).normal
    return px.TwoLayer(draw(size=(4, 1)), draw(size=4), draw(size=4), activation="tanh")


def deep(seed):
    draw = np.random.default_rng(seed).normal
    weights = [draw(size=(5, 1)), draw(size=(4, 5)) / 2]
    return px.MLP(weights, [draw(size=5), draw(size=4)], draw(size=4))


@pytest.fixture(
    scope="module", params=[(smooth, [3, 4]), (deep, [1, 3])], ids=["smooth", "deep"]
)
def others(request):
    """Five networks whose flow is not that of kinks alone, their runs, and the long."""
    draw, long = request.param
    nets = stacked(map(draw, range(5)))
    return nets, px.flow_many(curve(), nets, lanes=2, **SHORT), long


def curve():
    x = np.linspace(-1, 1, 6)
    return px.Problem(x[:, None], np.sin(3 * x))


SHORT = dict(t1=5.0, rtol=1e-6, save=px.log_spaced(12), max_steps=18)


def test_smooth_and_deep_networks_queue_too(others):
    nets, runs, _ = others
    ends = set()
    for seed in range(5):
        alone = px.flow(curve(), lane(nets, seed), **SHORT)
        ours = lane(runs, seed)
        assert bool(ours.outcome == alone.outcome)
        assert np.array_equal(ours.steps, alone.steps)
        assert_close(ours.losses, alone.losses, ulps=1e4)
        # The time of a run's last step is as uncertain as the estimated errors, small
        # differences, that chose its steps.
        done = bool(alone.outcome == px.Outcome.completed)
        assert_close(ours.network, alone.network, ulps=1e5 if done else 1e8)
        ends.add(int(ours.stats.num_steps))
    assert len(ends) > 1  # lanes of one length would never wait


def test_smooth_and_deep_lanes_do_not_notice_their_neighbours(others):
    nets, before, _ = others
    order = [4, 3, 2, 1, 0]
    nets = jax.tree.map(lambda leaf: np.asarray(leaf)[order], nets)
    runs = px.flow_many(curve(), spoiled(nets, 2), lanes=2, **SHORT)
    assert bool(lane(runs, 2).outcome == px.Outcome.diverged)
    for place in (0, 1, 3, 4):
        ours, theirs = lane(runs, place), lane(before, order[place])
        assert np.array_equal(ours.losses, theirs.losses)


def test_a_lane_out_of_steps_says_so_and_its_neighbours_go_on(others):
    _, runs, long = others
    out = np.asarray(runs.outcome == px.Outcome.out_of_steps)
    tried = np.add(runs.stats.num_steps, runs.stats.num_rejected)
    assert np.flatnonzero(out).tolist() == long
    assert tried[out].tolist() == [18, 18]
    assert np.array_equal(out, np.isinf(runs.losses)[:, -1] & (tried == 18))


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
