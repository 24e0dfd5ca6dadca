"""Reduced models against matrix exponentials, SciPy and the flow of whole networks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import plateaux as px
from plateaux.dynamics import reduced

from ..closeness import assert_close, lane, stacked
from ..variants import most_slow
from .reference_stages import (
    network,
    neurons,
    odd_network,
    scaled_network,
    tanh_flow,
    tanh_losses,
)

KEEP = {"network": lambda problem, network: network}
TANH = px.networks.activation("tanh")
REFERENCE = px.problems.sine_and_square()
R_LIN = float(reduced.affine_fit(REFERENCE).loss)


def skewed_problem():
    """Two inputs, not white, with weights and summed: nothing cancels by symmetry."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9, 2)) @ np.array([[1.0, 0.4], [0.0, 0.7]]) + [0.3, -0.2]
    weights = rng.uniform(0.1, 0.3, size=9)
    y = x @ [1.0, -0.5] + np.sin(2 * x[:, 0]) + 0.2
    return px.Problem(x, y, weights=weights, normalisation="sum")


# Runs on REFERENCE save 200 times, whatever the horizon: one program for all.
def even_times(start, end):
    """Without the start, which is saved anyway."""
    return px.at(np.linspace(start, end, 200)[1:-1])


def tight_flow(net, t1, save):
    how = {"rtol": 1e-10, "method": "explicit"}
    return px.flow(REFERENCE, net, t1=t1, save=save, **how)


def small_network(size, activation="gelu", width=4):
    rng = np.random.default_rng(1)
    return px.TwoLayer(
        rng.normal(size=(width, 2)) * size,
        rng.normal(size=width) * size,
        rng.normal(size=width) * size,
        activation=activation,
    )


def moments_of(problem):
    x1 = np.column_stack([problem.x, np.ones(problem.num_data)])
    q = np.asarray(problem.sample_weights)
    return (q * np.asarray(problem.y)) @ x1, (q[:, None] * x1).T @ x1


# --- what small networks see ---------------------------------------------------------


def test_moments_of_the_reference_problem():
    small = reduced.small_weights(REFERENCE, TANH)
    z, moments = moments_of(REFERENCE)
    assert round(float(small.rate), 6) == 0.472975
    np.testing.assert_allclose(small.correlation, z, rtol=1e-13)
    np.testing.assert_allclose(small.moments, np.eye(2), atol=1e-14)
    assert (small.slope, small.bend, small.cubic) == (1.0, 0.0, -2.0)
    assert round(0.5 * np.mean(np.square(REFERENCE.y)), 6) == 0.284215


def test_derivatives_of_an_activation_at_zero():
    small = reduced.small_weights(skewed_problem(), px.networks.activation("gelu"))
    assert small.slope == 0.5
    assert abs(small.bend - np.sqrt(2 / np.pi)) < 1e-15
    assert abs(small.cubic) < 1e-15
    z, _ = moments_of(skewed_problem())
    assert abs(float(small.rate) - 0.5 * np.linalg.norm(z)) < 1e-14


def test_best_affine_predictor():
    assert round(R_LIN, 6) == 0.172362
    problem = skewed_problem()
    x1 = np.column_stack([problem.x, np.ones(9)])
    root = np.sqrt(np.asarray(problem.sample_weights))
    beta, square, *_ = np.linalg.lstsq(root[:, None] * x1, root * problem.y)
    fit = reduced.affine_fit(problem)
    np.testing.assert_allclose(fit.coefficients, beta, rtol=1e-12)
    np.testing.assert_allclose(fit.loss, square[0] / 2, rtol=1e-12)


def test_best_affine_predictor_of_inputs_that_do_not_vary():
    x = np.column_stack([np.linspace(0, 1, 5), np.full(5, 3.0)])
    fit = reduced.affine_fit(px.Problem(x, 2 * x[:, 0] - 1))
    assert float(fit.loss) < 1e-28


# --- stage 1 -------------------------------------------------------------------------


def test_linear_flow_is_the_matrix_exponential_neuron_by_neuron():
    problem, net = skewed_problem(), small_network(1e-3)
    run = reduced.linear_flow(problem, net, t1=3.0, save=px.at([1.0]), record=KEEP)
    z, _ = moments_of(problem)
    generator = np.zeros((4, 4))
    generator[0, 1:] = generator[1:, 0] = 0.5 * z
    for i, time in enumerate([0.0, 1.0, 3.0]):
        expected = neurons(net) @ expm(time * generator).T
        given = neurons(lane(run.saved["network"], i))
        np.testing.assert_allclose(given, expected, rtol=1e-11, atol=1e-17)
    x1 = np.column_stack([problem.x, np.ones(9)])
    f = 0.5 * x1 @ (expected[:, 0] @ expected[:, 1:])
    loss = 0.5 * (f - problem.y) ** 2 @ problem.sample_weights
    np.testing.assert_allclose(run.losses[-1], loss, rtol=1e-12)
    assert bool(run.outcome == px.Outcome.completed)


def test_flow_follows_the_linear_flow_while_weights_are_small():
    net = scaled_network(np.random.default_rng(3), 16, 1e-9)
    full = tight_flow(net, 6.0, even_times(0.0, 6.0))
    model = reduced.linear_flow(REFERENCE, net, t1=6.0)
    error = np.abs(neurons(full.network) - neurons(model.network))
    assert np.all(error < 1e-8 * np.linalg.norm(neurons(net)))
    assert np.max(np.abs(neurons(full.network))) > 10 * 1e-9


def test_linear_flow_ends_where_numbers_overflow():
    net = small_network(1e-3)
    run = reduced.linear_flow(skewed_problem(), net, t1=1e4)
    assert bool(run.outcome == px.Outcome.diverged)
    assert np.all(np.isfinite(neurons(run.network)))
    finite = np.isfinite(run.losses)
    assert 0 < finite.sum() < 200
    assert np.all(np.diff(finite.astype(int)) <= 0)


# --- stage 2 -------------------------------------------------------------------------


def linear_flow_by_scipy(problem, net, slope, times):
    z, moments = moments_of(problem)
    start = neurons(net)

    def field(_, flat):
        theta = flat.reshape(start.shape)
        g = slope * (z - slope * moments @ (theta[:, 0] @ theta[:, 1:]))
        return np.column_stack([theta[:, 1:] @ g, theta[:, :1] * g]).ravel()

    run = solve_ivp(
        field, (0, times[-1]), start.ravel(), "DOP853", times, rtol=1e-12, atol=1e-25
    )
    return run.y.T.reshape(-1, *start.shape)


def test_moment_flow_is_the_linear_network_for_any_covariance():
    problem, net = skewed_problem(), small_network(1e-8)
    times, propagated = [0.0, 5.0, 15.0, 20.0, 40.0], jax.jit(reduced.propagated)
    run = reduced.moment_flow(
        problem, net, t1=40.0, rtol=1e-11, save=px.at(times), record=KEEP
    )
    rows = linear_flow_by_scipy(problem, net, 0.5, times)
    for i, theta in enumerate(rows):
        size = np.linalg.norm(theta)
        given = neurons(lane(run.saved["network"], i))
        assert np.max(np.abs(given - theta)) < 1e-7 * size
        gap = np.max(np.abs(np.asarray(run.saved["moments"])[i] - theta.T @ theta))
        assert gap < 1e-7 * size**2
        again = propagated(net, np.asarray(run.saved["propagator"])[i])
        assert_close(again, lane(run.saved["network"], i))
    assert_close(run.network, lane(run.saved["network"], 4), ulps=1e3)
    beta = rows[-1][:, 0] @ rows[-1][:, 1:]
    f = 0.5 * np.column_stack([problem.x, np.ones(9)]) @ beta
    loss = 0.5 * (f - problem.y) ** 2 @ problem.sample_weights
    np.testing.assert_allclose(run.losses[-1], loss, rtol=1e-7)


@pytest.mark.slow  # seen against SciPy above
def test_moment_flow_is_the_flow_of_an_identity_network():
    net = network(8, 1.0, activation="identity")
    full = px.flow(REFERENCE, net, t1=12.0, method="explicit")
    model = reduced.moment_flow(REFERENCE, net, t1=12.0)
    np.testing.assert_allclose(model.losses, full.losses, rtol=1e-6)
    np.testing.assert_allclose(neurons(model.network), neurons(full.network), atol=1e-7)
    assert float(model.accuracy.balancedness) < 1e-7


def test_error_of_the_moment_flow_and_of_its_propagator_fall_like_one_over_width():
    """The entry of the secondary plateau at t = 12, tanh, initial sizes 1/n."""
    errors, residuals, gaps = [], [], []
    for width in (64, 256, 1024):
        net = network(width, 1.0)
        theta = tanh_flow(REFERENCE, net, [12.0], rtol=1e-8, atol=1e-10)[0]
        run = reduced.moment_flow(REFERENCE, net, t1=12.0)
        gram = theta.T @ theta
        moments = np.asarray(run.saved["moments"])[-1]
        error = np.linalg.norm(moments - gram) / np.linalg.norm(gram)
        fit = np.linalg.lstsq(neurons(net), theta)[0]
        miss = np.linalg.norm(theta - neurons(net) @ fit) / np.linalg.norm(theta)
        errors.append(error)
        residuals.append(miss)
        gaps.append(float(run.losses[-1]) - tanh_losses(REFERENCE, [theta])[0])
    np.testing.assert_allclose(errors, [1.46e-2, 4.73e-3, 1.08e-3], rtol=0.01)
    np.testing.assert_allclose(residuals, [1.29e-2, 4.67e-3, 9.49e-4], rtol=0.01)
    np.testing.assert_allclose(gaps, [2e-4, 5e-5, 1e-5], rtol=0.1)
    for values in (errors, residuals, gaps):
        slope = np.polyfit(np.log([64, 256, 1024]), np.log(values), 1)[0]
        assert -1.15 < slope < -0.85


def test_logistic_losses_of_a_wide_network():
    net, times = network(512, 1.0), np.linspace(0, 12, 25)
    rows = tanh_flow(REFERENCE, net, times, rtol=1e-7, atol=1e-10)
    run = reduced.logistic_flow(REFERENCE, net, t1=12.0, save=px.at(times))
    assert np.max(np.abs(run.losses - tanh_losses(REFERENCE, rows))) < 1e-3


def test_logistic_law_solves_its_equation_and_inverts():
    law = reduced.logistic_law(REFERENCE, network(64, 1.0))
    rate, limit, start = map(float, (law.rate, law.limit, law.start))
    assert abs(limit - rate) < 1e-12  # white inputs: S = 1
    times = np.linspace(0, 12, 7)
    field = lambda _, u: 2 * u * (rate - u)
    exact = solve_ivp(field, (0, 12), [start], t_eval=times, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(law.size(times), exact.y[0], rtol=1e-9)
    np.testing.assert_allclose(law.time(law.size(times)), times, atol=1e-10)
    gap = law.descent_time(0.9) - law.descent_time(0.1)
    assert abs(float(gap) - 3.899) < 1e-3
    t10 = law.time(limit * (1 - np.sqrt(0.9)))
    assert abs(float(t10 - law.descent_time(0.1))) < 1e-9
    z, _ = moments_of(REFERENCE)
    theta = neurons(network(64, 1.0))
    growing = (theta[:, 0] + theta[:, 1:] @ z / np.linalg.norm(z)) / 2
    assert abs(np.sum(growing**2) - start) < 1e-15


def test_logistic_flow_of_condensed_neurons_is_the_moment_flow():
    """Condensed in the direction of an eigenvector of covariance 4, slope 1/2."""
    problem = px.Problem(np.array([[-2.0], [2.0]]), np.array([-3.0, 3.0]))
    a = np.array([1e-3, -2e-3])
    net = px.TwoLayer(a[:, None], np.zeros(2), a, activation="gelu")
    save = px.at([1.0, 2.0, 3.0, 4.0])
    law = reduced.logistic_flow(problem, net, t1=5.0, save=save, record=KEEP)
    rows = linear_flow_by_scipy(problem, net, 0.5, law.times)
    for i, theta in enumerate(rows):
        given = neurons(lane(law.saved["network"], i))
        np.testing.assert_allclose(given, theta, rtol=1e-8, atol=1e-14)
    beta = rows[:, :, 0][:, None, :] @ rows[:, :, 1:]
    f = 0.5 * beta[:, 0, :1] * [-2.0, 2.0]
    losses = 0.5 * np.mean((f - [-3.0, 3.0]) ** 2, axis=1)
    np.testing.assert_allclose(law.losses, losses, atol=1e-9)


# --- exit from the initial plateau ---------------------------------------------------


@pytest.mark.parametrize("size", [1e-6, 1e-12])
def test_exit_from_the_plateau_is_on_time_from_any_initial_size(size):
    net = scaled_network(np.random.default_rng(3), 16, size)
    exact = float(reduced.logistic_law(REFERENCE, net).descent_time(0.1))
    save = px.at(np.linspace(exact - 1, exact + 1, 199)[:-1])
    run = tight_flow(net, exact + 1, save)
    assert abs(exit_of(run.times, run.losses) / exact - 1) < 1e-3
    model = reduced.moment_flow(REFERENCE, net, t1=exact + 1, save=save)
    measured = float(px.stages.multistage(model, REFERENCE).t10)
    assert abs(measured / exact - 1) < 1e-5
    assert abs(measured / exit_of(model.times, model.losses) - 1) < 1e-12
    # An absolute tolerance of 1e-6 is content with growth by a wrong factor.
    theirs = lambda atol: exit_by_scipy(net, exact, rtol=1e-6, atol=atol)
    assert abs(theirs(1e-6) / exact - 1) > 1e-3
    assert abs(theirs(1e-25) / exact - 1) < 1e-3


def exit_of(times, losses):
    """When a tenth of the descent to R_lin is done."""
    times, losses = np.asarray(times), np.asarray(losses)
    level = losses[0] - 0.1 * (losses[0] - R_LIN)
    i = np.argmax(losses <= level)
    share = (losses[i - 1] - level) / (losses[i - 1] - losses[i])
    return times[i - 1] + share * (times[i] - times[i - 1])


def exit_by_scipy(net, expected, **tolerances):
    times = np.linspace(0, 1.5 * expected, 3000)
    losses = tanh_losses(REFERENCE, tanh_flow(REFERENCE, net, times, **tolerances))
    return exit_of(times, losses)


# --- stage 3 -------------------------------------------------------------------------


def one_neuron(kappa, c, u, times):
    field = lambda _, s: [kappa * s[1] ** 3 / 3, kappa * s[0] * s[1] ** 2]
    return solve_ivp(
        field, (0, times[-1]), [c, u], "DOP853", times, rtol=1e-12, atol=1e-14
    ).y.T


@pytest.mark.parametrize(
    ("kappa", "c", "u"),
    [(1.0, 0.3, 0.2), (0.7, -0.3, -0.2), (2.0, -0.1, 0.3), (-1.5, -0.2, 0.1)],
)
def test_blow_up_time_of_one_neuron(kappa, c, u):
    """A thousandth before it the neuron is as large as u ~ (3/κ²(t* − t))^½ says."""
    time = float(reduced.blow_up_time(kappa, c, u))
    last = one_neuron(kappa, c, u, [0.999 * time])[-1]
    # Near its end 3c² − u² is nothing, so that u̇ = |κ| u³/√3.
    expected = np.sqrt(np.sqrt(3) / (2 * abs(kappa) * 0.001 * time))
    assert abs(abs(last[1]) / expected - 1) < 1e-2


@pytest.mark.parametrize(("kappa", "c", "u"), [(1.0, -0.3, 0.2), (-1.0, 0.2, 0.2)])
def test_neurons_of_the_wrong_sign_never_blow_up(kappa, c, u):
    assert float(reduced.blow_up_time(kappa, c, u)) == np.inf
    last = one_neuron(kappa, c, u, [1e4])[-1]
    assert np.max(np.abs(last)) < 0.3


def test_blow_up_time_of_a_balanced_neuron():
    time = float(reduced.blow_up_time(0.5, 0.1, 0.1))
    assert abs(time * 0.5 * 0.01 - (3 - np.sqrt(3)) / 2) < 1e-12


def test_cubic_drive_of_the_problems():
    drive = reduced.cubic_drive(REFERENCE, TANH)
    assert round(float(drive.moment), 4) == -0.0496
    assert not bool(drive.keeps_direction)
    drive = reduced.cubic_drive(px.problems.hyperbolic_tangent(), TANH)
    assert round(float(drive.moment), 3) == -0.177
    assert float(drive.rate) == -float(drive.moment)
    assert bool(drive.keeps_direction)
    assert float(reduced.cubic_drive(px.problems.odd_cubic(), TANH).moment) > 0


def test_cubic_flow_of_neurons_alone_is_the_closed_form():
    problem = px.problems.hyperbolic_tangent()
    net = px.TwoLayer([[0.1], [1e-7]], [0.0, 0.0], [0.1, 1e-7], activation="tanh")
    kappa = float(reduced.cubic_drive(problem, TANH).rate)
    end = float(reduced.blow_up_time(kappa, 0.1, 0.1))
    times = [0.5 * end, 0.9 * end, 0.999999 * end, 1.000001 * end]
    run = reduced.cubic_flow(
        problem, net, t1=2 * end, hold=False, rtol=1e-10, save=px.at(times), record=KEEP
    )
    exact, saved = one_neuron(kappa, 0.1, 0.1, times[:2]), run.saved["network"]
    np.testing.assert_allclose(saved.c[1:3, 0], exact[:, 0], rtol=1e-7)
    np.testing.assert_allclose(saved.w[1:3, 0, 0], exact[:, 1], rtol=1e-7)
    assert np.isfinite(run.losses).tolist() == [True] * 4 + [False] * 2
    assert bool(run.outcome == px.Outcome.diverged)
    np.testing.assert_allclose(run.network.c[1], 1e-7, rtol=1e-9)
    c, u = exact[1]
    level = float(reduced.affine_fit(problem).loss)
    np.testing.assert_allclose(run.losses[2], level - kappa / 3 * c * u**3, rtol=1e-7)


def test_cubic_flow_is_the_gradient_flow_of_its_loss_where_beta_is_held():
    problem, net = skewed_problem(), small_network(0.1, "sin", width=3)
    h = 1e-3
    run = reduced.cubic_flow(
        problem, net, t1=2 * h, save=px.at([h, 2 * h]), record=KEEP
    )
    x1 = np.column_stack([problem.x, np.ones(9)])
    e = problem.sample_weights * reduced.affine_fit(problem).residual
    rows = np.array([neurons(lane(run.saved["network"], i)) for i in range(3)])

    def energy(theta):  # φ''' = −1
        return jnp.sum(theta[:, 0] * ((theta[:, 1:] @ x1.T) ** 3 @ e)) / 6

    beta = lambda theta: theta[:, 0] @ theta[:, 1:]
    slopes = jax.jit(lambda theta: (jax.grad(energy)(theta), jax.jacobian(beta)(theta)))
    down, normal = map(np.asarray, slopes(rows[1]))
    down, normal = -down.ravel(), normal.reshape(3, -1)
    along = down - normal.T @ np.linalg.lstsq(normal.T, down)[0]
    velocity = (rows[2] - rows[0]).ravel() / (2 * h)
    np.testing.assert_allclose(velocity, along, atol=1e-6 * np.linalg.norm(along))
    np.testing.assert_allclose(beta(rows[2]), beta(rows[0]), atol=1e-13)
    slope = np.diff(np.asarray(run.losses)[[0, 2]])[0] / (2 * h)
    np.testing.assert_allclose(slope, -along @ along, rtol=1e-5)
    assert np.linalg.norm(along) < 0.99 * np.linalg.norm(down)


replicator_shares = jax.jit(reduced.replicator_shares)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_replicator_shares_against_scipy(sign):
    start = np.array([0.35, 0.3, 0.2, 0.15, 0.0])
    times = np.array([0.0, 1.0, 5.0, 60.0])
    field = lambda _, p: sign * p * (p - np.sum(p**2))
    exact = solve_ivp(field, (0, 60), start, "DOP853", times, rtol=1e-11, atol=1e-15)
    shares = replicator_shares(start, times, sign)
    np.testing.assert_allclose(shares, exact.y.T, atol=1e-9)


def test_replicator_flow_resizes_neurons_and_keeps_beta():
    problem = px.problems.hyperbolic_tangent()
    a = np.array([0.2, -0.1, 0.15])
    net = px.TwoLayer(a[:, None], np.zeros(3), a, activation="tanh")
    run = reduced.replicator_flow(problem, net, t1=100.0, save=px.at([20.0]))
    kappa, total = float(reduced.cubic_drive(problem, TANH).rate), np.sum(a**2)
    field = lambda _, q: 4 / 3 * kappa * q * (q - np.sum(q**2) / total)
    q = solve_ivp(field, (0, 100), a**2, rtol=1e-10, atol=1e-14).y[:, -1]
    c, w = np.asarray(run.network.c), np.asarray(run.network.w)[:, 0]
    np.testing.assert_allclose(c**2, q, rtol=1e-6)
    np.testing.assert_allclose(c * w, q, rtol=1e-6)
    level = float(reduced.affine_fit(problem).loss)
    last = np.asarray(run.losses)[-1]
    np.testing.assert_allclose(last, level - kappa / 3 * np.sum(q**2))


# --- trajectories --------------------------------------------------------------------

MODELS = {
    "linear": reduced.linear_flow,
    "moments": reduced.moment_flow,
    "logistic": reduced.logistic_flow,
    "cubic": reduced.cubic_flow,
    "replicator": reduced.replicator_flow,
}
models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def odd_run(model, net, **options):
    return model(px.problems.hyperbolic_tangent(num_data=8), net, t1=2.0, **options)


@pytest.mark.parametrize("model", most_slow(MODELS.values(), [reduced.logistic_flow]))
def test_a_batch_of_models_gives_what_a_loop_gives(model):
    nets = [odd_network(4, 1.0, seed) for seed in (0, 1)]
    run = lambda net: odd_run(model, net, save=px.log_spaced(3), record=KEEP)
    together = jax.vmap(run)(stacked(nets))
    for i, net in enumerate(nets):
        one = run(net)
        assert_close(lane(together, i), one, ulps=1e4)
        assert_close(lane(one.saved["network"], 0), net)
        assert one.times.shape == one.losses.shape == one.steps.shape == (3,)
        assert isinstance(one.network, px.TwoLayer)
        assert one.network.activation == TANH
        assert one.time_unit == px.problems.hyperbolic_tangent().time_unit


def test_models_are_compared_like_runs():
    net, problem = network(64, 1.0), REFERENCE
    options = {"t1": 4.0, "save": even_times(0.0, 4.0), "record": KEEP}
    run, early = reduced.moment_flow, reduced.linear_flow
    found = px.compare(
        run(problem, net, **options),
        early(problem, net, **options),
        problem,
        curvature=False,
    )
    late = np.asarray(found.times) >= 1
    assert np.all(np.diff(np.asarray(found.relative_distance)[late]) > 0)
    assert 1 < float(found.divergence_time) <= 4


@models
def test_models_keep_single_precision_in_batches(model):
    problem = px.problems.hyperbolic_tangent(num_data=8, dtype="float32")
    single = lambda a: np.asarray(a, np.float32)
    net = px.TwoLayer(single([[0.1]]), single([0.0]), single([0.2]), activation="tanh")
    run = jax.vmap(lambda net: model(problem, net, t1=1.0, save=px.log_spaced(3)))
    shapes = eqx.filter_eval_shape(run, stacked([net, net]))
    assert shapes.losses.shape == (2, 3)
    for leaf in jax.tree.leaves(eqx.filter(shapes, lambda a: hasattr(a, "dtype"))):
        assert leaf.dtype in (jnp.float32, jnp.int32, jnp.bool_)


# --- refusals ------------------------------------------------------------------------

NET = network(2, 1.0)
LOGISTIC = px.Problem(np.ones((2, 1)), np.array([-1.0, 1.0]), loss="logistic")
OUTPUTS = px.Problem(np.ones((2, 1)), np.ones((2, 2)))
SKEWED = px.Problem(np.array([[0.0], [1.0], [3.0]]), np.array([0.0, 2.0, 1.0]))
EVEN = px.Problem(np.array([[-1.0], [1.0]]), np.array([1.0, -1.0]) * 0.0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: reduced.linear_flow(
                REFERENCE, network(2, 1, activation="relu"), t1=1.0
            ),
            ValueError,
            "must be smooth at 0 with .* but is ReLU.*; take tanh, erf, sin",
        ),
        (
            lambda: reduced.moment_flow(
                REFERENCE, network(2, 1, activation="softplus"), t1=1.0
            ),
            ValueError,
            r"but is Softplus\(\) with φ\(0\) = 0.693147",
        ),
        (
            lambda: reduced.linear_flow(
                REFERENCE, network(2, 1, activation="relu2"), t1=1.0
            ),
            ValueError,
            r"φ'\(0\) not 0 for a reduced model, but is ReLUPower",
        ),
        (
            lambda: reduced.cubic_flow(
                REFERENCE, network(2, 1, activation="gelu"), t1=1.0
            ),
            ValueError,
            r"must have φ''\(0\) = 0 for a cubic drive, but is GELU",
        ),
        (
            lambda: reduced.linear_flow(LOGISTIC, NET, t1=1.0),
            ValueError,
            "squared loss to have a best affine predictor, but is or has Logistic",
        ),
        (
            lambda: reduced.affine_fit(OUTPUTS),
            ValueError,
            r"scalar targets of shape \(K,\), but has 2 outputs",
        ),
        (
            lambda: reduced.moment_flow(
                REFERENCE,
                px.TwoLayer([[1.0]], [0.0], [1.0], [0.0, 0.0], activation="tanh"),
                t1=1.0,
            ),
            ValueError,
            "no affine part `p` to have a reduced model, but has one",
        ),
        (
            lambda: reduced.moment_flow(REFERENCE, "net", t1=1.0),
            TypeError,
            "must be a TwoLayer to have a reduced model, but is a str",
        ),
        (
            lambda: reduced.moment_flow(
                REFERENCE, NET, t1=1.0, record={"moments": lambda p, n: n.c}
            ),
            ValueError,
            r"must not use the names .* but uses \['moments'\]",
        ),
        (
            lambda: reduced.logistic_flow(SKEWED, NET, t1=1.0),
            ValueError,
            "must have white inputs.*; use px.dynamics.reduced.moment_flow",
        ),
        (
            lambda: reduced.logistic_law(EVEN, NET),
            ValueError,
            r"must have E\[y x̃\] not 0 for the logistic law",
        ),
        (
            lambda: reduced.replicator_flow(REFERENCE, NET, t1=1.0),
            ValueError,
            "keep their direction.*; use px.dynamics.reduced.cubic_flow",
        ),
        (
            lambda: reduced.cubic_flow(REFERENCE, NET, t1=1.0, hold=1),
            TypeError,
            "`hold` must be true or false, but is 1",
        ),
        (
            lambda: reduced.linear_flow(REFERENCE, NET, t1=-1.0),
            ValueError,
            "`t1` must be positive, but is -1.0",
        ),
        (
            lambda: reduced.moment_flow(REFERENCE, NET, t1=1.0, rtol=1e-20),
            ValueError,
            "`rtol` must be from 3.6e-15",
        ),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
