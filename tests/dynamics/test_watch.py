"""The watch against a list of patterns at every step, and against the exact flow."""

import itertools

import jax
import numpy as np
import pytest

import plateaux as px
from plateaux.dynamics.trajectory import EventKind

from .. import draws, reference
from ..closeness import lane, stacked
from ..variants import most_slow


def chains_by_hand(patterns, window):
    """Events (step, pair, kind) from patterns at every step, in plain Python."""
    last_step = len(patterns) - 1
    events = []
    for pair in range(patterns.shape[1]):
        side = patterns[:, pair]
        flips = [s for s in range(1, last_step + 1) if side[s] != side[s - 1]]
        chains = []
        for s in flips:
            if chains and s - chains[-1][-1] <= window:
                chains[-1].append(s)
            else:
                chains.append([s])
        for i, chain in enumerate(chains):
            if len(chain) == 1:
                events.append((chain[0], pair, int(side[chain[0]])))
                continue
            events.append((chain[0], pair, int(EventKind.slide)))
            over = i + 1 < len(chains) or last_step - chain[-1] > window
            if over:
                events.append((chain[-1], pair, int(side[chain[-1]])))
    return sorted(events)


def pattern(problem, network):
    return px.patterns.pattern(network, problem.x)


def noisy_run(num_steps, network, window, max_events=512, width=None):
    """Descent with a step so large that many pairs chatter."""
    problem = reference.problem_1d()
    return problem, px.descend(
        problem,
        network,
        px.gradient_descent(0.8),
        num_steps=num_steps,
        save=px.every(1),
        record={"pattern": pattern},  # one function, one program
        chatter_window=window,
        max_events=max_events,
    )


def found(run, num_data=20, step_size=0.8):
    events = jax.tree.map(np.asarray, run.events)
    used = slice(0, int(events.count))
    steps = np.rint(events.time[used] / step_size).astype(int)
    pairs = events.neuron[used] * num_data + events.datum[used]
    return list(
        zip(steps.tolist(), pairs.tolist(), events.kind[used].tolist(), strict=True)
    )


FAST = [(31, 32), (64, 200), (700, 50)]


@pytest.mark.parametrize(
    ("num_steps", "window"),
    most_slow(itertools.product((31, 64, 700), (32, 50, 200)), FAST),
)
@pytest.mark.parametrize("seed", [0, 3])
def test_events_equal_chains_found_by_hand(seed, num_steps, window):
    _, run = noisy_run(num_steps, reference.network_1d(seed), window)
    patterns = np.asarray(run.saved["pattern"]).reshape(num_steps + 1, -1)
    expected = chains_by_hand(patterns, window)
    assert sorted(found(run)) == expected
    assert np.all(np.diff(np.asarray(run.events.time)[: int(run.events.count)]) >= 0)
    flips = patterns[1:] != patterns[:-1]
    assert int(run.stats.pair_flips) == flips.sum()
    assert int(run.stats.pattern_changes) == flips.any(axis=1).sum()


def test_the_noisy_runs_do_slide_and_leave():
    """The cases above would prove little without chains that begin and end."""
    _, run = noisy_run(700, reference.network_1d(3), 50)
    kinds = [kind for _, _, kind in found(run)]
    assert kinds.count(EventKind.slide) >= 3
    _, pairs, kinds = zip(*found(run), strict=True)
    ended = [
        p
        for i, p in enumerate(pairs)
        if kinds[i] == EventKind.slide and p in pairs[i + 1 :]
    ]
    assert ended


def test_deep_networks_are_watched_in_all_layers():
    network = draws.deep((6, 5), 1)
    problem, run = noisy_run(300, network, 40)
    patterns = np.asarray(run.saved["pattern"])
    assert patterns.shape == (301, 11, 20)
    expected = chains_by_hand(patterns.reshape(301, -1), 40)
    assert sorted(found(run)) == expected
    assert any(pair >= 6 * 20 for _, pair, _ in expected)


def test_a_full_table_says_so_and_keeps_counting():
    network = reference.network_1d(3)
    _, whole = noisy_run(700, network, 50)
    _, short = noisy_run(700, network, 50, max_events=4)
    assert not bool(whole.events.overflow)
    assert bool(short.events.overflow)
    assert int(short.events.count) == 4
    assert int(short.stats.pair_flips) == int(whole.stats.pair_flips)
    assert set(found(short)) <= set(found(whole))


def test_unused_rows_are_marked():
    _, run = noisy_run(64, reference.network_1d(0), 200)
    unused = slice(int(run.events.count), None)
    events = jax.tree.map(np.asarray, run.events)
    assert np.all(np.isinf(events.time[unused]))
    assert np.all(events.neuron[unused] == -1)
    assert np.all(events.datum[unused] == -1)
    assert np.all(events.kind[unused] == EventKind.none)


@pytest.mark.parametrize("seed", [0, 3])
def test_descent_finds_the_events_of_the_exact_flow(seed):
    """Crossings and entries into sliding; exits are blurred, see below.

    With step size h event times agree to a few h. Where a slide ends because its
    share of on-time falls to 0, flips thin out and the chain breaks early, into
    shorter chains of the same pair: those rows are left out of the comparison.
    """
    step_size = 1e-3
    exact = reference.load(f"flow_1d_seed{seed}")
    run = px.descend(
        reference.problem_1d(),
        reference.network_1d(seed),
        px.gradient_descent(step_size),
        num_steps=50_000,
    )
    names = {EventKind.on: "on", EventKind.off: "off", EventKind.slide: "slide"}
    events = jax.tree.map(np.asarray, run.events)
    columns = (events.time, events.neuron, events.datum, events.kind)
    ours = [
        (float(t), (int(n), int(d)), names[int(k)])
        for t, n, d, k in zip(*columns, strict=True)
        if n >= 0
    ]
    theirs = [
        (e["time"], (e["neuron"], e["datum"]), e["kind"]) for e in exact["events"]
    ]

    def without_exits(rows):
        kept, slid = [], set()
        for time, pair, kind in rows:
            if pair not in slid:
                kept.append((time, pair, kind))
            if kind == "slide":
                slid.add(pair)
        return kept

    ours, theirs = without_exits(ours), without_exits(theirs)
    assert [row[1:] for row in ours] == [row[1:] for row in theirs]
    error = np.array([a[0] - b[0] for a, b in zip(ours, theirs, strict=True)])
    # At late times the shift grows with the exit-time error accumulated before it.
    assert np.max(np.abs(error)) < 20 * step_size
    assert len(theirs) >= 10


def test_watch_is_off_for_smooth_activations_unless_asked():
    problem = reference.problem_1d()
    network = draws.two_layer(4, 1, activation="tanh")
    off = px.descend(problem, network, px.gradient_descent(0.1), num_steps=40)
    on = px.descend(
        problem, network, px.gradient_descent(0.1), num_steps=40, watch=True
    )
    assert off.events is None
    assert off.stats.pair_flips is None
    assert on.events is not None
    assert np.array_equal(off.losses, on.losses)


def test_watching_changes_no_number():
    _, run = noisy_run(700, reference.network_1d(3), 50)
    blind = px.descend(
        reference.problem_1d(),
        reference.network_1d(3),
        px.gradient_descent(0.8),
        num_steps=700,
        save=px.every(1),
        watch=False,
    )
    assert np.array_equal(run.losses, blind.losses)


def test_a_batch_gives_what_a_loop_gives():
    networks = [reference.network_1d(seed) for seed in range(5)]
    run = lambda network: noisy_run(700, network, 50)[1]
    together = jax.vmap(run)(stacked(networks))
    for i, network in enumerate(networks):
        assert found(lane(together, i)) == found(run(network))
