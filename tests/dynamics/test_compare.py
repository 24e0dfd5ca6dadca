import dataclasses
import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.integrate import solve_ivp

import plateaux as px
from plateaux.dynamics.compare import compare, matched_distance, modified_gradient
from plateaux.dynamics.trajectory import EventKind
from tests.closeness import lane
from tests.reference import network_1d, problem_1d

RECORD = {"network": lambda problem, network: network}


def run(step, *, problem=None, network=None, t1=6.0, num=5, record=RECORD):
    return px.descend(
        problem_1d() if problem is None else problem,
        network_1d(0) if network is None else network,
        px.gradient_descent(step),
        num_steps=round(t1 / step),
        save=px.at(np.linspace(0, t1, num)),
        record=record,
    )


@ft.cache
def reference_run(step):
    return run(step)


def vectors(trajectory):
    net = trajectory.saved["network"]
    return np.concatenate(
        [np.reshape(leaf, (len(net.c), -1)) for leaf in (net.w, net.b, net.c)], axis=1
    )


def test_distances_are_those_of_the_saved_networks():
    fine, coarse = reference_run(0.01), reference_run(0.1)
    a, b = vectors(fine), vectors(coarse)
    expected = np.linalg.norm(a - b, axis=1)
    threshold = 0.9 * expected[3] / np.linalg.norm(a[3])
    found = compare(fine, coarse, problem_1d(), threshold=threshold)
    np.testing.assert_allclose(found.distance, expected, rtol=1e-12)
    relative = expected / np.linalg.norm(a, axis=1)
    np.testing.assert_allclose(found.relative_distance, relative, rtol=1e-12)
    late = np.argmax(relative > threshold)
    assert 0 < late <= 3
    times = np.asarray(fine.times)
    assert float(found.divergence_time) == times[late]
    pairs = np.linalg.norm(b[:, None] - a[None], axis=-1)
    np.testing.assert_allclose(found.nearest_distance, pairs.min(1), rtol=1e-12)
    np.testing.assert_array_equal(found.nearest_time, times[pairs.argmin(1)])


def test_a_run_compared_with_itself_is_nowhere_else():
    same = reference_run(0.1)
    found = compare(same, same, problem_1d(), threshold=1e-9)
    for name in ("distance", "nearest", "function", "matched"):
        full = name if name == "distance" else f"{name}_distance"
        assert not np.any(getattr(found, full)), name
    assert found.divergence_time == np.inf
    np.testing.assert_array_equal(found.flow_events, found.descent_events)


def test_function_distance_is_weighted():
    x = np.array([[0.0], [1.0], [2.0]])
    weights = np.array([1.0, 2.0, 5.0])
    problem = px.Problem(x, np.array([1.0, -1.0, 0.5]), weights=weights)
    nets = [px.TwoLayer(w=[[1.0]], b=[b], c=[1.0]) for b in (0.5, 0.75)]
    runs = [run(0.25, problem=problem, network=net, t1=1.0, num=2) for net in nets]
    found = compare(*runs, problem, threshold=1.0, curvature=False)
    gap = np.subtract(*(px.outputs(run.network, x) for run in runs))
    expected = np.sqrt(np.average(gap**2, weights=weights))
    distance = np.asarray(found.function_distance)[-1]
    np.testing.assert_allclose(distance, expected, rtol=1e-12)


def test_counts_events_by_kind():
    fine = reference_run(0.01)
    found = compare(fine, reference_run(0.1), problem_1d(), threshold=1.0)
    kinds, counts = np.asarray(fine.events.kind), np.asarray(found.flow_events)
    for kind in ("off", "on", "slide", "collapse"):
        number = int(np.sum(kinds == int(EventKind[kind])))
        assert counts[int(EventKind[kind])] == number
    assert counts.sum() > 3


def test_step_times_curvature_of_a_quadratic():
    # f = w x + b at fixed c would be quadratic; with c it is so at w = b = 0 only.
    x = np.array([[1.0], [-2.0]])
    problem = px.Problem(x, np.zeros(2))
    net = px.TwoLayer(w=[[0.0]], b=[0.0], c=[3.0], activation="identity")
    still = run(0.125, problem=problem, network=net, t1=1.0, num=2)
    found = compare(still, still, problem, threshold=1.0)
    features = 3.0 * np.column_stack([x, np.ones(2)])
    largest = np.linalg.eigvalsh(features.T @ features / 2)[-1]
    np.testing.assert_allclose(found.step_times_curvature, 0.125 * largest, rtol=1e-12)
    without = compare(still, still, problem, threshold=1.0, curvature=False)
    assert without.step_times_curvature is None


def test_refusals_say_the_remedy():
    fine, coarse = reference_run(0.01), reference_run(0.1)
    names = ("times", "steps", "losses")
    rows = {n: jnp.asarray(np.asarray(getattr(coarse, n))[:3]) for n in names}
    shorter = dataclasses.replace(coarse, **rows)
    with pytest.raises(ValueError, match="same save="):
        compare(fine, shorter, problem_1d(), threshold=1.0)
    bare = dataclasses.replace(coarse, saved={})
    with pytest.raises(ValueError, match="record="):
        compare(fine, bare, problem_1d(), threshold=1.0)
    counted = dataclasses.replace(coarse, time_unit="steps")
    with pytest.raises(ValueError, match="unit of time"):
        compare(fine, counted, problem_1d(), threshold=1.0)
    net = jax.tree.map(lambda a: np.stack([a] * 5), network_1d(0, width=11))
    wide = dataclasses.replace(coarse, saved={"network": net})
    with pytest.raises(TypeError, match="one kind"):
        compare(fine, wide, problem_1d(), threshold=1.0)


def permuted(network, order, scale=1.0):
    w, b, c = (np.asarray(a)[order] for a in (network.w, network.b, network.c))
    return px.TwoLayer(
        scale * w,
        scale * b,
        c / scale,
        activation=network.activation,
    )


def test_matching_sees_through_order_and_scaling():
    net = network_1d(4)
    order = np.array([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])
    same = permuted(net, order, scale=2.5)
    assert matched_distance(net, same) < 1e-14
    factor = np.where(np.arange(10) == 2, 1.21, 1.0)
    moved = eqx.tree_at(lambda n: n.c, same, np.asarray(same.c) * factor)
    # a = (|c| ‖v‖)^½ of neuron 4 grows by 1.1: it moves by 0.1 a in (v, c), √2 a long
    w, b, c = (np.ravel(leaf)[4] for leaf in (net.w, net.b, net.c))
    a = np.sqrt(abs(c) * np.hypot(w, b))
    np.testing.assert_allclose(matched_distance(net, moved), 0.1 * np.sqrt(2) * a)


def test_matching_keeps_signs_apart_and_scale_where_it_matters():
    net = network_1d(4)
    flipped = eqx.tree_at(lambda n: n.c, net, -np.asarray(net.c))
    assert matched_distance(net, flipped) > 0.5
    smooth = px.TwoLayer(net.w, net.b, net.c, activation="tanh")
    order = np.arange(10)[::-1]
    assert matched_distance(smooth, permuted(smooth, order)) < 1e-14
    assert matched_distance(smooth, permuted(smooth, order, scale=2.0)) > 0.5


def smooth_case():
    rng = np.random.default_rng(3)
    net = px.TwoLayer(
        *map(rng.normal, (0, 0, 0), (1, 1, 1), ((4, 1), 4, 4)), activation="tanh"
    )
    return problem_1d(), net


@jax.jit
def modified_velocity(problem, network, flat, step_size):
    at = ravel_pytree(network)[1](flat)
    return -ravel_pytree(modified_gradient(problem, at, step_size))[0]


def integrated(problem, network, step_size, t1):
    """Along the modified flow; that of the loss itself at a step of next to nothing."""
    solution = solve_ivp(
        lambda _, s: np.asarray(modified_velocity(problem, network, s, step_size)),
        (0.0, t1),
        np.asarray(ravel_pytree(network)[0]),
        rtol=1e-10,
        atol=1e-12,
    )
    return solution.y[:, -1]


def test_descent_is_second_order_close_to_the_modified_flow():
    problem, net = smooth_case()
    flow = integrated(problem, net, 1e-30, 4.0)
    to_flow, to_modified = [], []
    options = {"num_steps": 80, "save": px.every(20), "record": RECORD}
    for step, row in ((0.2, 1), (0.1, 2), (0.05, 4)):
        descent = px.descend(problem, net, px.gradient_descent(step), **options)
        end = np.asarray(ravel_pytree(lane(descent.saved["network"], row))[0])
        modified = integrated(problem, net, step, 4.0)
        to_flow.append(np.linalg.norm(end - flow))
        to_modified.append(np.linalg.norm(end - modified))
    order = lambda errors: np.polyfit(np.log([4.0, 2.0, 1.0]), np.log(errors), 1)[0]
    assert 0.9 < order(to_flow) < 1.1
    assert 1.9 < order(to_modified) < 2.1


def test_the_modified_loss_needs_a_smooth_network():
    with pytest.raises(ValueError, match="smooth"):
        modified_gradient(problem_1d(), network_1d(0), 0.1)
