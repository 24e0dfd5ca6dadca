"""Plateaus of made-up trajectories with known plateaus, and of closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import plateaux as px
from plateaux.dynamics.trajectory import Accuracy, Events, Stats, Trajectory

from .. import reference
from ..closeness import assert_close, stacked

NETWORK = reference.network_1d(0)


def trajectory(times, losses, events=None, changes=0, overflow=False, room=8):
    """A trajectory with these saved losses and events (time, neuron, datum, kind)."""
    times = jnp.asarray(np.asarray(times, float))
    if events is not None:
        padded = lambda column, fill: np.array(column + [fill] * (room - len(column)))
        pad = lambda column, fill: jnp.asarray(padded(column, fill))
        columns = list(zip(*events, strict=True)) or [[], [], [], []]
        events = Events(
            time=pad([float(t) for t in columns[0]], jnp.inf),
            neuron=pad(list(columns[1]), -1),
            datum=pad(list(columns[2]), -1),
            kind=pad(list(columns[3]), -1),
            count=jnp.array(len(columns[0])),
            overflow=jnp.array(overflow),
        )
    return Trajectory(
        times=times,
        steps=jnp.asarray(np.arange(times.size)),
        losses=jnp.asarray(np.asarray(losses, float)),
        saved={},
        network=NETWORK,
        outcome=px.Outcome.completed,
        events=events,
        accuracy=Accuracy(None, None),
        stats=Stats(jnp.array(times.size), None, jnp.array(changes)),
        time_unit="steps",
    )


def plateaus(*arguments, **options):
    """In NumPy, whose operations compile nothing."""
    return jax.tree.map(np.asarray, px.plateaus(*arguments, **options))


def rows(table):
    used = slice(0, int(table.count))
    return [
        tuple(round(float(v), 9) for v in row)
        for row in zip(
            table.start[used], table.end[used], table.level[used], strict=True
        )
    ]


# --- by slope ------------------------------------------------------------------------

TIMES = [0.0, *np.geomspace(1, 1e6, 61)]  # ten a decade


def staircase(t):
    """1 until t=10, falls as t^-1 to 0.01 at t=1000, stays."""
    return np.clip(10 / np.maximum(t, 1e-9), 0.01, 1.0)


def test_staircase_has_its_two_plateaus():
    run = trajectory(TIMES, staircase(np.array(TIMES)))
    table = plateaus(run)
    assert rows(table) == [(0.0, 10.0, 1.0), (1000.0, 1e6, 0.01)]
    assert table.censored[:2].tolist() == [False, True]
    assert_close(table.dwell[:2], jnp.array([10.0, 999_000.0]))
    assert_close(table.drop[:2], jnp.array([0.99, 0.0]))
    assert not bool(table.overflow)
    assert np.all(np.isinf(table.start[2:]))
    assert np.all(table.dwell[2:] == 0)


@pytest.mark.parametrize(("power", "count"), [(0.09, 1), (0.11, 0), (-0.11, 0)])
def test_threshold_is_a_slope_in_log_log(power, count):
    losses = np.maximum(np.array(TIMES), 1e-3) ** -power
    run = trajectory(TIMES[1:], losses[1:])
    table = plateaus(run, threshold=0.1)
    assert int(table.count) == count


def test_short_flat_stretches_do_not_count():
    t = np.array(TIMES)
    late = np.maximum(t, 1)
    losses = np.where(t < 100, 1 / late, np.where(t < 300, 0.01, 3 / late))
    run = trajectory(t, losses)
    assert int(plateaus(run, min_ratio=2.0).count) == 1
    assert int(plateaus(run, min_ratio=4.0).count) == 0
    assert int(plateaus(run, min_ratio=4.0).raw_count) == 1


def test_one_slope_is_not_enough_to_see_a_plateau_from_the_start():
    assert int(plateaus(trajectory([0, 1], [1.0, 1.0])).count) == 0
    table = plateaus(trajectory([0, 1, 2], [1.0, 1.0, 1.0]))
    assert rows(table) == [(0.0, 2.0, 1.0)]
    assert bool(table.censored[0])


def test_loss_zero_is_a_plateau_and_no_nan():
    table = plateaus(trajectory([0, 1, 2, 4, 8, 16], [1.0, 0.1, 1e-3, 0, 0, 0]))
    assert rows(table) == [(4.0, 16.0, 0.0)]


def test_after_divergence_nothing_is_seen():
    losses = [1.0, 1.0, 1.0, 1.0, np.inf, np.inf]
    table = plateaus(trajectory([0, 1, 2, 4, 8, 16], losses))
    assert rows(table) == [(0.0, 4.0, 1.0)]
    assert bool(table.censored[0])
    lost = plateaus(trajectory([0, 1, 2, 4], [np.inf] * 4))
    assert int(lost.count) == 0
    for leaf in jax.tree.leaves(lost):
        assert not np.any(np.isnan(leaf))


def test_a_table_that_is_too_small_says_so():
    run = trajectory(TIMES, staircase(np.array(TIMES)))
    table = plateaus(run, max_plateaus=1)
    assert rows(table) == [(0.0, 10.0, 1.0)]
    assert bool(table.overflow)
    assert not bool(plateaus(run, max_plateaus=2).overflow)


def test_small_linear_unit_leaves_its_plateau_when_the_flow_does():
    """One balanced linear unit from size 0.003: the end of the plateau against SciPy's
    integration of the flow at tight tolerance. Saved times are 2 % apart."""
    problem = px.Problem([[1.0], [2.0]], [1.0, 2.0], normalisation="sum")
    start = np.sqrt(np.array([1e-5]))
    network = px.TwoLayer(start[:, None], np.zeros(1), start, activation="identity")
    h = 1e-4
    run = px.descend(
        problem,
        network,
        px.gradient_descent(h),
        num_steps=40_000,
        save=px.log_spaced(800),
    )

    def flow(_, theta):
        w, b, c = theta
        r = c * (w * np.array([1, 2]) + b) - np.array([1, 2])
        return [
            -c * r @ np.array([1, 2]),
            -c * r.sum(),
            -(r @ (w * np.array([1, 2]) + b)),
        ]

    times = np.asarray(run.times[1:])
    a = float(start[0])
    exact = solve_ivp(
        flow, (0, times[-1]), [a, 0, a], t_eval=times, rtol=1e-11, atol=1e-14
    )
    w, b, c = exact.y
    losses = 0.5 * ((c * (w + b) - 1) ** 2 + (c * (2 * w + b) - 2) ** 2)
    slope = np.diff(np.log(losses)) / np.diff(np.log(times))
    leaves = times[np.argmax(np.abs(slope) >= 0.1)]
    table = plateaus(run)
    assert float(table.start[0]) == 0
    assert abs(float(table.end[0]) / leaves - 1) < 0.02
    assert float(table.end[0]) > 0.5


# --- by pattern ----------------------------------------------------------------------

ON, OFF, SLIDE = px.EventKind.on, px.EventKind.off, px.EventKind.slide
LINE = ([0.0, 1.0, 2.0, 4.0, 8.0], [8.0, 7.0, 6.0, 4.0, 0.0])  # loss = 8 − t


def test_intervals_between_events():
    events = [(1.5, 0, 3, ON), (3.0, 2, 1, SLIDE), (3.0, 4, 1, OFF), (6.0, 2, 1, OFF)]
    table = plateaus(trajectory(*LINE, events, changes=70), by="pattern")
    assert rows(table) == [
        (0.0, 1.5, 6.5),
        (1.5, 3.0, 5.0),
        (3.0, 6.0, 2.0),
        (6.0, 8.0, 0.0),
    ]
    assert table.censored[:5].tolist() == [False, False, False, True, False]
    assert_close(table.drop[:4], jnp.array([1.5, 3.0, 2.0, 0.0]))
    assert int(table.raw_count) == 71


def test_no_event_is_one_censored_plateau():
    table = plateaus(trajectory(*LINE, []), by="pattern")
    assert rows(table) == [(0.0, 8.0, 0.0)]
    assert table.censored[:2].tolist() == [True, False]


def test_an_event_at_the_last_time_ends_the_plateau():
    table = plateaus(trajectory(*LINE, [(8.0, 0, 0, ON)]), by="pattern")
    assert rows(table) == [(0.0, 8.0, 0.0)]
    assert not bool(table.censored[0])


def test_beyond_a_full_table_of_events_nothing_is_claimed():
    events = [(1.0, 0, 0, ON), (2.0, 0, 1, ON)]
    run = trajectory(*LINE, events, overflow=True, room=2)
    table = plateaus(run, by="pattern")
    assert rows(table) == [(0.0, 1.0, 7.0), (1.0, 2.0, 6.0)]
    assert not np.any(table.censored)
    assert bool(table.overflow)


def test_raw_count_equals_the_patterns_of_every_step():
    """Chatter makes thousands of raw plateaus; the chatter-aware count is that of the
    exact flow's events."""
    run = px.descend(
        reference.problem_1d(),
        reference.network_1d(0),
        px.gradient_descent(0.01),
        num_steps=5_000,
        save=px.every(1),
        record={"pattern": lambda p, n: px.patterns.pattern(n, p.x)},
    )
    patterns = np.asarray(run.saved["pattern"])
    raw = 1 + np.sum(np.any(patterns[1:] != patterns[:-1], axis=(1, 2)))
    table = plateaus(run, by="pattern")
    assert int(table.raw_count) == raw
    assert raw > 4_000
    assert abs(int(table.count) - (1 + 13)) <= 2  # 13 events of the exact flow
    assert_close(np.sum(table.dwell), np.array(50.0), ulps=1e4)


def test_a_batch_gives_what_a_loop_gives():
    runs = [
        trajectory(*LINE, events, changes=9)
        for events in ([], [(1.0, 0, 0, ON)], [(1.0, 0, 0, ON), (2.0, 0, 0, SLIDE)])
    ]
    batch = stacked(runs)
    for by in ("slope", "pattern"):
        find = lambda run: px.plateaus(run, by=by)  # noqa: B023
        tables = [find(run) for run in runs]
        assert_close(jax.vmap(find)(batch), stacked(tables))


# --- bad input -----------------------------------------------------------------------


def test_smooth_networks_have_no_plateaus_by_pattern():
    with pytest.raises(ValueError, match="must have watched its patterns"):
        plateaus(trajectory(*LINE), by="pattern")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "slop"}, "must be one of pattern, slope, but is 'slop'; did you mean"),
        ({"threshold": 0.0}, "`threshold` must be positive"),
        ({"min_ratio": 0.5}, "`min_ratio` must be at least 1, but is 0.5"),
        ({"max_plateaus": 0}, "`max_plateaus` must be at least 1"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        plateaus(trajectory(*LINE), **options)
