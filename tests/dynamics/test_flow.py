"""Gradient flow against SciPy's trajectories, closed forms, descent and identities.

Calls that differ in numbers only share one compiled program; most tests therefore use
the ten neurons and twenty data of the reference problem, or one neuron and two data.
"""

import dataclasses
import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import plateaux as px
from plateaux.networks import imbalance
from plateaux.networks.activations import LeakyReLU

from .. import reference
from ..closeness import lane, stacked
from ..flow_data import recipe_1d
from ..scipy_flow import reference_flow
from ..variants import most_slow

PROBLEM = reference.problem_1d()
SEEDS = reference.load("flow_seeds")["seeds"]
COLLAPSING = [int(s) for s, row in SEEDS.items() if row["num_collapse"]]


def flow(network, problem=PROBLEM, **options):
    return px.flow(problem, network, **({"t1": 50.0, "rtol": 1e-9} | options))


@ft.cache
def run_of(seed, t1=50.0):
    """The flow of a seed."""
    return flow(reference.network_1d(seed), t1=t1)


@jax.jit
def flow_batch(networks, t1, rtol):
    """Flows at once, each at its own tolerance."""
    return jax.vmap(lambda net, r: px.flow(PROBLEM, net, t1=t1, rtol=r))(networks, rtol)


def mapped(function, network):
    """The network with a NumPy function of every array."""
    new = lambda leaf: jnp.asarray(function(np.asarray(leaf)))
    return jax.tree.map(new, network)


def changed(array, place, value):
    """The array with another value at one place."""
    new = np.array(array)
    new[place] = value
    return jnp.asarray(new)


def rows(events):
    """(neuron, datum, kind) of every event."""
    count = int(events.count)
    columns = (events.neuron, events.datum, events.kind)
    neuron, datum, kind = (np.asarray(c)[:count].tolist() for c in columns)
    kinds = [px.EventKind(k).name for k in kind]
    return list(zip(neuron, datum, kinds, strict=True))


def event_times(run):
    return np.asarray(run.events.time)[: int(run.events.count)]


def two_layer(v, c, p=None, **options):
    v = np.asarray(v, float)
    p = None if p is None else np.asarray(p, float)
    return px.TwoLayer(v[:, :-1], v[:, -1], np.asarray(c, float), p, **options)


def inner_weights(network):
    return np.column_stack([network.w, network.b])


def all_finite(tree):
    leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    return all(np.all(np.isfinite(leaf)) for leaf in leaves)


def same_run(a, b, tol):
    """Same events, and times, losses and parameters within `tol`."""
    assert rows(a.events) == rows(b.events)
    np.testing.assert_allclose(event_times(a), event_times(b), rtol=0, atol=tol)
    np.testing.assert_allclose(a.losses, b.losses, rtol=0, atol=tol)
    assert reference.distance(a.network, b.network) < tol


# --- reference values ----------------------------------------------------------------


def test_the_call_of_the_documentation():
    rng = np.random.default_rng(0)
    w, b, c = rng.normal(size=10), 0.5 * rng.normal(size=10), rng.normal(size=10)
    x = np.linspace(-1, 1, 20)
    problem = px.Problem(x[:, None], np.sin(2 * np.pi * x))
    net = px.TwoLayer(w=w[:, None], b=b, c=c / np.sqrt(10))
    run = px.flow(problem, net, t1=50.0, rtol=1e-9, atol=1e-12)
    assert abs(float(run.losses[-1]) / 1.693887826073e-01 - 1) < 1e-8
    assert int(run.events.count) == 13
    expected = [
        (0.890317056, 1, 10, "off"),
        (1.407027027, 1, 9, "off"),
        (2.068054484, 1, 8, "off"),
        (4.340318360, 1, 7, "slide"),
        (5.190767970, 6, 12, "slide"),
        (5.451984073, 6, 12, "off"),
    ]
    assert rows(run.events)[:6] == [row[1:] for row in expected]
    times = [row[0] for row in expected]
    np.testing.assert_allclose(event_times(run)[:6], times, rtol=0, atol=1e-8)
    assert float(run.accuracy.balancedness) < 1e-9
    assert bool(run.outcome == px.Outcome.completed)
    assert not bool(run.events.overflow)
    assert run.time_unit == "flow time of L = Σ ½ r² / K"


def agrees(run, stored, loss, sliding_time, v, c):
    assert bool(run.outcome == px.Outcome.completed)
    assert abs(float(run.losses[-1]) / loss - 1) < 1e-8
    expected = zip(stored["neuron"], stored["datum"], stored["kind"], strict=True)
    # One event may change several modes at one time, in no order of their own.
    times = np.asarray(stored["times"])
    moment = np.cumsum(np.diff(times, prepend=times[0]) > 1e-9).tolist()
    assert len(rows(run.events)) == len(moment)
    in_order = lambda rows: sorted(zip(moment, rows, strict=True))
    assert in_order(rows(run.events)) == in_order(expected)
    np.testing.assert_allclose(event_times(run), stored["times"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(inner_weights(run.network), v, rtol=0, atol=1e-7)
    np.testing.assert_allclose(run.network.c, c, rtol=0, atol=1e-7)
    assert abs(float(run.stats.sliding_time) - sliding_time) < 1e-6


def agrees_with_stored(name, **options):
    stored = reference.load(name)
    problem = px.Problem(np.array(stored["x"]), np.array(stored["y"]))
    start = two_layer(stored["v0"], stored["c0"])
    run = flow(start, problem, t1=stored["t1"], **options)
    events, final = stored["events"], stored["final"]
    columns = {k: [event[k] for event in events] for k in ("neuron", "datum", "kind")}
    columns["times"] = [event["time"] for event in events]
    sliding = stored["time_sliding"]
    agrees(run, columns, final["loss"], sliding, final["v"], final["c"])
    return run


@pytest.mark.parametrize(
    "name",
    [
        "flow_1d_seed0",
        "flow_1d_seed3",
        "flow_2d_seed0",
    ],
)
def test_agrees_with_the_stored_trajectories(name):
    agrees_with_stored(name)


def test_the_stiff_method_agrees_with_a_stored_trajectory():
    assert int(agrees_with_stored("flow_1d_seed0", method="stiff").stats.num_stiff) > 0


def start_of(case):
    activation = LeakyReLU(case["slope"]) if case["slope"] else "relu"
    return two_layer(case["v0"], case["c0"], case["p0"], activation=activation)


@pytest.mark.parametrize(
    "name",
    most_slow(["d3", "d5", "d10", "leaky", "affine", "together"], ["together"]),
)
def test_agrees_in_more_inputs_and_with_leaks_weights_and_an_affine_part(name):
    case = reference.load("flow_nd")["cases"][name]
    x, y = np.array(case["x"]), np.array(case["y"])
    weights = case["weights"] and np.array(case["weights"])
    run = flow(start_of(case), px.Problem(x, y, weights=weights), t1=case["t1"])
    v = np.reshape(case["v"], np.shape(case["v0"]))
    agrees(run, case, case["loss"], case["sliding_time"], v, case["c"])
    if case["p"] is not None:
        np.testing.assert_allclose(run.network.p, case["p"], rtol=0, atol=1e-7)


def agrees_with_seeds(runs, seeds):
    assert all(bool(run.outcome == px.Outcome.completed) for run in runs)
    table = [SEEDS[str(seed)] for seed in seeds]
    expected = np.array([row["loss"] for row in table])
    np.testing.assert_allclose([r.losses[-1] for r in runs], expected, rtol=1e-8)
    for i, (run, row) in enumerate(zip(runs, table, strict=True)):
        kinds = [kind for _, _, kind in rows(run.events)]
        for kind in ("on", "off", "slide", "collapse"):
            assert kinds.count(kind) == row[f"num_{kind}"], (i, kind)
        assert abs(float(run.stats.sliding_time) - row["sliding_time"]) < 1e-6
        if "v" in row:
            v = inner_weights(run.network).ravel()
            np.testing.assert_allclose(v, row["v"], rtol=0, atol=1e-7)
            np.testing.assert_allclose(run.network.c, row["c"], rtol=0, atol=1e-7)


def test_agrees_over_seeds():
    agrees_with_seeds(list(map(run_of, range(32))), range(32))


@pytest.mark.slow
def test_agrees_over_all_seeds():
    for first in range(0, 256, 32):
        seeds = range(first, first + 32)
        # seed 125 ends a slide so slowly that 1e-9 in θ is 1e-6 in that time
        networks = stacked([reference.network_1d(s) for s in seeds])
        runs = flow_batch(networks, 50.0, np.full(32, 1e-10))
        agrees_with_seeds([lane(runs, i) for i in range(32)], seeds)


@pytest.mark.slow
def test_no_seed_fails_to_reach_a_long_horizon():
    for first in range(0, 256, 32):
        nets = stacked([reference.network_1d(s) for s in range(first, first + 32)])
        runs = flow_batch(nets, 2000.0, np.full(32, 1e-9))
        assert bool(np.all(runs.outcome == px.Outcome.completed))
        assert np.max(runs.accuracy.balancedness) < 1e-8
        assert np.max(np.abs(runs.accuracy.energy_residual)) < 1e-8
        assert np.max(np.diff(runs.losses, axis=1)) < 1e-14


def test_saved_networks_lie_on_the_trajectory():
    stored = reference.load("flow_1d_seed0")
    times = [sample["time"] for sample in stored["samples"]]
    # as many as px.log_spaced(200) saves: another number is another program
    times = np.union1d(times, np.linspace(1e-3, 1e-2, 200 - len({0.0, *times, 50.0})))
    save, record = px.at(times), {"network": lambda _, net: net}
    run = flow(reference.network_1d(0), save=save, record=record)
    place = {float(t): i for i, t in enumerate(np.asarray(run.times))}
    assert sorted(place) == sorted({0.0, *times, 50.0})
    assert len(place) == 200
    for sample in stored["samples"]:
        net = lane(run.saved["network"], place[sample["time"]])
        np.testing.assert_allclose(inner_weights(net), sample["v"], rtol=0, atol=1e-7)
        np.testing.assert_allclose(net.c, sample["c"], rtol=0, atol=1e-7)
        loss = float(run.losses[place[sample["time"]]])
        assert abs(loss / sample["loss"] - 1) < 1e-8
    assert np.all(np.diff(run.steps) >= 0)
    assert int(run.steps[-1]) == int(run.stats.num_steps)


# --- closed forms --------------------------------------------------------------------

# The data x = ±1 have Σ q x̃ x̃ᵀ = 1. With both active and y = a* u·x̃, a neuron that
# starts along u stays there: v = ν u, and a = c ν follows a' = −√(C² + 4a²)(a − a*).
ALONG, TARGET = np.array([0.6, 0.8]), 2.0
TWO_DATA = px.Problem(
    np.array([[-1.0], [1.0]]), TARGET * (0.8 + 0.6 * np.array([-1.0, 1.0]))
)


def product(c, nu, t):
    """The product a(t) = c ν in closed form."""
    a, imbalance_ = c * nu, c**2 - nu**2
    if imbalance_ == 0:
        return TARGET / (1 + (TARGET / a - 1) * np.exp(-2 * TARGET * t))
    size = abs(imbalance_)
    u, u_end = (np.arcsinh(2 * value / size) for value in (a, TARGET))
    ratio = (np.exp(u) - np.exp(u_end)) / (np.exp(u) + np.exp(-u_end))
    ratio = ratio * np.exp(-np.hypot(imbalance_, 2 * TARGET) * t)
    grown = (np.exp(u_end) + ratio * np.exp(-u_end)) / (1 - ratio)
    return size / 2 * np.sinh(np.log(grown))


@pytest.mark.parametrize(("c", "nu"), [(0.9, 0.2), (0.3, 0.3), (0.2, 0.9), (2.5, 1.5)])
def test_one_neuron_with_all_data_active_follows_its_closed_form(c, nu):
    run = flow(two_layer([nu * ALONG], [c]), TWO_DATA, t1=3.0)
    a = product(c, nu, np.asarray(run.times))
    np.testing.assert_allclose(run.losses, (a - TARGET) ** 2 / 2, rtol=0, atol=1e-9)
    v = inner_weights(run.network)[0]
    np.testing.assert_allclose(v @ ALONG * float(run.network.c[0]), a[-1], rtol=1e-9)
    assert abs(v[0] * 0.8 - v[1] * 0.6) < 1e-14
    assert int(run.events.count) == 0


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-9, 1e-12])
def test_a_plateau_of_any_length_ends_on_time(size):
    """The product reaches half its target at t = log(a*/a_0 − 1)/(2 a*)."""
    end = np.log(TARGET / size**2 - 1) / (2 * TARGET)
    run = flow(two_layer([size * ALONG], [size]), TWO_DATA, t1=end)
    v, c = inner_weights(run.network)[0], float(run.network.c[0])
    assert abs(v @ ALONG * c / (TARGET / 2) - 1) < 1e-7


@pytest.mark.slow
def test_small_networks_leave_their_plateau_on_time():
    """At small size v' = c g, c' = v·g with g fixed: all grows like exp(|g| t)."""
    x = jnp.array([[0.5], [0.7], [1.0], [1.2], [1.5]])
    problem = px.Problem(x, jnp.array([1.0, 0.4, 1.1, 0.9, 1.6]))
    x1 = np.column_stack([x, np.ones(5)])
    g = x1.T @ np.asarray(problem.y) / 5
    rate = np.linalg.norm(g)
    v = np.array([[0.7, 0.2], [0.1, 0.6], [0.9, 0.3]])
    c = np.array([0.5, 0.8, 0.2])

    def linear(size, t):
        along = v @ g / rate
        grown = along * (np.cosh(rate * t) - 1) + c * np.sinh(rate * t)
        end = c * np.cosh(rate * t) + along * np.sinh(rate * t)
        return size**2 * end @ ((v + np.outer(grown, g / rate)) @ x1[2])

    sizes = np.array([1e-3, 1e-5, 1e-7, 1e-9, 1e-12])
    fraction, low, high = 1e-3, np.zeros(5), np.full(5, 50.0)
    for _ in range(60):
        middle = (low + high) / 2
        above = [linear(s, t) > fraction for s, t in zip(sizes, middle, strict=True)]
        low, high = np.where(above, low, middle), np.where(above, middle, high)

    def output(size, t1):
        start = two_layer(v, c)
        start = jax.tree.map(lambda leaf: size * leaf, start)
        run = px.flow(problem, start, t1=t1, rtol=1e-6)
        return px.outputs(run.network, x)[2], run.events.count

    outputs, counts = jax.jit(jax.vmap(output))(jnp.asarray(sizes), jnp.asarray(low))
    late = np.log(np.asarray(outputs) / fraction) / (2 * rate)
    assert np.max(np.abs(late) / low) < 1e-3
    assert np.all(np.asarray(counts) == 0)


# --- the limit of gradient descent ---------------------------------------------------


@ft.partial(jax.jit, static_argnums=2)
def descents(networks, step_size, num_steps):
    """The networks after 1/100, 1/10 and all of the steps, on the reference problem."""
    method = px.gradient_descent(step_size)
    options = {"num_steps": num_steps, "save": px.every(num_steps // 100)}
    options["record"] = {"network": lambda _, net: net}
    run = lambda net: px.descend(PROBLEM, net, method, **options).saved["network"]
    pick = lambda leaf: leaf[:, np.array([1, 10, 100])]
    return jax.tree.map(pick, jax.vmap(run)(networks))


def test_descent_converges_to_the_flow_at_first_order():
    chosen = [seed for seed in range(20) if seed not in COLLAPSING]
    starts = stacked([reference.network_1d(seed) for seed in chosen])
    exact = [run_of(seed, 10.0).network for seed in chosen]
    errors = []
    for i, h in enumerate((1e-1, 1e-2, 1e-3)):
        networks = descents(starts, h, 10_000)
        last = [lane(networks, (k, i)) for k in range(len(chosen))]
        errors.append(list(map(reference.distance, last, exact)))
    ratios = np.array(errors)[:-1] / np.array(errors)[1:]
    assert np.all((np.median(ratios, axis=1) > 5) & (np.median(ratios, axis=1) < 20))
    # One constant for all of them, once steps are too small to change what happens.
    assert np.all(np.max(errors[1:], axis=1) < np.array([1e-2, 1e-3]))


@pytest.mark.slow
def test_descent_converges_to_the_flow_in_two_dimensions():
    stored = reference.load("flow_2d_seed0")
    problem = px.Problem(np.array(stored["x"]), np.array(stored["y"]))
    start = two_layer(stored["v0"], stored["c0"])
    exact = flow(start, problem, t1=30.0).network
    size = reference.distance(exact, mapped(np.zeros_like, exact))
    errors = [
        reference.distance(
            px.descend(
                problem, start, px.gradient_descent(h), num_steps=round(30 / h)
            ).network,
            exact,
        )
        / size
        for h in (1e-2, 1e-3)
    ]
    np.testing.assert_allclose(errors, [2.4e-4, 2.6e-5], rtol=0.05)


# --- symmetries and identities -------------------------------------------------------


def renamed(events, neuron=None, datum=None):
    """The rows with neurons and data under their new numbers."""
    name = lambda table, i: i if table is None else int(np.flatnonzero(table == i)[0])
    return [(name(neuron, i), name(datum, k), kind) for i, k, kind in rows(events)]


def equal_up_to_names(run, other, neuron=None, datum=None):
    assert rows(other.events) == renamed(run.events, neuron, datum)
    np.testing.assert_allclose(event_times(other), event_times(run), atol=1e-9)
    np.testing.assert_allclose(other.losses, run.losses, rtol=1e-9)
    order = np.arange(10) if neuron is None else neuron
    expected = mapped(lambda leaf: leaf[order], run.network)
    assert reference.distance(other.network, expected) < 1e-8


@pytest.mark.parametrize("seed", [0, 3])
def test_permuting_neurons_renames_them_and_nothing_else(seed):
    order = np.random.default_rng(1).permutation(10)
    other = flow(mapped(lambda leaf: leaf[order], reference.network_1d(seed)))
    equal_up_to_names(run_of(seed), other, neuron=order)


@pytest.mark.parametrize("seed", [0, 3])
def test_permuting_data_renames_them_and_nothing_else(seed):
    order = np.random.default_rng(1).permutation(20)
    x, y = (np.asarray(a)[order] for a in (PROBLEM.x, PROBLEM.y))
    other = flow(reference.network_1d(seed), px.Problem(x, y))
    equal_up_to_names(run_of(seed), other, datum=order)


@pytest.mark.parametrize("seed", [0, 3])
def test_reflecting_inputs_reflects_the_weights(seed):
    flip = lambda w: jnp.asarray(-np.asarray(w))
    mirror = lambda net: eqx.tree_at(lambda n: n.w, net, replace_fn=flip)
    start, x = mirror(reference.network_1d(seed)), -np.asarray(PROBLEM.x)
    other = flow(start, px.Problem(x, PROBLEM.y))
    other = eqx.tree_at(lambda r: r.network, other, mirror(other.network))
    equal_up_to_names(run_of(seed), other)


def test_the_loss_falls_and_the_monitors_are_small():
    for seed in range(32):
        run, start = run_of(seed), reference.network_1d(seed)
        assert np.max(np.diff(run.losses)) < 1e-14
        assert abs(float(run.accuracy.energy_residual)) < 1e-9
        assert float(run.accuracy.balancedness) < 1e-8
        assert float(run.accuracy.slide_distance) < 1e-12
        # the monitor is what it says it is
        ends = (np.asarray(imbalance(network)) for network in (run.network, start))
        drift = np.max(np.abs(np.subtract(*ends)))
        np.testing.assert_allclose(run.accuracy.balancedness, drift, atol=1e-15)


def test_events_are_in_order_and_follow_from_one_another():
    """Every event starts from the mode in which the pair's last one ended."""
    for i in range(32):
        run, start = run_of(i), reference.network_1d(i)
        z = inner_weights(start) @ np.column_stack([PROBLEM.x, np.ones(20)]).T
        kind = np.where(z > 0, px.EventKind.on, px.EventKind.off)
        assert np.all(np.diff(event_times(run)) >= 0)
        previous = np.asarray(run.events.previous)
        for (neuron, datum, name), before in zip(
            rows(run.events), previous, strict=False
        ):
            assert kind[neuron, datum] == before
            if name == "collapse":
                kind[neuron] = px.EventKind.off
            else:
                kind[neuron, datum] = px.EventKind[name]
        # and the modes at the end are the signs of the last pre-activations
        z = inner_weights(run.network) @ np.column_stack([PROBLEM.x, np.ones(20)]).T
        assert np.all(np.abs(z[kind == px.EventKind.slide]) < 1e-12)
        assert np.all(z[kind == px.EventKind.on] > -1e-12)
        assert np.all(z[kind == px.EventKind.off] < 1e-12)
        unused = np.asarray(run.events.time)[int(run.events.count) :]
        assert np.all(np.isinf(unused))
        assert np.all(np.asarray(run.events.kind)[int(run.events.count) :] == -1)


EVERY_RTOL = [1e-4, 1e-6, 1e-9, 1e-11]


@ft.cache
def batch():
    """Seeds 0 to 3, then seed 3 at all tolerances: networks, tolerances, flows."""
    starts = stacked([reference.network_1d(seed) for seed in (0, 1, 2, 3, 3, 3, 3, 3)])
    rtol = np.array([1e-9] * 4 + EVERY_RTOL)
    return starts, rtol, flow_batch(starts, 50.0, rtol)


def test_a_batch_is_its_members():
    for seed in range(4):
        same_run(lane(batch()[2], seed), run_of(seed), 1e-12)


def test_the_error_follows_the_tolerance():
    """At one order of the series, that of a traced tolerance."""
    runs = [lane(batch()[2], i) for i in range(4, 8)]
    follows_tolerance([run.network for run in runs], 3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 3])
def test_the_error_follows_the_tolerance_at_every_order(seed):
    runs = [flow(reference.network_1d(seed), rtol=rtol) for rtol in EVERY_RTOL]
    follows_tolerance([run.network for run in runs], seed)


def follows_tolerance(networks, seed):
    exact = reference.final_network(reference.load(f"flow_1d_seed{seed}"))
    errors = np.array([reference.distance(network, exact) for network in networks])
    assert np.all(np.diff(errors) < 0)
    assert np.all(errors < 10 * np.array(EVERY_RTOL))


# --- degenerate events ---------------------------------------------------------------


def start_on_boundary(y):
    """One neuron with its kink at the datum x = 0; the other datum x = 1 is on."""
    problem = px.Problem(np.array([[0.0], [1.0]]), np.array(y))
    run = flow(two_layer([[1.0, 0.0]], [1.0]), problem, t1=0.5)
    exact = reference_flow(problem.x, y, [[1.0, 0.0]], [1.0], 0.5)
    assert bool(run.outcome == px.Outcome.completed)
    return run, exact


@pytest.mark.parametrize(
    ("y", "first"),
    [
        ([-4.0, 3.0], (0, 0, "slide")),  # attracting
        ([4.0, 3.0], (0, 0, "on")),  # crossing upwards
        ([-4.0, 0.5], None),  # both velocities downwards
    ],
)
def test_a_start_on_a_boundary_is_classified(y, first):
    run, exact = start_on_boundary(y)
    at_start = [
        row for row, t in zip(rows(run.events), event_times(run), strict=True) if t == 0
    ]
    assert at_start == ([] if first is None else [first])
    assert int(run.stats.num_ambiguous) == 0
    names = [kind for _, _, kind in rows(run.events)]
    assert names == exact["kind"]
    np.testing.assert_allclose(event_times(run), exact["times"], atol=1e-7)
    np.testing.assert_allclose(inner_weights(run.network), exact["v"], atol=1e-8)
    np.testing.assert_allclose(run.network.c, exact["c"], atol=1e-8)


def test_a_start_on_a_repelling_boundary_is_flagged_and_stays_off():
    run, _ = start_on_boundary([4.0, 0.5])
    assert int(run.stats.num_ambiguous) == 1
    assert int(run.events.count) == 0
    assert float(run.network.b[0]) < 0


def test_a_neuron_that_leaves_the_data_dies_and_rests():
    problem = px.Problem(np.array([[0.0], [1.0]]), np.array([0.0, -5.0]))
    start = two_layer([[1.0, -0.5]], [0.5])
    run, longer = (flow(start, problem, t1=t1) for t1 in (5.0, 500.0))
    assert rows(run.events) == [(0, 1, "off")]
    assert bool(run.events.dies[0])
    # v moves along (1, 1) to (0.75, −0.75), where the datum is lost
    np.testing.assert_allclose(inner_weights(run.network), [[0.75, -0.75]], atol=1e-9)
    assert abs(float(run.network.c[0]) ** 2 - (2 * 0.75**2 - 1)) < 1e-9
    same_network(longer.network, run.network)
    assert float(run.losses[-1]) == 25 / 4


def same_network(a, b):
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=0, atol=1e-9)


def test_a_neuron_collapses_for_good():
    run = run_of(2)
    at = [kind for _, _, kind in rows(run.events)].index("collapse")
    neuron = rows(run.events)[at][0]
    assert bool(run.events.dies[at])
    assert neuron not in [i for i, _, _ in rows(run.events)[at + 1 :]]
    np.testing.assert_array_equal(inner_weights(run.network)[neuron], 0)
    # all that is left is the conserved imbalance
    start = reference.network_1d(2)
    left = np.asarray(imbalance(start))[neuron]
    assert abs(np.asarray(run.network.c)[neuron] ** 2 - left) < 1e-9
    assert int(run.stats.num_ambiguous) >= 1


def test_a_neuron_without_inner_weights_stays_dead():
    start = reference.network_1d(0)
    zero = (changed(start.w, 4, 0.0), changed(start.b, 4, 0.0))
    run = flow(eqx.tree_at(lambda n: (n.w, n.b), start, zero))
    assert bool(run.outcome == px.Outcome.completed)
    np.testing.assert_array_equal(inner_weights(run.network)[4], 0)
    assert np.asarray(run.network.c)[4] == np.asarray(start.c)[4]
    assert 4 not in [i for i, _, _ in rows(run.events)]
    others = np.delete(np.arange(10), 4)
    x, y, v, c = recipe_1d(0)
    exact = reference_flow(x, y, v[others], c[others], 50.0, rtol=1e-10)
    v = inner_weights(run.network)[others]
    np.testing.assert_allclose(v, exact["v"], rtol=0, atol=1e-7)


def test_mirrored_networks_stay_mirrored():
    """Y even, neurons in pairs (±w, b, c): events come in pairs at equal times."""
    rng = np.random.default_rng(5)
    w, b, c = rng.normal(size=5), 0.5 * rng.normal(size=5), rng.normal(size=5)
    both = lambda a, sign: np.concatenate([a, sign * a])
    start = px.TwoLayer(both(w, -1)[:, None], both(b, 1), both(c, 1) / np.sqrt(10))
    x = np.asarray(PROBLEM.x)
    run = flow(start, px.Problem(x, np.cos(np.pi * x[:, 0])))
    assert bool(run.outcome == px.Outcome.completed)
    assert int(run.events.count) > 4
    w, b, c = (np.asarray(a) for a in (run.network.w, run.network.b, run.network.c))
    np.testing.assert_allclose(w[:5], -w[5:], atol=1e-8)
    np.testing.assert_allclose(b[:5], b[5:], atol=1e-8)
    np.testing.assert_allclose(c[:5], c[5:], atol=1e-8)
    seen = {
        (i, k, kind, round(t, 6))
        for (i, k, kind), t in zip(rows(run.events), event_times(run), strict=True)
    }
    assert seen == {((i + 5) % 10, 19 - k, kind, t) for i, k, kind, t in seen}


def test_equal_data_are_as_one_with_their_weights():
    case = reference.load("flow_nd")["cases"]["together"]
    twice = np.insert(np.arange(20), 12, 11)  # datum 11 again, as 12
    x, y, weights = (np.array(case[k])[twice] for k in ("x", "y", "weights"))
    weights[[11, 12]] *= [0.25, 0.75]
    problem = px.Problem(x, y, weights=weights)
    run = flow(start_of(case), problem, t1=case["t1"])
    assert float(run.losses[-1]) == float(px.loss(problem, run.network))
    datum = np.delete(np.arange(21), 12)[case["datum"]]
    v = np.reshape(case["v"], np.shape(case["v0"]))
    renumbered = case | {"datum": datum.tolist()}
    agrees(run, renumbered, case["loss"], case["sliding_time"], v, case["c"])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 3])
def test_equal_data_count_twice(seed):
    x, y, v, c = recipe_1d(seed)
    twice = lambda a: np.concatenate([a[:12], a[11:19]])  # datum 11 again, as 12
    problem = px.Problem(twice(x), twice(y))
    run = flow(two_layer(v, c), problem)
    assert float(run.losses[-1]) == float(px.loss(problem, run.network))
    weights = np.full(19, 1 / 20)
    weights[11] *= 2
    merged = px.Problem(x[:19], y[:19], weights=weights)
    number = lambda k: k + (k > 11)
    expected = rows(flow(two_layer(v, c), merged).events)
    assert rows(run.events) == [(i, number(k), kind) for i, k, kind in expected]
    exact = reference_flow(x[:19], y[:19], v, c, 50.0, weights=weights, rtol=1e-10)
    assert bool(run.outcome == px.Outcome.completed)
    assert abs(float(run.losses[-1]) / exact["loss"] - 1) < 1e-8
    np.testing.assert_allclose(inner_weights(run.network), exact["v"], atol=1e-7)


# --- long plateaus -------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_long_horizons_cost_little_more(seed):
    start = reference.network_1d(seed)
    runs = [flow(start, t1=t1) for t1 in (1e3, 1e6, 1e9)]
    for run in runs:
        assert bool(run.outcome == px.Outcome.completed)
        assert float(run.accuracy.balancedness) < 1e-8
        assert abs(float(run.accuracy.energy_residual)) < 1e-8
        assert np.max(np.diff(run.losses)) < 1e-14
    steps = [int(run.stats.num_steps) for run in runs]
    assert steps[2] <= 2 * steps[0]
    assert int(runs[0].stats.num_stiff) > 0


@pytest.mark.slow
def test_the_stiff_method_agrees_with_the_explicit_one():
    for seed in (0, 1):
        start = reference.network_1d(seed)
        methods = ("stiff", "explicit")
        # a kink that leaves its datum slowly does so at a badly conditioned time
        both = [flow(start, t1=300.0, rtol=1e-11, method=m) for m in methods]
        assert int(both[0].stats.num_stiff) > 0
        assert int(both[1].stats.num_stiff) == 0
        same_run(*both, 1e-7)


# --- other losses --------------------------------------------------------------------

SLOPES = {
    "logistic": lambda f, y: -y / (1 + np.exp(y * f)),
    "exponential": lambda f, y: -y * np.exp(-y * f),
}


@pytest.mark.parametrize(
    "loss", ["logistic", pytest.param("exponential", marks=pytest.mark.slow)]
)
def test_other_losses(loss):
    """Before the first event against SciPy, and through events against descent."""
    x = np.array([[-1.0], [-0.6], [-0.1], [0.3], [0.8], [1.0]])
    y = np.array([-1.0, -1.0, 1.0, 1.0, -1.0, -1.0])
    v = np.array([[1.0, 0.5], [-0.8, 0.25], [0.5, -0.35], [-0.3, -0.1]])
    c = np.array([0.4, 0.3, -0.5, 0.6])
    problem, start = px.Problem(x, y, loss=loss), two_layer(v, c)
    run = flow(start, problem, t1=5.0)
    assert bool(run.outcome == px.Outcome.completed)
    assert int(run.events.count) >= 2
    assert abs(float(run.accuracy.energy_residual)) < 1e-9
    assert float(run.accuracy.balancedness) < 1e-9
    # --- the smooth piece up to the first event ---
    end = 0.999 * float(run.events.time[0])
    piece = flow(start, problem, t1=end)
    assert int(piece.events.count) == 0
    x1 = np.column_stack([x, np.ones(6)])

    def velocity(_, state):
        v, c = state[:8].reshape(4, 2), state[8:]
        z = v @ x1.T
        e = SLOPES[loss](c @ np.maximum(z, 0), y) / 6
        return np.append(-c[:, None] * ((z > 0) * e @ x1), -np.maximum(z, 0) @ e)

    exact = solve_ivp(
        velocity, (0, end), np.append(v, c), "DOP853", rtol=1e-12, atol=1e-14
    ).y[:, -1]
    np.testing.assert_allclose(
        np.append(inner_weights(piece.network), piece.network.c), exact, atol=1e-8
    )
    # --- the whole of it ---
    options = {"num_steps": 5000, "save": px.every(500)}
    options["record"] = {"network": lambda _, net: net}
    errors = []
    for h, row in ((1e-2, 1), (1e-3, 10)):
        descent = px.descend(problem, start, px.gradient_descent(h), **options)
        last = lane(descent.saved["network"], row)
        errors.append(reference.distance(last, run.network))
    assert errors[1] < 1e-2
    assert 5 < errors[0] / errors[1] < 20


# --- runs that end early -------------------------------------------------------------


MANY = px.Outcome.too_many_events
SOME = np.append(np.arange(0, 200, 8), 199)  # of the saved times: few, for long steps


def limited(seed, times):
    """A run of twelve steps and four events at most."""
    limits = {"max_events": 4, "max_steps": 12, "method": "explicit"}
    start, save = reference.network_1d(seed), px.at(times)
    return flow(start, t1=times[-1], save=save, **limits)


def test_a_table_that_is_just_full_is_no_failure():
    run = limited(3, np.linspace(0, 0.999 * event_times(run_of(3))[4], len(SOME)))
    assert bool(run.outcome == px.Outcome.completed)
    assert int(run.events.count) == 4


def test_runs_that_end_early_keep_what_they_have():
    times = np.asarray(run_of(3).times)[SOME]
    run = limited(4, times)
    ended = [bool(run.outcome == o) for o in (px.Outcome.out_of_steps, MANY)]
    assert ended == [True, False]
    assert int(run.stats.num_steps) + int(run.stats.num_rejected) == 12
    kept_up_to(run, run_of(4), times[np.isfinite(run.losses)][-1])
    run, whole = limited(3, times), run_of(3)
    assert bool(run.outcome == MANY)
    assert bool(run.events.overflow)
    assert int(run.events.count) == 4
    assert rows(run.events) == rows(whole.events)[:4]
    kept_up_to(run, whole, event_times(whole)[4])


def kept_up_to(run, whole, stop):
    before = np.asarray(run.times) <= stop
    losses, expected = np.asarray(run.losses), np.asarray(whole.losses)[SOME]
    np.testing.assert_allclose(losses[before], expected[before], rtol=1e-9)
    assert np.all(np.isinf(losses[~before]))
    assert np.any(~before)
    assert all_finite(run.network)
    assert np.all(np.diff(run.steps) >= 0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_start_that_is_not_finite_diverges_without_nan(value):
    start = reference.network_1d(0)
    start = eqx.tree_at(lambda n: n.c, start, changed(start.c, 3, value))
    run = flow(start)
    assert bool(run.outcome == px.Outcome.diverged)
    assert not np.any(np.isnan(run.losses))
    assert int(run.events.count) == 0
    assert int(run.stats.num_steps) == 0


def test_a_start_that_overflows_diverges_without_nan():
    run = flow(mapped(lambda leaf: 1e200 * leaf, reference.network_1d(0)))
    assert not bool(run.outcome == px.Outcome.completed)
    assert not np.any(np.isnan(run.losses))
    assert all_finite(run.network)


def test_a_bad_member_leaves_its_batch_alone():
    starts, rtol, runs = batch()
    bad = eqx.tree_at(lambda n: n.b, starts, changed(starts.b, (5, 0), np.nan))
    others = flow_batch(bad, 50.0, rtol)
    assert bool(lane(others, 5).outcome == px.Outcome.diverged)
    keep = np.delete(np.arange(8), 5)
    for p, q in zip(jax.tree.leaves(others), jax.tree.leaves(runs), strict=True):
        np.testing.assert_array_equal(np.asarray(p)[keep], np.asarray(q)[keep])


@pytest.mark.parametrize("t1", [0.0, -1.0, np.nan, np.inf])
def test_the_horizon_must_be_positive(t1):
    with pytest.raises(ValueError, match="`t1` must be positive"):
        flow(reference.network_1d(0), t1=t1)


@pytest.mark.parametrize("rtol", [1e-17, 0.0, -1e-6, 1.0, 2.0, np.nan])
def test_tolerances_the_precision_cannot_honour_are_refused(rtol):
    with pytest.raises(ValueError, match="`rtol` must be from 3.6e-15, the finest"):
        flow(reference.network_1d(0), rtol=rtol)


def single(tree):
    return mapped(lambda leaf: leaf.astype(np.float32), tree)


def test_tolerances_of_single_precision_are_coarser():
    with pytest.raises(ValueError, match="finest that float32 can honour"):
        flow(single(reference.network_1d(0)), single(PROBLEM), rtol=1e-9)


@pytest.mark.parametrize("atol", [-1e-12, np.nan, np.inf])
def test_bad_absolute_tolerances_are_refused(atol):
    with pytest.raises(ValueError, match="`atol` must be finite and not negative"):
        flow(reference.network_1d(0), atol=atol)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"save": px.every(10)}, r"use px.at\(times\) or px.log_spaced\(num\)"),
        ({"save": 200}, "`save` must be a schedule such as px.log_spaced"),
        ({"save": px.at([99.0])}, "must end by the end of the flow, 50.0"),
        ({"max_events": 0}, "`max_events` must be at least 1, but is 0"),
        ({"max_steps": 0}, "`max_steps` must be at least 1, but is 0"),
        ({"max_steps": 1e4}, "`max_steps` must be an integer"),
        ({"method": "stif"}, "stiff"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        flow(reference.network_1d(0), **options)


def test_networks_and_losses_without_a_flow_are_refused():
    net = reference.network_1d(0)
    step = px.TwoLayer(net.w, net.b, net.c, activation="step")
    with pytest.raises(ValueError, match="to have a gradient flow, but is a TwoLayer"):
        flow(step)
    labels = np.eye(2)[np.arange(20) % 2]
    with pytest.raises(ValueError, match=r"cross|scalar|output|CrossEntropy"):
        flow(net, px.Problem(PROBLEM.x, labels, loss="cross_entropy"))
    with pytest.raises(ValueError, match="as many inputs as the problem"):
        flow(two_layer(np.ones((4, 4)), np.ones(4)))
    with pytest.raises(TypeError, match="problem's dtype"):
        flow(single(net))


# --- single precision, smooth networks, plateaus -------------------------------------


def test_single_precision_at_its_own_tolerance():
    first_run = run_of(0)
    run = flow(single(reference.network_1d(0)), single(PROBLEM), rtol=None)
    assert bool(run.outcome == px.Outcome.completed)
    for leaf in jax.tree.leaves(run):
        assert leaf.dtype in (jnp.float32, jnp.int32, jnp.bool_)
    assert abs(float(run.losses[-1]) / float(first_run.losses[-1]) - 1) < 1e-4
    assert rows(run.events)[:6] == rows(first_run.events)[:6]
    assert float(run.accuracy.balancedness) < 1e-4
    assert np.max(np.diff(run.losses)) < 1e-6


@pytest.mark.parametrize(
    "kind", ["two-layer", pytest.param("deep", marks=pytest.mark.slow)]
)
def test_smooth_networks_give_the_same_record(kind, key):
    if kind == "deep":
        net = px.networks.mlp(key, widths=(4, 3), in_dim=1, activation="softplus")
    else:
        v = np.array([[1.4, 0.3], [-0.9, 0.6], [0.5, -0.8], [-1.7, -0.2]])
        net = two_layer(v, [0.7, -0.5, 0.4, 0.6], activation="tanh")
    record = {"loss": px.loss}
    run = flow(net, t1=20.0, rtol=1e-6, save=px.log_spaced(50), record=record)
    assert isinstance(run, px.Trajectory)
    assert bool(run.outcome == px.Outcome.completed)
    assert run.events is None
    assert run.losses.shape == run.times.shape == run.steps.shape == (50,)
    np.testing.assert_allclose(run.saved["loss"], run.losses)
    assert np.max(np.diff(run.losses)) < 0
    # The energy is integrated beside the flow, outside its control of errors.
    assert abs(float(run.accuracy.energy_residual)) < 1e-5
    assert run.accuracy.balancedness is None
    assert int(run.stats.num_steps) > 0
    fields = lambda r: {f.name for f in dataclasses.fields(r)}
    assert fields(run) == fields(run_of(0))
    assert run.time_unit == run_of(0).time_unit
    assert int(px.plateaus(run, by="slope").count) >= 1
    with pytest.raises(ValueError, match="pattern"):
        px.plateaus(run, by="pattern")


def test_plateaus_by_pattern_lie_between_the_events():
    table = px.plateaus(run_of(0), by="pattern")
    count = int(table.count)
    edges = np.unique(np.concatenate([[0.0], event_times(run_of(0)), [50.0]]))
    np.testing.assert_allclose(np.asarray(table.start)[:count], edges[:-1])
    np.testing.assert_allclose(np.asarray(table.end)[:count], edges[1:])
    censored = np.asarray(table.censored)[:count]
    assert censored.tolist() == [False] * (count - 1) + [True]
    assert not bool(table.overflow)


def test_plateaus_by_slope_are_flat():
    run = flow(two_layer([1e-6 * ALONG], [1e-6]), TWO_DATA, t1=20.0)
    table = px.plateaus(run, by="slope")
    # the plateau of the small network, which ends near log(a*/a_0)/(2 a*)
    end = np.log(TARGET / 1e-12) / (2 * TARGET)
    assert float(table.start[0]) == 0
    assert 0.7 * end < float(table.end[0]) < end
    np.testing.assert_allclose(table.level[0], TARGET**2 / 2, rtol=0.05)
