import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.integrate import solve_ivp

import plateaux as px
from plateaux.dynamics.compare import compare, matched_distance, modified_gradient
from plateaux.dynamics.trajectory import EventKind
from tests.reference import network_1d, problem_1d

RECORD = {"network": lambda problem, network: network}


def run(step, *, problem=None, network=None, t1=4.0, num=5, record=RECORD):
    return px.descend(
        problem_1d() if problem is None else problem,
        network_1d(0) if network is None else network,
        px.gradient_descent(step),
        num_steps=round(t1 / step),
        save=px.at(np.linspace(0, t1, num)),
        record=record,
    )


def vectors(trajectory):
    net = trajectory.saved["network"]
    return np.concatenate(
        [np.reshape(leaf, (len(net.c), -1)) for leaf in (net.w, net.b, net.c)], axis=1
    )


def test_distances_are_those_of_the_saved_networks():
    fine, coarse = run(0.01), run(0.1)
    a, b = vectors(fine), vectors(coarse)
    expected = np.linalg.norm(a - b, axis=1)
    threshold = 0.9 * expected[3] / np.linalg.norm(a[3])
    found = compare(fine, coarse, problem_1d(), threshold=threshold)
    np.testing.assert_allclose(found.distance, expected, rtol=1e-12)
    relative = expected / np.linalg.norm(a, axis=1)
    np.testing.assert_allclose(found.relative_distance, relative, rtol=1e-12)
    late = np.argmax(relative > threshold)
    assert 0 < late <= 3
    assert found.divergence_time == fine.times[late]
    pairs = np.linalg.norm(b[:, None] - a[None], axis=-1)
    np.testing.assert_allclose(found.nearest_distance, pairs.min(1), rtol=1e-12)
    np.testing.assert_array_equal(found.nearest_time, fine.times[pairs.argmin(1)])


def test_a_run_compared_with_itself_is_nowhere_else():
    same = run(0.1)
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
    net = px.TwoLayer(w=[[1.0]], b=[0.5], c=[1.0])
    a, b = (run(h, problem=problem, network=net, t1=1.0, num=2) for h in (0.05, 0.25))
    found = compare(a, b, problem, threshold=1.0)
    gap = np.asarray(px.outputs(a.network, x) - px.outputs(b.network, x))
    expected = np.sqrt(np.average(gap**2, weights=weights))
    np.testing.assert_allclose(found.function_distance[-1], expected, rtol=1e-12)


def test_counts_events_by_kind():
    fine = run(0.01, t1=6.0, num=3)
    found = compare(fine, run(0.1, t1=6.0, num=3), problem_1d(), threshold=1.0)
    kinds = np.asarray(fine.events.kind)
    for kind in ("off", "on", "slide", "collapse"):
        number = int(np.sum(kinds == int(EventKind[kind])))
        assert int(found.flow_events[int(EventKind[kind])]) == number
    assert int(found.flow_events.sum()) > 3


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
    fine, coarse = run(0.05), run(0.1)
    with pytest.raises(ValueError, match="same save="):
        compare(fine, run(0.1, num=3), problem_1d(), threshold=1.0)
    with pytest.raises(ValueError, match="record="):
        compare(fine, run(0.1, record=None), problem_1d(), threshold=1.0)
    counted = dataclasses.replace(coarse, time_unit="steps")
    with pytest.raises(ValueError, match="unit of time"):
        compare(fine, counted, problem_1d(), threshold=1.0)
    wide = run(0.1, network=network_1d(0, width=11))
    with pytest.raises(TypeError, match="one kind"):
        compare(fine, wide, problem_1d(), threshold=1.0)


def permuted(network, order, scale=1.0):
    return px.TwoLayer(
        scale * network.w[order],
        scale * network.b[order],
        network.c[order] / scale,
        activation=network.activation,
    )


def test_matching_sees_through_order_and_scaling():
    net = network_1d(4)
    order = np.array([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])
    same = permuted(net, order, scale=2.5)
    assert matched_distance(net, same) < 1e-14
    moved = eqx.tree_at(lambda n: n.c, same, same.c.at[2].multiply(1.21))
    # a = (|c| ‖v‖)^½ of neuron 4 grows by 1.1: it moves by 0.1 a in (v, c), √2 a long
    a = np.sqrt(abs(net.c[4]) * np.hypot(net.w[4, 0], net.b[4]))
    np.testing.assert_allclose(matched_distance(net, moved), 0.1 * np.sqrt(2) * a)


def test_matching_keeps_signs_apart_and_scale_where_it_matters():
    net = network_1d(4)
    flipped = eqx.tree_at(lambda n: n.c, net, -net.c)
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


def integrated(problem, network, field, t1):
    start, restore = ravel_pytree(network)
    velocity = eqx.filter_jit(lambda s: -ravel_pytree(field(problem, restore(s)))[0])
    solution = solve_ivp(
        lambda _, s: np.asarray(velocity(jnp.asarray(s))),
        (0.0, t1),
        np.asarray(start),
        rtol=1e-10,
        atol=1e-12,
    )
    return solution.y[:, -1]


def test_descent_is_second_order_close_to_the_modified_flow():
    problem, net = smooth_case()
    plain = lambda problem, network: px.dynamics.evaluate(problem, network).gradient
    flow = integrated(problem, net, plain, 4.0)
    to_flow, to_modified = [], []
    for step in (0.2, 0.1, 0.05):
        descent = px.descend(
            problem, net, px.gradient_descent(step), num_steps=round(4 / step)
        )
        end = np.asarray(ravel_pytree(descent.network)[0])
        modified = integrated(
            problem, net, lambda p, n, h=step: modified_gradient(p, n, h), 4.0
        )
        to_flow.append(np.linalg.norm(end - flow))
        to_modified.append(np.linalg.norm(end - modified))
    order = lambda errors: np.polyfit(np.log([4.0, 2.0, 1.0]), np.log(errors), 1)[0]
    assert 0.9 < order(to_flow) < 1.1
    assert 1.9 < order(to_modified) < 2.1


def test_the_modified_loss_needs_a_smooth_network():
    with pytest.raises(ValueError, match="smooth"):
        modified_gradient(problem_1d(), network_1d(0), 0.1)
