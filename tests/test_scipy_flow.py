"""The SciPy reference against the stored trajectories, descent and conservation."""

import numpy as np
import pytest

from tests import flow_data
from tests.reference import load
from tests.scipy_flow import reference_flow


@pytest.mark.parametrize("name", ["flow_1d_seed0", "flow_1d_seed3", "flow_2d_seed0"])
def test_agrees_with_the_stored_trajectories(name):
    stored = load(name)
    start = (stored[key] for key in ("x", "y", "v0", "c0"))
    flow = reference_flow(*start, stored["t1"])
    events = stored["events"]
    assert flow["kind"] == [event["kind"] for event in events]
    assert flow["neuron"].tolist() == [event["neuron"] for event in events]
    assert flow["datum"].tolist() == [event["datum"] for event in events]
    times = [event["time"] for event in events]
    np.testing.assert_allclose(flow["times"], times, rtol=0, atol=1e-9)
    assert abs(flow["loss"] - stored["final"]["loss"]) < 1e-12
    assert abs(flow["sliding_time"] - stored["time_sliding"]) < 1e-9


def descent(x, y, v, c, t1, step, weights=None, slope=0.0, p=None, train_output=True):
    """Plain gradient descent in NumPy, sharing nothing with the reference."""
    x1 = np.column_stack([x, np.ones(len(x))])
    q = 1 / len(x) if weights is None else weights
    v, c, p1 = v.copy(), c.copy(), np.array(np.zeros(x1.shape[1]) if p is None else p)
    for _ in range(round(t1 / step)):
        z = v @ x1.T
        slopes = np.where(z > 0, 1.0, slope)
        qr = q * (c @ (slopes * z) + x1 @ p1 - y)
        v_new = v - step * c[:, None] * ((slopes * qr) @ x1)
        if train_output:
            c = c - step * (slopes * z) @ qr
            p1 = p1 - step * (qr @ x1) * (p is not None)
        v = v_new
    return v, c, p1


@pytest.mark.parametrize("case", flow_data.CASES)
def test_descent_converges_to_it_at_first_order(case):
    recipe, _, options = flow_data.CASES[case]
    t1, errors = 10.0, []
    flow = reference_flow(*recipe(), t1, rtol=1e-8, atol=1e-11, **options)
    for step in (4e-2, 4e-3):
        v, c, _ = descent(*recipe(), t1, step, **options)
        gap = np.append(v - flow["v"], c - flow["c"])
        errors.append(np.linalg.norm(gap))
    assert errors[1] < 1e-3
    assert 5 < errors[0] / errors[1] < 20  # ten for first order


def test_imbalance_is_conserved_through_every_event():
    x, y, v, c = flow_data.recipe_1d(3)
    flow = reference_flow(x, y, v, c, 5.0, rtol=1e-10)
    before, after = (
        c**2 - np.sum(v**2, axis=1) for v, c in ((v, c), (flow["v"], flow["c"]))
    )
    assert len(flow["times"]) > 10
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-9)


def test_a_start_on_the_boundary_is_classified():
    # f = relu(w x + b) with b = 0 exactly at x = 0, which pulls both ways: it slides.
    x, y = np.array([[0.0], [1.0]]), np.array([-4.0, 3.0])
    flow = reference_flow(x, y, [[1.0, 0.0]], [1.0], 0.1, train_output=False)
    assert flow["kind"] == ["slide"]
    w = 3 - 2 * np.exp(-0.05)  # w' = (3 - w)/2
    np.testing.assert_allclose(flow["v"], [[w, 0.0]], rtol=1e-12, atol=1e-15)


@pytest.mark.slow
def test_the_stored_files_are_remade():
    nd, seeds = load("flow_nd"), load("flow_seeds")
    for name, case in nd["cases"].items():
        flow = flow_data.record(flow_data.solve(name))
        assert flow["kind"] == case["kind"], name
        for key in ("loss", "v", "c", "times", "sliding_time"):
            np.testing.assert_allclose(flow[key], case[key], rtol=1e-8, atol=1e-10)
    for seed in (0, 2, 7, 100, 255):
        flow = reference_flow(*flow_data.recipe_1d(seed), 50.0)
        row = seeds["seeds"][str(seed)]
        assert abs(flow["loss"] - row["loss"]) < 1e-10, seed
        assert len(flow["kind"]) == row["num_events"], seed
