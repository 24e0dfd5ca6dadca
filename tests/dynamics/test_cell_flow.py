import numpy as np
import pytest
from scipy.optimize import brentq

import plateaux as px
from plateaux.dynamics.cell_flow import cell_flow
from plateaux.dynamics.trajectory import EventKind
from tests import flow_data
from tests.closeness import lane
from tests.scipy_flow import reference_flow


def kinds(flow):
    return [EventKind(int(kind)).name for kind in np.asarray(flow.events.kind)]


def inner(network):
    return np.column_stack([network.w, network.b])


def two_layer(v, c, slope=0.0, p=None):
    phi = px.networks.LeakyReLU(slope) if slope else "relu"
    return px.TwoLayer(v[:, :-1], v[:, -1], c, p, activation=phi)


def test_slide_in_along_and_out_in_closed_form():
    """One neuron, c = 1, data 0, 1, 2; datum 0 is off, slides, and leaves to off."""
    x, y = np.array([0.0, 1.0, 2.0]), np.array([-5.0, 0.3, 3.0])
    problem = px.Problem(x[:, None], y)
    start = np.array([0.35, -0.02])
    # --- data 1 and 2 active: (w, b)' = −(H (w, b) − g)/3, until b = 0 ---
    features = np.column_stack([x, np.ones(3)])[1:]
    matrix, target = features.T @ features / 3, features.T @ y[1:] / 3
    rates, basis = np.linalg.eigh(matrix)
    limit = np.linalg.solve(matrix, target)
    free = lambda t, at: limit + basis @ (np.exp(-rates * t) * (basis.T @ (at - limit)))
    enter = brentq(lambda t: free(t, start)[1], 0, 0.3, xtol=1e-15)
    # --- b = 0 held: w' = −(5w − 6.3)/3, until the pull 3.3 − 3w on b is 0 ---
    w_in, w_out, w_end = free(enter, start)[0], 1.1, 6.3 / 5
    leave = enter + 0.6 * np.log((w_end - w_in) / (w_end - w_out))
    final = free(2.0 - leave, np.array([w_out, 0.0]))
    flow = cell_flow(problem, two_layer(start[None], np.ones(1)), t1=2.0)
    assert kinds(flow) == ["slide", "off"]
    assert flow.events.datum.tolist() == [0, 0]
    np.testing.assert_allclose(flow.events.time, [enter, leave], rtol=1e-13)
    np.testing.assert_allclose(inner(flow.network)[0], final, rtol=1e-13)
    np.testing.assert_allclose(flow.sliding_time, leave - enter, rtol=1e-13)


CASES = {
    "1d": (flow_data.recipe_1d(3), {}),
    "2d": (flow_data.recipe_nd(0, 2), {}),
    "leaky, three data on one neuron": (flow_data.recipe_nd(0, 10), {"slope": 0.1}),
    "leaky, a collapse": (flow_data.recipe_1d(7), {"slope": 0.1}),
    "affine": (flow_data.recipe_1d(2), {"p": np.array([0.1, -0.2])}),
}


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_integrated_reference(case):
    (x, y, v, c), options = CASES[case]
    flow = cell_flow(px.Problem(x, y), two_layer(v, c, **options), t1=20.0)
    expected = reference_flow(
        *(x, y, v, c, 20.0), **options, train_output=False, rtol=1e-11
    )
    assert kinds(flow) == expected["kind"]
    np.testing.assert_array_equal(flow.events.neuron, expected["neuron"])
    np.testing.assert_array_equal(flow.events.datum, expected["datum"])
    # The error is the reference's: it falls with its tolerance.
    np.testing.assert_allclose(flow.events.time, expected["times"], atol=1e-9)
    np.testing.assert_allclose(inner(flow.network), expected["v"], atol=1e-11)
    assert int(flow.most_sliding) == expected["max_sliding_on_one_neuron"]


@pytest.mark.slow
def test_a_tiny_start_is_followed_through_its_first_events():
    # Residuals differ by ten orders here, and with them the velocities at a boundary.
    x, y, v, c = flow_data.recipe_1d(3)
    flow = lambda s: cell_flow(px.Problem(x, y), two_layer(s * v, c), t1=20.0)
    tiny, tinier = flow(1e-8), flow(1e-12)
    assert kinds(tiny) == kinds(tinier)
    np.testing.assert_allclose(inner(tiny.network), inner(tinier.network), atol=1e-6)


def test_weights_and_their_sum_set_the_unit_of_time():
    x, y, v, c = flow_data.recipe_1d(5)
    mu = np.linspace(1.0, 3.0, len(x))
    net = two_layer(v, c)
    mean = cell_flow(px.Problem(x, y, weights=mu), net, t1=4.0)
    total = px.Problem(x, y, weights=mu, normalisation="sum")
    summed = cell_flow(total, net, t1=4.0 / mu.sum())
    assert kinds(mean) == kinds(summed)
    np.testing.assert_allclose(inner(mean.network), inner(summed.network), rtol=1e-11)


def test_the_loss_falls_and_is_the_loss():
    x, y, v, c = flow_data.recipe_1d(3)
    problem, times = px.Problem(x, y), np.linspace(0, 50, 200)
    flow = cell_flow(problem, two_layer(v, c), t1=50.0, times=times)
    assert np.all(np.diff(flow.losses) < 0)
    loss = px.loss(problem, lane(flow.networks, 17))
    np.testing.assert_allclose(loss, np.asarray(flow.losses)[17], rtol=1e-13)


def test_a_flow_with_too_many_events_says_so_and_can_go_on():
    x, y, v, c = flow_data.recipe_1d(3)
    problem, net = px.Problem(x, y), two_layer(v, c)
    whole = cell_flow(problem, net, t1=5.0)
    part = cell_flow(problem, net, t1=5.0, max_events=4)
    assert not part.completed
    assert part.events.count == 4
    assert float(part.time) == np.asarray(part.events.time)[-1]
    rest = cell_flow(problem, part.network, t1=5.0 - float(part.time))
    np.testing.assert_allclose(inner(rest.network), inner(whole.network), atol=1e-13)


def test_refuses_what_is_not_piecewise_linear():
    x, y, v, c = flow_data.recipe_1d(0)
    net = px.TwoLayer(v[:, :-1], v[:, -1], c, activation="tanh")
    with pytest.raises(ValueError, match="piecewise linear"):
        cell_flow(px.Problem(x, y), net, t1=1.0)
    signs = px.Problem(x, np.where(y > 0, 1.0, -1.0), loss="logistic")
    with pytest.raises(ValueError, match="squared"):
        cell_flow(signs, two_layer(v, c), t1=1.0)
    with pytest.raises(ValueError, match="times"):
        cell_flow(px.Problem(x, y), two_layer(v, c), t1=1.0, times=np.array([2.0]))
