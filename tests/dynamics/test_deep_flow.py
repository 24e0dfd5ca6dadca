"""Deep flow against the two-layer flow, descent, and its own contracts."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import plateaux as px
from plateaux.dynamics.deep_flow import _first_change
from tests import flow_data

RECORD = {"network": lambda problem, network: network}


def parameters(network):
    return ravel_pytree(eqx.filter(network, eqx.is_inexact_array))[0]


def used(events):
    rows = range(int(events.count))
    columns = (events.neuron, events.datum, events.kind, events.previous)
    return [tuple(int(column[i]) for column in columns) for i in rows]


def lane_of(batch, i):
    return jax.tree.map(lambda leaf: leaf[i], eqx.filter(batch, eqx.is_array))


def both(recipe, slope=0.0):
    """The same network as an MLP of one hidden layer and as a TwoLayer."""
    x, y, v, c = recipe
    phi = px.networks.LeakyReLU(slope) if slope else "relu"
    deep = px.MLP([v[:, :-1]], [v[:, -1]], c, activation=phi)
    return px.Problem(x, y), deep, px.TwoLayer(v[:, :-1], v[:, -1], c, activation=phi)


def two_layer_flow(problem, network, t1):
    return px.flow(problem, network, t1=t1, rtol=1e-11)


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
    problem, deep, two = both(recipe, slope)
    run = px.flow(problem, deep, t1=20.0, rtol=1e-11)
    whole = two_layer_flow(problem, two, 20.0)
    runs = (run, whole)
    ours, theirs = (used(run.events) for run in runs)
    assert ours == theirs[: len(ours)]
    assert [kind for *_, kind, _ in theirs].index(px.EventKind.slide) == len(ours) - 1
    times = [run.events.time[: len(ours)] for run in runs]
    np.testing.assert_allclose(*times, rtol=1e-9, atol=1e-10)
    # The run ends there, honestly.
    slide = float(times[1][-1])
    assert bool(run.outcome == px.Outcome.sliding)
    reached = run.times <= slide
    np.testing.assert_array_equal(jnp.isfinite(run.losses), reached)
    np.testing.assert_allclose(
        run.losses[reached], whole.losses[reached], rtol=1e-10, atol=1e-14
    )
    at_slide = two_layer_flow(problem, two, slide).network
    np.testing.assert_allclose(run.network.weights[0], at_slide.w, atol=1e-9)
    np.testing.assert_allclose(run.network.readout, at_slide.c, atol=1e-9)
    assert abs(float(run.accuracy.energy_residual)) < 1e-10


def deep_case(kind="plain", loss="squared", key=4, **options):
    x = jax.random.uniform(jax.random.key(7), (12, 2), minval=-1.0, maxval=1.0)
    wave = jnp.sin(2 * x[:, 0]) - x[:, 1]
    y = wave if loss == "squared" else jnp.where(wave > 0, 1.0, -1.0)
    problem = px.Problem(x, y, loss=loss)
    network = px.networks.mlp(
        jax.random.key(key),
        widths=(5, 5),
        in_dim=2,
        kind=kind,
        bias="normal",
        readout_bias=True,
        **options,
    )
    return problem, network


CASES = {
    "plain": {},
    "residual": {"kind": "residual"},
    "normalised": {"kind": "normalised", "eps": 0.1, "learn_normalisation": True},
    "leaky": {"activation": px.networks.LeakyReLU(0.2)},
    "logistic": {"loss": "logistic"},
}


# Each compiles four programs: one case by default.
SLOW = [pytest.param(case, marks=pytest.mark.slow) for case in list(CASES)[1:]]


@pytest.mark.parametrize("case", ["plain", *SLOW])
def test_descent_approaches_it_to_first_order(case):
    problem, network = deep_case(**CASES[case])
    first = px.flow(problem, network, t1=5.0, rtol=1e-9)
    end = float(first.events.time[first.events.count - 1])
    end = 5.0 if not bool(first.outcome == px.Outcome.sliding) else end
    # Up to a round time shortly before the slide, if there is one.
    end = np.floor(end * 0.95 * 16) / 16
    run = px.flow(problem, network, t1=end, rtol=1e-9)
    assert bool(run.outcome == px.Outcome.completed)
    assert int(run.events.count) >= 2
    assert max(neuron for neuron, *_ in used(run.events)) >= 5  # in the second layer
    errors = []
    for num in (2**9, 2**13):
        method = px.gradient_descent(end / num)
        descent = px.descend(problem, network, method, num_steps=num)
        errors.append(
            jnp.linalg.norm(parameters(descent.network) - parameters(run.network))
        )
    # Where in a step of descent an event falls is left to chance: far-apart steps.
    order = np.log(errors[0] / errors[1]) / np.log(16)
    assert abs(order - 1) < 0.15, (errors, order)


def test_error_follows_the_tolerance():
    # A step's error is below the tolerance; some tens of steps add up to a few of it.
    problem, network = deep_case()
    exact = px.flow(problem, network, t1=2.0, rtol=1e-13, atol=0.0, max_steps=100_000)
    assert bool(exact.outcome == px.Outcome.completed)
    assert int(exact.events.count) >= 3
    errors, steps = [], []
    for rtol in (1e-4, 1e-6, 1e-8, 1e-10):
        run = px.flow(problem, network, t1=2.0, rtol=rtol, atol=0.0)
        assert used(run.events) == used(exact.events)
        gap = parameters(run.network) - parameters(exact.network)
        errors.append(float(jnp.linalg.norm(gap)))
        steps.append(int(run.stats.num_steps))
    assert np.all(np.array(errors) < 30 * np.array([1e-4, 1e-6, 1e-8, 1e-10])), errors
    # Order 5 in the number of steps; steps cut at events or saved times make it less.
    order = -np.polyfit(np.log(steps[1:]), np.log(errors[1:]), 1)[0]
    assert order > 4, (errors, steps)


def test_a_batch_is_a_loop():
    problem, _ = deep_case()
    networks = [deep_case(key=key)[1] for key in range(4)]
    flow = lambda network: px.flow(problem, network, t1=3.0, rtol=1e-8)
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)
    batch = eqx.filter_jit(eqx.filter_vmap(flow))(params)
    for i, network in enumerate(networks):
        alone = flow(network)
        lane = lane_of(batch, i)
        assert used(lane.events) == used(alone.events)
        assert bool(lane.outcome == alone.outcome)
        count = int(alone.events.count)
        np.testing.assert_allclose(
            lane.events.time[:count], alone.events.time[:count], rtol=1e-10
        )
        np.testing.assert_allclose(lane.losses, alone.losses, rtol=1e-10)


def test_more_events_than_the_table_holds():
    problem, deep, _ = both(flow_data.recipe_1d(3))
    whole = px.flow(problem, deep, t1=20.0)
    run = px.flow(problem, deep, t1=20.0, max_events=3)
    assert bool(run.outcome == px.Outcome.too_many_events)
    assert bool(run.events.overflow)
    assert used(run.events) == used(whole.events)[:3]
    # It is kept up to the event that has no row.
    fourth = whole.events.time[3]
    np.testing.assert_array_equal(jnp.isfinite(run.losses), run.times <= fourth)


def test_out_of_steps_and_saved_networks():
    problem, network = deep_case()
    run = px.flow(problem, network, t1=2.0, max_steps=20, record=RECORD)
    assert bool(run.outcome == px.Outcome.out_of_steps)
    losses = jax.vmap(lambda n: px.loss(problem, n))(run.saved["network"])
    reached = jnp.isfinite(run.losses)
    assert 0 < int(reached.sum()) < run.times.size
    np.testing.assert_allclose(losses[reached], run.losses[reached], rtol=1e-14)


def test_a_start_on_the_boundary_crosses_or_slides_at_once():
    # One neuron on its datum 0, with x = 0; its bias is pulled by data 0 and 1.
    x = jnp.array([[0.0], [1.0]])
    network = px.MLP([[[1.0]]], [[0.0]], [1.0])
    rising = px.flow(px.Problem(x, jnp.array([1.0, 3.0])), network, t1=0.1)
    assert used(rising.events)[0] == (0, 0, px.EventKind.on, px.EventKind.off)
    assert float(rising.events.time[0]) == 0
    stuck = px.flow(px.Problem(x, jnp.array([-9.0, 3.0])), network, t1=0.1)
    assert used(stuck.events) == [(0, 0, px.EventKind.slide, px.EventKind.off)]
    assert bool(stuck.outcome == px.Outcome.sliding)
    falling = px.flow(px.Problem(x, jnp.array([1.0, 0.5])), network, t1=0.1)
    assert int(falling.events.count) == 0


def test_a_loss_that_is_not_finite_is_a_divergence():
    problem = px.Problem(jnp.ones((1, 1)), jnp.ones(1), loss="exponential")
    network = px.MLP([[[1e3]]], [[0.0]], [-1e3])
    run = px.flow(problem, network, t1=1.0)
    assert bool(run.outcome == px.Outcome.diverged)


def test_stiff_is_refused():
    problem, network = deep_case()
    with pytest.raises(ValueError, match="'auto' or 'explicit' for the flow of an MLP"):
        px.flow(problem, network, t1=1.0, method="stiff")


@pytest.mark.parametrize("root", [1e-9, 0.3, 1 - 1e-9])
def test_the_first_of_several_changes_is_found_to_round_off(root):
    # Steep, flat and triple roots, later ones, and one that comes back.
    place = lambda t: jnp.stack(
        [
            (root - t) * jnp.array([1.0, 1e-3, 1e6]),
            jnp.array([(root - t) ** 3 + 1e-9, root + 1e-7 - t, 1.0]),
        ]
    )
    low, high = jnp.zeros(()), jnp.ones(())
    found = _first_change(place, low, high, jnp.array(True), jnp.zeros((2, 1)))
    assert root < float(found) <= root + 1e-15
