"""Deep flow against the two-layer flow, descent, and its own contracts."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.dynamics.deep_steps import first_change
from tests import flow_data

from ..closeness import lane, stacked
from ..scipy_flow import reference_flow
from ..variants import most_slow

RECORD = {"network": lambda problem, network: network}


def parameters(network):
    leaves = jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array))
    return np.concatenate([np.ravel(leaf) for leaf in leaves])


def used(events):
    columns = (events.neuron, events.datum, events.kind, events.previous)
    columns = [np.asarray(column)[: int(events.count)] for column in columns]
    return list(zip(*(column.tolist() for column in columns), strict=True))


def event_times(run):
    return np.asarray(run.events.time)[: int(run.events.count)]


@pytest.mark.parametrize(
    ("recipe", "slope"),
    [
        (flow_data.recipe_1d(3), 0.0),
        pytest.param(flow_data.recipe_nd(0, 2), 0.0, marks=pytest.mark.slow),
        pytest.param(flow_data.recipe_1d(1), 0.1, marks=pytest.mark.slow),
    ],
    ids=["1d", "2d", "leaky"],
)
def test_one_hidden_layer_is_the_two_layer_flow_until_its_first_slide(recipe, slope):
    x, y, v, c = recipe
    phi = px.networks.LeakyReLU(slope) if slope else "relu"
    network = px.MLP([v[:, :-1]], [v[:, -1]], c, activation=phi)
    run = px.flow(px.Problem(x, y), network, t1=20.0, rtol=1e-11)
    whole = reference_flow(*recipe, 20.0, slope=slope)
    num = whole["kind"].index("slide") + 1
    mode = np.where(v @ np.column_stack([x, np.ones(len(x))]).T > 0, ON, OFF)
    expected = []
    for i, k, kind in list(zip(*(whole[n] for n in ROW), strict=True))[:num]:
        expected.append((i, k, px.EventKind[kind], mode[i, k]))
        mode[i, k] = px.EventKind[kind]
    assert used(run.events) == expected
    times = whole["times"][:num]
    np.testing.assert_allclose(event_times(run), times, rtol=1e-9, atol=1e-10)
    # The run ends there, honestly.
    assert bool(run.outcome == px.Outcome.sliding)
    saved = np.asarray(run.times)
    reached = saved <= times[-1]
    np.testing.assert_array_equal(np.isfinite(run.losses), reached)
    looked = np.flatnonzero(reached)[10::10]
    part = reference_flow(*recipe, times[-1], slope=slope, save_at=saved[looked])
    losses = [sample["loss"] for sample in part["samples"][: len(looked)]]
    ours = np.asarray(run.losses)[looked]
    np.testing.assert_allclose(ours, losses, rtol=1e-10, atol=1e-14)
    w, b = np.asarray(run.network.weights[0]), np.asarray(run.network.biases[0])
    np.testing.assert_allclose(np.column_stack([w, b]), part["v"], atol=1e-9)
    np.testing.assert_allclose(run.network.readout, part["c"], atol=1e-9)
    assert abs(float(run.accuracy.energy_residual)) < 1e-10


ROW = ("neuron", "datum", "kind")
ON, OFF = px.EventKind.on, px.EventKind.off


def deep_case(loss="squared", seed=7, normalised=False, **options):
    rng = np.random.default_rng(seed)
    x = np.random.default_rng(7).uniform(-1, 1, size=(12, 2))
    wave = np.sin(2 * x[:, 0]) - x[:, 1]
    y = wave if loss == "squared" else np.where(wave > 0, 1.0, -1.0)
    draw = lambda *size: rng.normal(size=size) * np.sqrt(2 / size[-1])
    shapes = {"weights": [draw(5, 2), draw(5, 5)], "biases": [draw(5), draw(5)]}
    if normalised:
        ones, zeros = [np.ones(5)] * 2, [np.zeros(5)] * 2
        options |= {"kind": "normalised", "gains": ones, "shifts": zeros}
    network = px.MLP(**shapes, readout=draw(5), readout_bias=draw(1)[0], **options)
    return px.Problem(x, y, loss=loss), network


def deep_flow(problem, network, **options):
    """One program for all runs of a case: they have one `max_steps`."""
    return px.flow(problem, network, **({"max_steps": 100_000} | options))


CASES = {
    "plain": {},
    "residual": {"kind": "residual"},
    "normalised": {"normalised": True, "eps": 0.1},
    "leaky": {"activation": px.networks.LeakyReLU(0.2)},
    "logistic": {"loss": "logistic"},
}


# Each compiles four programs: one case by default.
@pytest.mark.parametrize("case", most_slow(CASES, ["plain"]))
def test_descent_approaches_it_to_first_order(case):
    problem, network = deep_case(**CASES[case])
    first = deep_flow(problem, network, t1=5.0, rtol=1e-9)
    end = 5.0
    if bool(first.outcome == px.Outcome.sliding):
        end = event_times(first)[-1]
    # Up to a round time shortly before the slide, if there is one.
    end = np.floor(end * 0.95 * 16) / 16
    run = deep_flow(problem, network, t1=end, rtol=1e-9)
    assert bool(run.outcome == px.Outcome.completed)
    assert int(run.events.count) >= 2
    assert max(neuron for neuron, *_ in used(run.events)) >= 5  # in the second layer
    errors = []
    options = {"num_steps": 2**13, "save": px.every(2**9), "record": RECORD}
    for num, row in ((2**9, 1), (2**13, 16)):
        method = px.gradient_descent(end / num)
        descent = px.descend(problem, network, method, **options)
        last = lane(descent.saved["network"], row)
        errors.append(np.linalg.norm(parameters(last) - parameters(run.network)))
    # Where in a step of descent an event falls is left to chance: far-apart steps.
    order = np.log(errors[0] / errors[1]) / np.log(16)
    assert abs(order - 1) < 0.15, (errors, order)


def test_error_follows_the_tolerance():
    # A step's error is below the tolerance; some tens of steps add up to a few of it.
    problem, network = deep_case()
    exact = deep_flow(problem, network, t1=2.0, rtol=1e-13, atol=0.0)
    assert bool(exact.outcome == px.Outcome.completed)
    assert int(exact.events.count) >= 3
    errors, steps = [], []
    for rtol in (1e-4, 1e-6, 1e-8, 1e-10):
        run = deep_flow(problem, network, t1=2.0, rtol=rtol, atol=0.0)
        assert used(run.events) == used(exact.events)
        gap = parameters(run.network) - parameters(exact.network)
        errors.append(float(jnp.linalg.norm(gap)))
        steps.append(int(run.stats.num_steps))
    assert np.all(np.array(errors) < 30 * np.array([1e-4, 1e-6, 1e-8, 1e-10])), errors
    # Order 5 in the number of steps; steps cut at events or saved times make it less.
    order = -np.polyfit(np.log(steps[1:]), np.log(errors[1:]), 1)[0]
    assert order > 4, (errors, steps)


@pytest.mark.slow  # lanes of a queue by default: test_flow_many
def test_a_batch_is_a_loop():
    problem, _ = deep_case()
    networks = [deep_case(seed=seed)[1] for seed in range(4)]
    flow = lambda network: deep_flow(problem, network, t1=3.0, rtol=1e-8)
    batch = eqx.filter_jit(eqx.filter_vmap(flow))(stacked(networks))
    for i, network in enumerate(networks):
        alone, ours = flow(network), lane(batch, i)
        assert used(ours.events) == used(alone.events)
        assert bool(ours.outcome == alone.outcome)
        np.testing.assert_allclose(event_times(ours), event_times(alone), rtol=1e-10)
        np.testing.assert_allclose(ours.losses, alone.losses, rtol=1e-10)


LIMITS = {"t1": 2.0, "max_steps": 20, "max_events": 3, "record": RECORD}


def test_more_events_than_the_table_holds():
    problem, network = deep_case()
    whole = deep_flow(problem, network, t1=2.0, rtol=1e-4)
    run = px.flow(problem, network, rtol=1e-4, **LIMITS)
    assert bool(run.outcome == px.Outcome.too_many_events)
    assert bool(run.events.overflow)
    assert used(run.events) == used(whole.events)[:3]
    # It is kept up to the event that has no row.
    kept = np.asarray(run.times) <= event_times(whole)[3]
    np.testing.assert_array_equal(np.isfinite(run.losses), kept)
    assert not np.all(kept)


def test_out_of_steps_and_saved_networks():
    problem, network = deep_case()
    run = px.flow(problem, network, rtol=1e-13, **LIMITS)
    assert bool(run.outcome == px.Outcome.out_of_steps)
    losses = jax.jit(jax.vmap(px.loss, (None, 0)))(problem, run.saved["network"])
    reached = np.isfinite(run.losses)
    assert 0 < reached.sum() < run.times.size
    ours = (np.asarray(a)[reached] for a in (losses, run.losses))
    np.testing.assert_allclose(*ours, rtol=1e-14)


def test_a_start_on_the_boundary_crosses_or_slides_at_once():
    # One neuron on its datum 0, with x = 0; its bias is pulled by data 0 and 1.
    rising = one_neuron([1.0, 3.0])
    assert used(rising.events)[0] == (0, 0, px.EventKind.on, px.EventKind.off)
    assert event_times(rising)[0] == 0
    stuck = one_neuron([-9.0, 3.0])
    assert used(stuck.events) == [(0, 0, px.EventKind.slide, px.EventKind.off)]
    assert bool(stuck.outcome == px.Outcome.sliding)
    falling = one_neuron([1.0, 0.5])
    assert int(falling.events.count) == 0


def one_neuron(y, readout=1.0):
    network = px.MLP([[[1.0]]], [[0.0]], [readout])
    return px.flow(px.Problem(np.array([[0.0], [1.0]]), np.array(y)), network, t1=0.1)


def test_a_loss_that_is_not_finite_is_a_divergence():
    assert bool(one_neuron([1.0, 3.0], 1e200).outcome == px.Outcome.diverged)


def test_stiff_is_refused():
    problem, network = deep_case()
    with pytest.raises(ValueError, match="'auto' or 'explicit' for the flow of an MLP"):
        px.flow(problem, network, t1=1.0, method="stiff")


@jax.jit
def located(root):
    # Steep, flat and triple roots, later ones, and one that comes back.
    place = lambda t: jnp.stack(
        [
            (root - t) * jnp.array([1.0, 1e-3, 1e6]),
            jnp.array([(root - t) ** 3 + 1e-9, root + 1e-7 - t, 1.0]),
        ]
    )
    low, high = jnp.zeros(()), jnp.ones(())
    return first_change(place, low, high, jnp.array(True), jnp.zeros((2, 1)))


@pytest.mark.parametrize("root", [1e-9, 0.3, 1 - 1e-9])
def test_the_first_of_several_changes_is_found_to_round_off(root):
    assert root < float(located(root)) <= root + 1e-15
