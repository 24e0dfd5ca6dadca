"""Gradient flow of smooth networks against SciPy, closed forms and contracts.

Runs of one network at as many saved times share a program; what the two methods have in
common, `attempt`, is tested with one of them by default.
"""

import functools as ft
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.integrate import solve_ivp

import plateaux as px
from plateaux.dynamics import evaluate
from plateaux.dynamics.error_control import neuron_groups
from plateaux.dynamics.smooth_flow import smooth_flow
from plateaux.networks.activations import Activation

from ..closeness import assert_close, lane, stacked

methods = pytest.mark.parametrize("method", ["stiff", "explicit"])


def one_fast(fast):
    """Both methods, of which one by default."""
    mark = lambda method: [] if method == fast else [pytest.mark.slow]
    return pytest.mark.parametrize(
        "method", [pytest.param(m, marks=mark(m)) for m in ("stiff", "explicit")]
    )


def leaves(network):
    return jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array))


def parameters(network):
    """All of them in one row, in the order of `ravel_pytree`."""
    return np.concatenate([np.ravel(leaf) for leaf in leaves(network)])


def saved(flow):
    """The same of every saved time."""
    rows = [np.reshape(a, (len(a), -1)) for a in leaves(flow.networks)]
    return np.concatenate(rows, axis=1)


def flow_of(data, network, times, tol, method, **options):
    options = {"atol": 0.0, "max_steps": 20_000, **options}
    return smooth_flow(
        data, network, times=jnp.asarray(times), rtol=tol, method=method, **options
    )


@jax.jit
def speed(data, network, flat):
    """θ̇ in one row, at the network with these parameters."""
    at = ravel_pytree(network)[1](flat)
    return -ravel_pytree(evaluate(data, at).gradient)[0]


@jax.jit
def speed_jacobian(data, network, flat):
    return jax.jacobian(speed, 2)(data, network, flat)


def exact(data, network, times, method="DOP853"):
    """SciPy's solution at a tight tolerance."""
    jacobian = lambda t, v: np.asarray(speed_jacobian(data, network, v))
    run = solve_ivp(
        lambda t, v: np.asarray(speed(data, network, v)),
        (0, times[-1]),
        parameters(network),
        method=method,
        t_eval=times,
        rtol=1e-12,
        atol=1e-15 if method == "DOP853" else 1e-13,
        **({"jac": jacobian} if method == "Radau" else {}),
    )
    assert run.success
    return run.y.T


def difference(actual, expected):
    """Largest error over the saved times, relative to the size of the parameters."""
    size = np.linalg.norm(expected, axis=1)
    return float(np.max(np.linalg.norm(actual - expected, axis=1) / size))


# --- problems ---

X = np.linspace(-1, 1, 16)[:, None]
TIMES = np.array([0.0, 0.1, 0.4, 1.0, 2.5, 6.0])


def normal(seed, *shapes):
    draw = np.random.default_rng(seed).normal
    return [draw(size=shape) for shape in shapes]


def small(size, seed=0):
    """A network of the shape of the case "tanh"."""
    parameters = (size * a for a in normal(seed, (5, 1), 5, 5))
    return px.TwoLayer(*parameters, activation="tanh")


def case(name):
    if name == "softplus":
        x = np.random.default_rng(3).uniform(-1, 1, size=(24, 2))
        y = np.sin(3 * x[:, 0]) * x[:, 1]
        weights = np.linspace(0.5, 1.5, 24)
        data = px.Problem(x, y, weights=weights, normalisation="sum")
        w, b, c = normal(6, (4, 2), 4, 4)
        return data, px.TwoLayer(w, b, c / 2, np.zeros(3), activation="softplus")
    data = px.Problem(X, np.sin(3 * X[:, 0]) + 0.3)
    if name == "tanh":
        return data, small(1.0, 3)
    weights = normal(3, (4, 1), (3, 4), (3, 3))
    biases, readout = normal(4, 4, 3, 3), normal(5, 3)[0]
    return data, px.MLP(weights, biases, readout, 0.0, activation="tanh")


@ft.cache
def exact_case(name):
    return exact(*case(name), TIMES)


# --- against SciPy ---


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("softplus", "stiff"),
        pytest.param("softplus", "explicit", marks=pytest.mark.slow),
        ("tanh", "stiff"),
        ("tanh", "explicit"),
        ("deep", "stiff"),
        pytest.param("deep", "explicit", marks=pytest.mark.slow),
    ],
)
def test_error_is_proportional_to_the_tolerance(name, method):
    data, network = case(name)
    errors = []
    for tol in (1e-4, 1e-7, 1e-10):
        flow = flow_of(data, network, TIMES, tol, method)
        assert bool(flow.completed)
        errors.append(difference(saved(flow), exact_case(name)) / tol)
        np.testing.assert_allclose(parameters(flow.network), saved(flow)[-1], 1e-12)
    assert max(errors) < 10
    assert max(errors) < 300 * min(errors)


def test_stiff_problem():
    """Steps do not feel the fast directions: λ t = 1e5, a few hundred steps."""
    data, network = case("softplus")
    times = np.array([0.0, 10.0, 50.0, 100.0, 300.0, 1e3])
    flow = flow_of(data, network, times, 1e-7, "stiff")
    assert difference(saved(flow), exact(data, network, times, "Radau")) < 1e-5
    assert int(flow.num_steps) < 500


def test_long_horizons_cost_like_their_logarithm():
    data, network = case("tanh")
    ends = (1e3, 1e6)
    times = [np.append(0.0, np.geomspace(1e2, t, 5)) for t in ends]
    flows = [flow_of(data, network, t, 1e-5, "stiff") for t in times]
    short, long = (int(f.num_steps) + int(f.num_rejected) for f in flows)
    assert all(bool(f.completed) for f in flows)
    assert long < 3.5 * short
    assert px.loss(data, flows[1].network) < px.loss(data, flows[0].network)


@methods
def test_energy_is_what_the_loss_lost(method):
    data, network = case("tanh")
    flow = flow_of(data, network, TIMES, 1e-8, method)
    lost = px.loss(data, network) - px.loss(data, flow.network)
    assert float(flow.energy) == pytest.approx(float(lost), rel=1e-7)
    rough = flow_of(data, network, TIMES, 1e-4, method)
    assert float(rough.local_error) > 100 * float(flow.local_error) > 0


@one_fast("explicit")
def test_many_saved_times_in_one_step(method):
    """More than a step can hold, at both ends of the run."""
    data, network = case("tanh")
    ends = np.linspace(0, 1e-3, 50), np.linspace(2, 2.001, 50)
    times = np.concatenate(ends)
    flow = flow_of(data, network, times, 1e-8, method)
    assert difference(saved(flow), exact(data, network, times)) < 1e-7


# --- small networks leave their plateau at the right time ---


@methods
@pytest.mark.parametrize("size", [1e-4, 1e-8, 1e-12])
def test_linear_stage_of_every_neuron(size, method):
    """a + ẑ·v grows by e^λt exactly, a − ẑ·v shrinks, the rest stands still.

    Closed form in the limit of small networks (theory of the initial plateau); tanh
    and the output change it by relative O(size at the end).
    """
    network = small(size)
    data = px.Problem(X, np.sin(2 * X[:, 0]) + 0.5)
    drive = np.concatenate([X, np.ones_like(X)], axis=1).T @ np.asarray(data.y) / len(X)
    rate = np.linalg.norm(drive)
    end = np.log(1e-3 / size) / rate
    last = flow_of(data, network, np.linspace(0, end, 6), 1e-6, method).network

    def along(net):
        v = np.column_stack([net.w, net.b])
        return np.asarray(net.c) + v @ drive / rate

    delay = np.log(along(last) / (along(network) * np.exp(rate * end))) / (rate * end)
    assert np.max(np.abs(delay)) < 1e-3 / 10


losses = jax.jit(jax.vmap(px.loss, (None, 0)))


@methods
def test_exit_time_of_a_tiny_network(method):
    """The loss halves at the right time, to 0.1 %."""
    network = small(1e-9)
    data = px.Problem(X, np.sin(2 * X[:, 0]) + 0.5)

    def half(tol):
        """Its time: the saved times close in on it."""
        low, high = 0.0, 60.0
        while high - low > 0.01:
            times = np.append(0.0, np.linspace(low, high, 6)[1:])
            rows = flow_of(data, network, times, tol, method).networks
            values = np.asarray(losses(data, rows))
            first = np.argmax(values < values[0] / 2)
            assert first > 0
            low, high = max(low, times[first - 1]), times[first]
        return high

    loose, tight = half(1e-5), half(1e-10)
    assert 10 < tight < 50
    assert abs(loose - tight) < 0.02


def test_absolute_tolerance_is_relative_to_the_initial_size():
    data = px.Problem(X, X[:, 0])
    steps = [
        int(flow_of(data, small(s), TIMES, 1e-9, "stiff", atol=a).num_steps)
        for s, a in [(1e-6, 0.0), (1e-6, 1e-4), (1e-9, 1e-4)]
    ]
    assert steps[1] < steps[0] / 2
    assert steps[2] == steps[1]


# --- neurons ---


def test_groups_of_parameters():
    ones = lambda *shapes: list(map(np.ones, shapes))
    two = px.TwoLayer(np.ones((2, 3)), np.ones(2), np.ones(2), np.ones(4))
    groups, num = neuron_groups(two)
    np.testing.assert_array_equal(groups, [0] * 3 + [1] * 3 + [0, 1, 0, 1] + [2] * 4)
    assert num == 3
    deep = px.MLP(ones((2, 1), (3, 2)), ones(2, 3), *ones((2, 3), 2))
    groups, num = neuron_groups(deep)
    weights = [0, 1] + [2, 2, 3, 3, 4, 4]
    readout = [5] * 3 + [6] * 3
    np.testing.assert_array_equal(groups, [*weights, 0, 1, 2, 3, 4, *readout, 5, 6])
    assert num == 7
    scalar = px.MLP(ones((2, 1)), ones(2), *ones(2, ()))
    np.testing.assert_array_equal(neuron_groups(scalar)[0], [0, 1, 0, 1, 2, 2, 2])


@methods
def test_a_dead_neuron_does_no_harm(method):
    data, network = case("tanh")
    alive = np.arange(5) != 1
    kill = lambda leaf: np.where(alive.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, 0.0)
    flow = flow_of(data, jax.tree.map(kill, network), TIMES, 1e-6, method)
    assert bool(flow.completed)
    assert np.asarray(flow.network.c)[1] == 0.0


# --- how a run ends ---


@methods
def test_out_of_steps(method):
    data, network = case("tanh")
    flow = flow_of(data, network, 20 * TIMES, 1e-8, method, max_steps=20)
    assert (bool(flow.completed), bool(flow.out_of_steps)) == (False, True)
    assert not bool(flow.diverged)
    assert int(flow.num_steps) + int(flow.num_rejected) == 20
    assert 0 < float(flow.time) < 120
    np.testing.assert_array_equal(saved(flow)[-1], parameters(flow.network))


@dataclass(frozen=True)
class Wall(Activation):
    """The identity up to 1/2, not a number beyond."""

    def __call__(self, z):
        return jnp.where(z < 0.5, z, jnp.nan)

    def derivative(self, z):
        return jnp.where(z < 0.5, jnp.ones_like(z), jnp.nan)

    def second_derivative(self, z):
        return jnp.where(z < 0.5, jnp.zeros_like(z), jnp.nan)


@one_fast("explicit")
def test_what_is_not_finite_is_never_stored(method):
    data = px.Problem(np.array([[1.0]]), np.array([4.0]))
    network = px.TwoLayer([[0.3]], [0.1], [1.0], activation=Wall())
    flow = flow_of(data, network, [0.0, 0.01, 1.0, 5.0], 1e-6, method)
    assert (bool(flow.diverged), bool(flow.completed)) == (True, False)
    assert not bool(flow.out_of_steps)
    assert np.all(np.isfinite(saved(flow)))
    (wall,) = np.ravel(flow.network.w) + flow.network.b
    assert 0.5 - 1e-6 < wall < 0.5
    np.testing.assert_array_equal(saved(flow)[-2], parameters(flow.network))


@methods
def test_start_that_is_not_finite(method):
    data, network = case("tanh")
    spoil = lambda w: np.where(np.arange(5)[:, None] == 2, np.nan, w)
    network = eqx.tree_at(lambda n: n.w, network, replace_fn=spoil)
    flow = flow_of(data, network, TIMES, 1e-6, method)
    assert bool(flow.diverged)
    assert int(flow.num_steps) == 0


# --- transformations ---


@one_fast("explicit")  # lanes of the stiff one: test_flow_many
def test_batch_equals_loop(method):
    data, _ = case("tanh")
    networks = [small(1.0, seed) for seed in range(2)]
    run = lambda net: flow_of(data, net, TIMES, 1e-6, method)
    batch = jax.vmap(run)(stacked(networks))
    for i, network in enumerate(networks):
        one, ours = run(network), lane(batch, i)
        assert int(one.num_steps) == int(ours.num_steps)
        # A batch rounds differently; the flow contracts or at worst doubles that.
        np.testing.assert_allclose(saved(ours), saved(one), rtol=1e-9, atol=1e-11)


@one_fast("stiff")
def test_forward_derivatives(method):
    data, network = case("tanh")
    flat, unravel = ravel_pytree(network)
    direction = np.cos(np.arange(flat.size, dtype=flat.dtype))

    def run(e, t):
        times = jnp.stack([jnp.zeros_like(t), t / 2, t])
        start = unravel(flat + e * direction)
        flow = flow_of(data, start, times, 1e-9, method)
        return jax.vmap(lambda net: ravel_pytree(net)[0])(flow.networks)[1:]

    derivative = jax.jit(lambda e, t, de, dt: jax.jvp(run, (e, t), (de, dt)))
    zero, one, t, h = (np.array(v) for v in (0.0, 1.0, 2.0, 1e-4))
    value, tangent = derivative(zero, t, one, zero)
    ends = [np.asarray(derivative(e, t, zero, zero)[0]) for e in (-h, h)]
    # Differences err by h² and by the flow's own error over h, 1e-9/1e-4.
    np.testing.assert_allclose(tangent, (ends[1] - ends[0]) / (2 * h), atol=2e-5)
    _, tangent = derivative(zero, t, zero, one)
    speeds = [np.asarray(speed(data, network, v)) for v in np.asarray(value)]
    np.testing.assert_allclose(np.asarray(tangent)[1], speeds[1], atol=1e-6)
    np.testing.assert_allclose(np.asarray(tangent)[0], speeds[0] / 2, atol=1e-4)


@one_fast("explicit")
def test_reverse_derivatives_are_the_forward_ones(method):
    data, network = case("tanh")
    flat, unravel = ravel_pytree(network)
    direction = np.cos(np.arange(flat.size, dtype=flat.dtype))

    def last_loss(flat, t, reverse):
        run = smooth_flow(
            data,
            unravel(flat),
            times=jnp.stack([jnp.zeros_like(t), t / 2, t]),
            rtol=1e-6,
            atol=0.0,
            max_steps=200,
            method=method,
            reverse=reverse,
        )
        return jnp.sum(jax.vmap(lambda net: px.loss(data, net))(run.networks))

    t = jnp.array(2.0)
    at = lambda flat, t: last_loss(flat, t, False)
    along = jax.jit(lambda *args: jax.jvp(at, args, (direction, jnp.array(0.3)))[1])
    back = jax.jit(lambda *args: jax.grad(last_loss, argnums=(0, 1))(*args, True))
    slope, drift = map(np.asarray, back(flat, t))
    assert_close(slope @ direction + 0.3 * drift, along(flat, t), ulps=1000)


# --- the door ---


def test_auto_is_stiff_where_a_hessian_is_affordable():
    data = px.Problem(X, X[:, 0])
    for width, method in [(100, "stiff"), (200, "explicit")]:
        inner, outer = np.ones((width, 1)), np.ones(width)
        network = px.TwoLayer(inner, outer, outer, activation="tanh")
        run = lambda net: flow_of(data, net, [0.0, 1.0], 1e-3, "auto")
        assert eqx.filter_eval_shape(run, network).method == method


@one_fast("stiff")
def test_single_precision(method):
    single = lambda tree: jax.tree.map(lambda a: jnp.asarray(a, np.float32), tree)
    data, network = map(single, case("tanh"))
    flow = flow_of(data, network, TIMES, 1e-4, method)
    assert bool(flow.completed)
    assert saved(flow).dtype == jnp.float32
    assert difference(saved(flow), exact_case("tanh")) < 1e-3


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0.0], "at least two times"),
        ([0.1, 1.0], "increase strictly from 0, but starts at 0.1"),
        ([0.0, 1.0, 1.0], "its smallest step is 0.0"),
        ([0.0, np.nan], "`times` must be finite"),
    ],
)
def test_refused_times(times, message):
    data, network = case("tanh")
    with pytest.raises(ValueError, match=message):
        flow_of(data, network, times, 1e-6, "stiff")


def test_refused_method():
    data, network = case("tanh")
    with pytest.raises(ValueError, match="did you mean 'stiff'"):
        flow_of(data, network, TIMES, 1e-6, "stif")
