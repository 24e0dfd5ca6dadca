"""Descent against loops written by hand, identities, and the exact flow."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import plateaux as px
from plateaux.dynamics import evaluate, plain_step_size
from plateaux.networks import imbalance

from .. import draws, reference
from ..closeness import assert_close, lane
from ..variants import most_slow


# One shape for all: programs are compiled once.
def problem(num_data=9):
    return draws.problem(num_data, 2)


def network(**options):
    return draws.two_layer(4, 2, seed=1, **options)


def by_hand(data, net, optimizer, num_steps):
    """Plain optax loop with automatic differentiation; losses at every step."""
    params, static = eqx.partition(net, eqx.is_inexact_array)
    value = jax.value_and_grad(lambda p: px.loss(data, eqx.combine(p, static)))

    @jax.jit
    def step(params, state):
        loss, gradient = value(params)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
            updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, loss

    state, losses = jax.jit(optimizer.init)(params), []
    for _ in range(num_steps):
        params, state, loss = step(params, state)
        losses.append(loss)
    return np.stack([*losses, step(params, state)[2]]), eqx.combine(params, static)


SCHEDULED = optax.sgd(optax.exponential_decay(0.2, 10, 0.5))


OPTIMIZERS = {
    "sgd": optax.sgd(0.1),
    "adam": optax.adam(0.05),
    "momentum": optax.sgd(0.1, momentum=0.9),
    "schedule": SCHEDULED,
    "clipped": optax.chain(optax.clip(0.01), optax.sgd(0.1)),
}
FAST = {
    *(("sgd", "relu", False), ("adam", "tanh", True), ("momentum", "relu", False)),
    *(("schedule", "tanh", True), ("clipped", "relu", False)),
}
CASES = itertools.product(OPTIMIZERS, ("relu", "tanh"), (False, True))


@pytest.mark.parametrize(("name", "activation", "affine"), most_slow(CASES, FAST))
def test_equals_a_loop_by_hand(name, activation, affine):
    data, net = problem(), network(affine=affine, activation=activation)
    optimizer = OPTIMIZERS[name]
    run = px.descend(data, net, optimizer, num_steps=45, save=px.every(1))
    losses, last = by_hand(data, net, optimizer, 45)
    # Rounding grows along 45 steps that are not contractions. The schedule is computed
    # by optax in float32 (its count is an int32), in two programs.
    ulps = 1e8 if optimizer is SCHEDULED else 1e4
    assert_close(run.losses, losses, ulps=ulps)
    assert_close(run.network, last, ulps=ulps)


@pytest.mark.parametrize("num_steps", [1, 32, pytest.param(33, marks=pytest.mark.slow)])
def test_words_do_not_change_how_many_steps_are_taken(num_steps):
    data, net = problem(), network()
    run = px.descend(data, net, px.gradient_descent(0.1), num_steps=num_steps)
    losses, last = by_hand(data, net, optax.sgd(0.1), num_steps)
    assert int(run.stats.num_steps) == num_steps
    assert int(run.steps[-1]) == num_steps
    assert_close(run.network, last, ulps=1e4)
    assert_close(run.losses[-1], losses[-1], ulps=1e4)


def test_line_searches_get_what_they_ask_for():
    data, net = problem(num_data=5), network(activation="tanh")
    run = px.descend(data, net, optax.lbfgs(), num_steps=60)
    plain, _ = by_hand(data, net, optax.sgd(0.1), 60)
    assert float(run.losses[-1]) < 1e-6 * float(plain[-1])


def one_step(h):
    """Neurons v and weights c before and after, g, the network and the run."""
    data, net = problem(), network()
    run = px.descend(data, net, px.gradient_descent(h), num_steps=1)
    stack = lambda n: np.column_stack([n.w, n.b])
    gradient = jax.jit(evaluate)(data, net).gradient
    c, last = np.asarray(net.c), np.asarray(run.network.c)
    g = stack(gradient) / c[:, None]
    return (stack(net), c), (stack(run.network), last), g, (net, run)


def test_one_step_changes_the_imbalance_by_the_identity():
    """ΔC_i = h²[(v_i·g_i)² − c_i²‖g_i‖²], exactly."""
    h = 0.3
    (v, c), _, g, (net, run) = one_step(h)
    expected = h**2 * (np.sum(v * g, axis=1) ** 2 - c**2 * np.sum(g**2, axis=1))
    before, after = map(jax.jit(imbalance), (net, run.network))
    assert_close(np.asarray(after) - np.asarray(before), expected)
    assert_close(run.accuracy.balancedness, np.max(np.abs(expected)))


def test_one_step_in_linear_coordinates():
    """η⁺ = η − h M g + h² c (v·g) g with η = c v and M = c² I + v vᵀ."""
    h = 0.2
    (v, c), (last_v, last_c), g, _ = one_step(h)
    c, vg = c[:, None], np.sum(v * g, axis=1, keepdims=True)
    expected = c * v - h * (c**2 * g + v * vg) + h**2 * c * vg * g
    assert_close(last_c[:, None] * last_v, expected)


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize(
    "step_sizes",
    [(1e-1, 1e-2), pytest.param((1e-1, 1e-2, 1e-3), marks=pytest.mark.slow)],
)
def test_distance_to_the_exact_flow_is_first_order_in_the_step(seed, step_sizes):
    """Through crossings and slides alike: a tenth of the step, a tenth of the error."""
    exact = reference.load(f"flow_1d_seed{seed}")
    errors = []
    for h in step_sizes:
        run = px.descend(
            reference.problem_1d(),
            reference.network_1d(seed),
            px.gradient_descent(h),
            num_steps=round(50 / h),
        )
        errors.append(reference.distance(run.network, reference.final_network(exact)))
        assert abs(float(run.losses[-1]) - exact["final"]["loss"]) < 3e-3 * h
    orders = -np.diff(np.log10(errors))
    assert np.all((orders > 0.9) & (orders < 1.15))


def test_flow_time_is_shared_by_equal_optimizers():
    data, net = problem(), network()
    ours = px.descend(data, net, px.gradient_descent(0.1), num_steps=32)
    theirs = px.descend(data, net, optax.sgd(0.1), num_steps=32)
    adam = px.descend(data, net, optax.adam(0.1), num_steps=32)
    assert_close(ours, theirs)
    assert_close(ours.times, 0.1 * np.asarray(ours.steps))
    assert ours.time_unit == "flow time of L = Σ μ ½ r² / Σ μ"
    assert adam.time_unit == "steps"
    assert_close(adam.times, np.asarray(adam.steps, float))
    assert adam.accuracy.energy_residual is None


@pytest.mark.parametrize(
    ("optimizer", "step_size"),
    [
        (optax.sgd(0.25), 0.25),
        (optax.chain(optax.scale(0.5), optax.sgd(0.25)), 0.125),
        (optax.sgd(0.25, momentum=0.9), None),
        (optax.sgd(optax.linear_schedule(0.1, 0.2, 5)), None),
        (optax.chain(optax.clip(1e9), optax.sgd(0.25)), None),
        (optax.chain(optax.add_decayed_weights(1e-3), optax.sgd(0.25)), None),
        (optax.sign_sgd(0.25), None),
        (optax.adam(0.25), None),
        (optax.lbfgs(), None),
    ],
)
def test_plain_gradient_descent_is_recognised(optimizer, step_size):
    assert plain_step_size(optimizer) == step_size
    seen = []
    jax.jit(lambda a: seen.append(plain_step_size(optimizer)) or a)(0.0)
    assert seen == [step_size]


def test_energy_identity_is_first_order_without_chatter():
    data, net = problem(), network(activation="tanh")
    residuals = []
    for h in (0.02, 0.01):
        run = px.descend(data, net, px.gradient_descent(h), num_steps=round(2 / h))
        residuals.append(abs(float(run.accuracy.energy_residual)))
    assert 1.8 < residuals[0] / residuals[1] < 2.2


def test_recorded_functions_see_the_saved_networks():
    data, net = problem(), network()
    run = px.descend(
        data,
        net,
        px.gradient_descent(0.1),
        num_steps=12,
        save=px.every(5),
        record={"network": lambda p, n: n, "loss": px.loss},
    )
    assert run.steps.tolist() == [0, 5, 10, 12]
    assert_close(run.saved["loss"], run.losses)
    saved = np.asarray(run.saved["network"].w)
    _, at_five = by_hand(data, net, optax.sgd(0.1), 5)
    assert_close(saved[1], at_five.w, ulps=1e4)
    assert_close(saved[-1], run.network.w)


def test_divergence_is_an_outcome_and_spares_the_batch():
    data, net = problem(), network()
    descend = lambda h: px.descend(data, net, px.gradient_descent(h), num_steps=200)
    runs = jax.vmap(descend)(np.array([0.05, 1e3, 0.1]))
    assert (runs.outcome == px.Outcome.diverged).tolist() == [False, True, False]
    assert (runs.outcome == px.Outcome.completed).tolist() == [True, False, True]
    lost = lane(runs, 1)
    assert np.isinf(lost.losses[-1])
    assert not np.any(np.isnan(lost.losses))
    assert int(lost.stats.num_steps) < 200
    for leaf in jax.tree.leaves(lost.network):
        assert np.all(np.isfinite(leaf))
    spared = jax.vmap(descend)(np.array([0.05, 0.05, 0.1]))
    assert_close(runs.losses[::2], spared.losses[::2])


def test_divergence_that_overflows_the_loss_first():
    """Parameters of 1e200 are finite, their loss is not."""
    data = px.Problem([[1.0]], [0.0])
    net = px.TwoLayer(w=[[1e200]], b=[0.0], c=[1e200])
    run = px.descend(data, net, px.gradient_descent(1.0), num_steps=3)
    assert bool(run.outcome == px.Outcome.diverged)
    assert int(run.stats.num_steps) == 0
    assert np.all(np.isinf(run.losses))


def test_reverse_derivative_through_the_run():
    data, net = problem(), network()

    def final(c):
        start = eqx.tree_at(lambda n: n.c, net, c)
        run = px.descend(data, start, px.gradient_descent(0.05), num_steps=70)
        return run.losses[-1]

    c, tangent = np.asarray(net.c), np.array([1.0, -2.0, 0.5, 0.3])
    _, gradient = jax.jit(jax.value_and_grad(final))(c)
    along = np.asarray(gradient) @ tangent
    forward = jax.jit(lambda c: jax.jvp(final, (c,), (tangent,)))
    step = 1e-6
    central = (forward(c + step * tangent)[0] - forward(c - step * tangent)[0]) / 2e-6
    # Central differences: truncation and cancellation at step 1e-6.
    assert abs(float(along - central)) < 1e-8
    assert_close(forward(c)[1], along, ulps=1e4)


def test_step_sizes_share_one_program():
    data, net = problem(), network()
    run = eqx.filter_jit(
        eqx.debug.assert_max_traces(
            lambda h: px.descend(data, net, px.gradient_descent(h), num_steps=3),
            max_traces=1,
        )
    )
    for h in (0.1, 0.2):
        run(np.asarray(h))


@pytest.mark.parametrize("optimizer", [px.gradient_descent(0.1), optax.adam(0.1)])
def test_float32_stays_float32(optimizer):
    f32 = jnp.float32
    data = px.Problem(np.ones((3, 2), f32), np.ones(3, f32))
    net = jax.tree.map(lambda leaf: np.asarray(leaf, f32), network())
    run = lambda net: px.descend(data, net, optimizer, num_steps=5)
    for leaf in jax.tree.leaves(jax.eval_shape(run, net)):
        assert leaf.dtype in (f32, jnp.int32, jnp.bool_)


def test_float32_works_without_x64():
    with jax.enable_x64(False):
        data = px.Problem(np.ones((3, 2)), np.ones(3))
        net = network()
        run = px.descend(data, net, px.gradient_descent(0.1), num_steps=40)
        assert run.losses.dtype == jnp.float32
        assert float(run.losses[-1]) < float(run.losses[0])


# --- bad input -----------------------------------------------------------------------


@pytest.mark.parametrize("h", [0.0, -0.1, np.nan, np.inf])
def test_step_size_must_be_positive(h):
    with pytest.raises(ValueError, match="`step_size` must be positive, but is"):
        px.gradient_descent(h)
    with pytest.raises(ValueError, match="`step_size` must be positive, but is"):
        px.descend(problem(), network(), optax.sgd(h), num_steps=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "`num_steps` must be at least 1, but is 0"),
        ({"num_steps": 2.0}, "`num_steps` must be an integer, but is 2.0"),
        ({"chatter_window": 31}, "`chatter_window` must be at least 32, but is 31"),
        ({"max_events": 0}, "`max_events` must be at least 1, but is 0"),
        ({"save": 200}, "`save` must be a schedule such as px.log_spaced"),
        ({"save": px.at([99.0])}, "must end by the end of the run"),
        ({"optimizer": 0.1}, "`optimizer` must be px.gradient_descent"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    arguments = {"optimizer": px.gradient_descent(0.1), "num_steps": 10} | options
    optimizer = arguments.pop("optimizer")
    with pytest.raises((TypeError, ValueError), match=message):
        px.descend(problem(), network(), optimizer, **arguments)


def test_a_network_that_does_not_fit_is_refused():
    wide = draws.two_layer(4, 3)
    with pytest.raises(ValueError, match="as many inputs as the problem, 2, but has 3"):
        px.descend(problem(), wide, px.gradient_descent(0.1), num_steps=1)
    single = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), network())
    with pytest.raises(TypeError, match="problem's dtype, float64, but has float32"):
        px.descend(problem(), single, px.gradient_descent(0.1), num_steps=1)


def test_times_with_a_traced_step_size_are_refused():
    run = lambda h: px.descend(
        problem(),
        network(),
        px.gradient_descent(h),
        num_steps=9,
        save=px.at([0.1]),
    )
    with pytest.raises(
        ValueError, match="must not hold times if the step size is traced"
    ):
        jax.vmap(run)(np.array([0.1, 0.2]))
