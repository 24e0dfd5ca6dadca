"""Explanations against the closed forms of the staircase, and against exact flows."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import plateaux as px
from plateaux.patterns import cell_fit, cell_rates
from plateaux.stages import PlateauKind, at_events

from ..closeness import assert_close, lane, stacked

KEEP = {"network": lambda problem, network: network}
X = np.arange(1.0, 21.0)[:, None] / 20
PARABOLA = px.Problem(X, X[:, 0] ** 2, normalisation="sum")
START = px.TwoLayer([[1.0]], [-4.5 / 20], [1.2], [0.0, 0.0])
STEPS = (4, 5, 6, 7, 8, 9)
local_lines = eqx.filter_jit(px.patterns.local_lines)
exit_bounds = eqx.filter_jit(px.patterns.exit_bounds)

SAVED = 70  # saved times of every flow here, so that it compiles once


def train(t1, times=(), problem=PARABOLA, start=START):
    """A flow saved at these times, and at so many others that there are SAVED."""
    times = np.union1d(times, [0.0, t1])
    times = np.union1d(times, np.linspace(t1 / 2, t1 / 2 + 1, SAVED - len(times)))
    assert len(times) == SAVED
    save = px.at(times)
    return px.flow(problem, start, t1=t1, save=save, record=KEEP, max_events=32)


def train_twice(t1, **options):
    """The second time saved at the events of the first."""
    first = train(t1, np.geomspace(t1 / 1e4, t1, 30), **options)
    events = np.asarray(first.events.time)
    run = train(t1, events[np.isfinite(events)], **options)
    # a saved time that is an event's is the same number in both runs
    assert set(at_events(first).times) >= set(events[np.isfinite(events)])
    return first, run


@pytest.fixture(scope="module")
def runs():
    """One suffix neuron and an affine part on y = x²."""
    return train_twice(300.0)


@pytest.fixture(scope="module")
def staircase(runs):
    return runs[1]


@pytest.fixture(scope="module")
def table(staircase):
    return in_numpy(px.explain(PARABOLA, staircase))


def in_numpy(tree):
    """Its arrays in NumPy, whose operations compile nothing."""
    return jax.tree.map(np.asarray, tree)


def floor(left, num=20):
    """Regression lines on both sides of the kink."""
    group = lambda q: q * (q**2 - 1) * (q**2 - 4) / 180
    return 0.5 * (group(left) + group(num - left)) / 20**4


def test_the_staircase_visits_its_plateaus_in_order(table):
    assert int(table.plateaus.count) == len(STEPS)
    off = np.sum(~np.asarray(table.pattern)[: len(STEPS), 0], axis=1)
    assert off.tolist() == list(STEPS)
    np.testing.assert_allclose(
        np.asarray(table.floor)[: len(STEPS)], [floor(k) for k in STEPS], rtol=1e-10
    )
    np.testing.assert_allclose(table.floor[0], 0.0178625, rtol=1e-5)
    np.testing.assert_allclose(table.floor[5], 0.00364375, rtol=1e-10)
    assert np.all(table.kind[:6] == PlateauKind.approach)
    assert np.all(table.kind[6:] == PlateauKind.none)
    assert np.all(table.resolved[:6])


def test_the_staircase_ends_on_its_ninth_step(staircase, table):
    np.testing.assert_allclose(staircase.losses[-1], 0.00364375, rtol=1e-10)
    assert table.plateaus.censored[:6].tolist() == [False] * 5 + [True]
    assert float(table.excess_end[5]) < 1e-10
    assert bool(local_lines(PARABOLA, staircase.network).consistent[0])


@pytest.mark.slow
def test_the_last_step_is_not_the_least_loss(staircase):
    proof = px.patterns.certify(PARABOLA, staircase.network)
    np.testing.assert_allclose(proof.lower, 0.0033, rtol=1e-10)  # ten on either side


def test_every_step_ends_when_the_next_datum_goes_off(table):
    assert table.neuron[:6].tolist() == [0] * 5 + [-1]
    assert table.datum[:6].tolist() == [4, 5, 6, 7, 8, -1]
    assert table.event[:6].tolist() == [px.EventKind.off] * 5 + [-1]


def test_every_step_ends_before_it_has_to(table):
    assert np.all(table.plateaus.end[:5] <= table.latest_exit[:5])
    assert np.all(np.isfinite(table.latest_exit[:5]))
    assert np.all(np.isinf(table.latest_exit[5:]))
    # the bound is not empty: the last step takes a fair share of it
    start, end = table.plateaus.start[4], table.plateaus.end[4]
    assert (end - start) / (table.latest_exit[4] - start) > 0.1


def test_excesses_are_those_of_the_loss(staircase, table):
    times, losses = np.asarray(staircase.times), np.asarray(staircase.losses)
    for ends, excess in (
        (table.plateaus.start, table.excess_start),
        (table.plateaus.end, table.excess_end),
    ):
        at = np.searchsorted(times, np.asarray(ends[:6]))
        assert np.array_equal(times[at], ends[:6])
        expected = losses[at] / table.floor[:6] - 1
        np.testing.assert_allclose(excess[:6], expected, atol=1e-9)


def test_rates_are_between_their_bounds_and_those_of_the_loss(staircase, table):
    used = slice(0, 6)
    assert np.all(table.slowest[used] <= table.rate_start[used])
    assert np.all(table.rate_start[used] <= table.fastest[used])
    gradient = px.dynamics.evaluate(PARABOLA, START).gradient
    square = sum(np.sum(np.square(g)) for g in jax.tree.leaves(gradient))
    excess = float(staircase.losses[0]) - table.floor[0]
    np.testing.assert_allclose(table.rate_start[0], square / excess, rtol=1e-10)


def test_the_excess_stays_between_the_integrated_rates(staircase):
    """(L − L_A)(t₀) e^{−∫fastest} ≤ (L − L_A)(t) ≤ (L − L_A)(t₀) e^{−∫slowest} on the
    fourth plateau, integrals over dense times."""
    start, end = np.asarray(staircase.events.time)[[2, 3]]
    times = np.linspace(start, end, 60)
    dense = train(300.0, times)
    keep = slice(2, 60)  # strictly inside: saved times begin with 0
    cut = lambda leaf: jnp.asarray(np.asarray(leaf)[keep])
    inside = jax.tree.map(cut, dense.saved["network"])
    look = lambda net: (cell_fit(PARABOLA, net).value, cell_rates(PARABOLA, net))
    fits, rates = jax.jit(jax.vmap(look))(inside)
    level = floor(7)
    np.testing.assert_allclose(fits, level, rtol=1e-10)
    excess = np.asarray(dense.losses[keep]) - level
    step = times[1] - times[0]
    integral = lambda f: np.concatenate([[0], np.cumsum((f[1:] + f[:-1]) / 2) * step])
    falls = np.log(excess[0] / excess)
    slowest, fastest = (np.asarray(r) for r in rates[:2])
    assert np.all(integral(slowest) <= falls + 1e-12)
    assert np.all(falls <= integral(fastest) + 1e-12)
    assert falls[-1] > 1


def test_words(table):
    lines = table.describe().splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("1. 0 to 0.1918: approach to the floor 0.01786, excess")
    assert "ended when neuron 0 at datum 4 went off; had to end by 430" in lines[0]
    assert lines[5].endswith("0 of it.") or "still running" in lines[5]


def test_between_saved_times_numbers_are_those_of_the_first_and_last_inside(
    runs, table
):
    exact, rough = table, in_numpy(runs[0])
    table = in_numpy(px.explain(PARABOLA, runs[0]))
    assert not bool(table.resolved[1])
    assert "(not saved at its ends)" in table.describe()
    np.testing.assert_allclose(table.floor, exact.floor, rtol=1e-12)
    times, start, end = rough.times, table.plateaus.start[3], table.plateaus.end[3]
    inside = rough.losses[(times >= start) & (times <= end)]
    assert inside.size > 2
    excess = inside / table.floor[3] - 1
    np.testing.assert_allclose(table.excess_start[3], excess[0], rtol=1e-9)
    np.testing.assert_allclose(table.excess_end[3], excess[-1], rtol=1e-9)
    # the bound starts where the network does
    first = int(np.argmax(times >= start))
    network = lane(rough.saved["network"], first)
    bound = times[first] + float(exit_bounds(PARABOLA, network).first)
    np.testing.assert_allclose(table.latest_exit[3], bound, rtol=1e-9)
    # interpolated networks would have this plateau's rate grow sixfold
    assert list(table.kind[:6]) == [PlateauKind.approach] * 6


def test_without_networks_inside_numbers_are_interpolated():
    """And no plateau is said to be a saddle's."""
    run = train(300.0)
    table = in_numpy(px.explain(PARABOLA, run))
    assert np.all(np.isfinite(table.excess_start[:6]))
    np.testing.assert_allclose(table.excess_start[0], 0.709, atol=1e-3)
    lenient = in_numpy(px.explain(PARABOLA, run, growth=1e-9))
    assert int(lenient.kind[0]) == PlateauKind.saddle
    assert not np.any(lenient.kind[1:5] == PlateauKind.saddle)


# --- sliding, dead, saddle ------------------------------------------------------------

SINE_X = np.linspace(-1, 1, 20)[:, None]
SINE = px.Problem(SINE_X, np.sin(2 * np.pi * SINE_X[:, 0]))


@pytest.fixture(scope="module")
def slides():
    start = px.networks.he(jax.random.key(1), width=10, in_dim=1, bias="normal")
    _, run = train_twice(100.0, problem=SINE, start=start)
    return run, in_numpy(px.explain(SINE, run))


def constrained_floor(problem, on, slides):
    """Least squares with η_i·x̃_k = 0 for sliding pairs, in a basis of what is left."""
    x1 = np.concatenate([problem.x, np.ones((problem.num_data, 1))], axis=1)
    columns = []
    for i in range(len(on)):
        held = x1[np.asarray(slides[i])]
        _, s, vt = np.linalg.svd(held) if len(held) else (0, np.zeros(0), np.eye(2))
        free = vt[np.sum(s > 1e-12) :]
        columns.append((np.asarray(on[i])[:, None] * x1) @ free.T)
    matrix = np.concatenate(columns, axis=1)
    root = np.sqrt(np.asarray(problem.sample_weights))
    target = root * np.asarray(problem.y)
    best = np.linalg.lstsq(root[:, None] * matrix, target)[0]
    return 0.5 * np.sum((root * (matrix @ best) - target) ** 2)


def test_floors_of_sliding_modes(slides):
    run, table = slides
    chosen = np.flatnonzero(np.asarray(table.kind) == PlateauKind.sliding)
    assert len(chosen) > 3
    for i in chosen:
        expected = constrained_floor(SINE, table.pattern[i], table.sliding[i])
        np.testing.assert_allclose(table.floor[i], expected, rtol=1e-9)
        assert np.any(table.sliding[i])
        assert not np.any(table.sliding[i] & table.pattern[i])
    # what slides is what `slide` events began, no more
    assert int(np.max(np.sum(table.sliding, axis=(1, 2)))) <= 3
    used = slice(0, int(table.plateaus.count))
    assert np.all(table.slowest[used] <= table.rate_start[used] * (1 + 1e-9))
    assert np.all(table.rate_start[used] <= table.fastest[used])


def test_the_loss_stays_above_the_floor_of_its_mode(slides):
    run, table = slides
    times, losses = np.asarray(run.times), np.asarray(run.losses)
    for i in range(int(table.plateaus.count)):
        start, end = float(table.plateaus.start[i]), float(table.plateaus.end[i])
        within = (times >= start) & (times <= end)
        assert np.all(losses[within] >= float(table.floor[i]))
        # the mode's own residual is that of the networks
        at = np.argmin(np.abs(times - start))
        expected = losses[at] / table.floor[i] - 1
        np.testing.assert_allclose(table.excess_start[i], expected, rtol=1e-6)


def test_growth_of_one_neuron_is_the_escape_from_a_saddle():
    """Weights in the direction of the only datum that is on stay there and balanced:
    the output p = √2 c² grows logistically with k = √2/10, and −L̇/L is 2kp. All other
    neurons are dead, so that shapes are those of the sliding run."""
    x = np.append(np.linspace(-3, -2, 19), 1.0)
    problem = px.Problem(x[:, None], np.eye(20)[19])
    c, rest = 1e-3, np.ones(9)
    w = np.append(c / 2**0.5, rest)[:, None]
    start = px.TwoLayer(w, np.append(c / 2**0.5, -9 * rest), np.append(c, rest))
    run = train(100.0, problem=problem, start=start)
    table = px.explain(problem, run)
    k, small = 2**0.5 / 10, 2**0.5 * c**2
    grown = small * np.exp(100 * k) / (1 - small + small * np.exp(100 * k))
    table = in_numpy(table)
    np.testing.assert_allclose(table.rate_start[0], 2 * k * small, rtol=1e-12)
    np.testing.assert_allclose(table.rate_end[0], 2 * k * grown, rtol=1e-6)
    assert int(table.kind[0]) == PlateauKind.saddle
    assert "still running: escape from a saddle" in table.describe()
    slow = px.explain(problem, run, growth=1.01 * grown / small)
    assert int(np.asarray(slow.kind)[0]) == PlateauKind.approach


def test_dead_networks():
    start = px.TwoLayer([[1.0]], [-2.0], [1.0], [0.0, 0.0])
    table = in_numpy(px.explain(PARABOLA, train(300.0, start=start)))
    assert int(table.kind[0]) == PlateauKind.dead
    # the regression line
    x1 = np.column_stack([X, np.ones(20)])
    _, square, *_ = np.linalg.lstsq(x1, X[:, 0] ** 2)
    np.testing.assert_allclose(table.floor[0], square[0] / 2, rtol=1e-10)
    assert "all neurons dead" in table.describe()
    assert bool(table.confined[0])


# --- descent --------------------------------------------------------------------------


def descend(optimizer, num_steps=3000):
    return px.descend(
        PARABOLA,
        START,
        optimizer,
        num_steps=num_steps,
        save=px.every(1),
        record=KEEP,
        max_events=16,
    )


@pytest.mark.slow
def test_descent_with_small_steps_has_the_explanation_of_the_flow(table):
    found = in_numpy(px.explain(PARABOLA, descend(px.gradient_descent(2e-3))))
    count = int(found.plateaus.count)
    assert count == 3
    np.testing.assert_allclose(found.floor[:count], table.floor[:count], rtol=1e-10)
    assert found.datum[:2].tolist() == [4, 5]
    np.testing.assert_allclose(
        found.excess_start[:3], table.excess_start[:3], rtol=0.03
    )
    np.testing.assert_allclose(found.latest_exit[0], table.latest_exit[0], rtol=1e-6)
    assert np.all(found.resolved[:count])


def test_of_adam_only_what_holds_for_every_training_is_said():
    found = in_numpy(px.explain(PARABOLA, descend(optax.adam(1e-2))))
    count = int(found.plateaus.count)
    assert count > 1
    assert np.all(found.floor[:count] > 0)
    for column in (found.slowest, found.fastest, found.rate_start, found.rate_end):
        assert not np.any(column)
    assert np.all(np.isinf(found.latest_exit))
    assert not np.any(found.confined)


def test_a_batch_is_a_loop(staircase):
    larger = eqx.tree_at(lambda net: net.c, START, jnp.array([1.1]))
    runs = [staircase, train(300.0, staircase.events.time[:5], start=larger)]
    batch = stacked(runs)
    look = lambda run: px.explain(PARABOLA, run)
    together = eqx.filter_vmap(look)(batch)
    # the sixth plateau ends where the excess, and so its rate, is rounding
    rows = lambda tree: jax.tree.map(lambda a: np.asarray(a)[:5] if a.ndim else a, tree)
    for i, run in enumerate(runs):
        assert_close(rows(lane(together, i)), rows(look(run)), ulps=1e6)
    with pytest.raises(ValueError, match="must be that of one run to be described"):
        together.describe()


# --- bad input ------------------------------------------------------------------------


def test_refusals(staircase):
    bare = eqx.tree_at(lambda run: run.saved, staircase, {"other": jnp.ones(3)})
    with pytest.raises(ValueError, match=r"recorded its networks.*saved \['other'\]"):
        px.explain(PARABOLA, bare)
    blind = eqx.tree_at(lambda run: run.events, staircase, None)
    with pytest.raises(ValueError, match="must have watched its patterns"):
        px.explain(PARABOLA, blind)
    with pytest.raises(ValueError, match="watched its patterns, but has no events"):
        at_events(blind)
    with pytest.raises(ValueError, match="`growth` must be positive"):
        px.explain(PARABOLA, staircase, growth=0.0)
    labels = px.Problem(X, np.sign(X[:, 0] - 0.42), loss="logistic")
    with pytest.raises(ValueError, match="squared loss to have floors"):
        px.explain(labels, staircase)
