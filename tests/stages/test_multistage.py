"""Stages of made-up losses, of the reference run, and of runs with known laws."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.dynamics import reduced
from plateaux.dynamics.trajectory import Accuracy, Stats, Trajectory
from plateaux.stages import Escape, multistage

from ..closeness import assert_close, lane, stacked
from ..dynamics.reference_stages import (
    network,
    neurons,
    odd_network,
    tanh_flow,
    tanh_losses,
)

KEEP = {"network": lambda problem, network: network}
REFERENCE = px.problems.sine_and_square()
LEVEL = 0.17236222  # of the best affine predictor
SIX = [0.0, 1.0, 3.0, 4.0, 5.0, 8.0]
ODD_TIMES = np.linspace(0, 120, 481)
affine_fit = eqx.filter_jit(reduced.affine_fit)


def made_up(times, losses, net=None, saved=None, unit=REFERENCE.time_unit):
    return Trajectory(
        times=jnp.asarray(np.asarray(times, float)),
        steps=jnp.asarray(np.arange(len(times))),
        losses=jnp.asarray(np.asarray(losses, float)),
        saved=saved or {},
        network=network(2, 1.0) if net is None else net,
        outcome=px.Outcome.completed,
        events=None,
        accuracy=Accuracy(None, None),
        stats=Stats(jnp.asarray(np.array(len(times))), None, None),
        time_unit=unit,
    )


# --- measured ------------------------------------------------------------------------


def test_times_are_first_crossings_between_saved_ones():
    """A loss of straight pieces with knots at saved times: nothing is approximate."""
    knots = [0.0, 2.0, 4.0, 8.0, 10.0, 12.0]
    losses = [1.0, 1.0, 1.2 * LEVEL, LEVEL, 0.95 * LEVEL, 0.0]
    stages = multistage(made_up(knots, losses), REFERENCE)
    linear = float(affine_fit(REFERENCE).loss)
    assert abs(linear - LEVEL) < 1e-8
    at = lambda loss: np.interp(-loss, -np.array(losses), knots)
    np.testing.assert_allclose(stages.t10, at(1 - 0.1 * (1 - linear)), rtol=1e-12)
    np.testing.assert_allclose(stages.t90, at(1 - 0.9 * (1 - linear)), rtol=1e-12)
    np.testing.assert_allclose(stages.entry, at(1.02 * linear), rtol=1e-12)
    np.testing.assert_allclose(stages.exit, at(0.9 * linear), rtol=1e-12)
    middle = (stages.entry + stages.exit) / 2
    np.testing.assert_allclose(stages.level, np.interp(middle, knots, losses))
    assert float(stages.duration) == float(stages.exit - stages.entry)
    assert float(stages.initial_loss) == 1.0
    assert int(stages.escape) == Escape.escaped


def test_thresholds_are_arguments():
    times = np.array([0.0, 1.0, 3.0, 4.0, 7.0, 10.0])
    losses = 1 - times / 10
    stages = multistage(
        made_up(times, losses), REFERENCE, share=0.25, enter=2.0, leave=0.5
    )
    fall = 1 - float(stages.linear_loss)
    expected = [2.5 * fall, 7.5 * fall, 10 - 20 * (1 - fall), 10 - 5 * (1 - fall)]
    found = [stages.t10, stages.t90, stages.entry, stages.exit]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_what_was_not_reached_is_never():
    losses = [1.0, 0.99, 0.98, 0.98, 0.98, 0.97]
    stages = multistage(made_up(SIX, losses), REFERENCE)
    assert int(stages.escape) == Escape.none
    assert float(stages.t10) == float(stages.t90) == float(stages.entry) == np.inf
    assert np.isnan(stages.level)
    assert np.isnan(stages.duration)
    assert np.isnan(stages.predicted_exit)


def test_after_divergence_nothing_is_seen():
    losses = [1.0, 1.01 * LEVEL, LEVEL, np.inf, np.inf, np.inf]
    stages = multistage(made_up(SIX, losses), REFERENCE)
    assert int(stages.escape) == Escape.not_yet
    assert float(stages.exit) == np.inf
    middle = (float(stages.entry) + 3) / 2
    expected = np.interp(middle, [0, 1, 3], losses[:3])
    np.testing.assert_allclose(stages.level, expected)


@pytest.mark.parametrize(
    "kind",
    [
        "relu",
        pytest.param("softplus", marks=pytest.mark.slow),
        pytest.param("mlp", marks=pytest.mark.slow),
    ],
)
def test_without_a_law_there_are_no_predictions_but_all_measurements(kind):
    if kind == "mlp":
        net = px.networks.mlp(jax.random.key(0), widths=(2, 2), in_dim=1)
    else:
        net = network(2, 1.0, activation=kind)
    run = made_up([0.0, 1.0, 3.0], [1.0, LEVEL, 0.0], net, standing_still(net, 3))
    stages = multistage(run, REFERENCE)
    assert np.isfinite(stages.exit)
    assert np.isnan([stages.rate, stages.predicted_t10, stages.drive]).all()


def standing_still(net, num):
    """A network saved so many times, as a run records it."""
    rows = lambda leaf: jnp.asarray(np.stack([leaf] * num))
    return {"network": jax.tree.map(rows, net)}


def test_without_flow_time_or_networks_there_are_fewer_predictions():
    fall = [1.0, LEVEL, 0.0, 0.0, 0.0, 0.0]
    steps = made_up(SIX, fall, unit="steps")
    assert np.isnan(multistage(steps, REFERENCE).rate)
    unsaved = multistage(made_up(SIX, fall), REFERENCE)
    assert round(float(unsaved.rate), 6) == 0.472975
    assert np.isnan(unsaved.predicted_t10)


def test_inputs_that_are_not_white_have_no_logistic_prediction():
    stages = multistage(*standing(REFERENCE.x + 1, REFERENCE.x[:, 0] ** 3))
    assert np.isfinite(stages.start_size)
    assert np.isnan(stages.predicted_t10)


def test_a_drive_of_the_wrong_sign_is_told_from_a_run_that_is_too_short():
    for problem, escape in (
        (px.problems.odd_cubic(), Escape.never),
        (px.problems.hyperbolic_tangent(), Escape.not_yet),
    ):
        stages = multistage(*standing(problem.x, problem.y))
        assert int(stages.escape) == escape
        assert np.isfinite(stages.predicted_t10)
        never = float(stages.predicted_exit) == np.inf
        assert never == (escape == Escape.never)


def standing(x, y):
    """A run that stands on the level of the best affine predictor, and its problem."""
    problem, net = px.Problem(x, y), odd_network(64, 1.5)
    level = float(affine_fit(problem).loss)
    num = ODD_TIMES.size
    losses = [1.0, *[level] * (num - 1)]
    return made_up(ODD_TIMES, losses, net, standing_still(net, num)), problem


# --- the reference run ---------------------------------------------------------------


@pytest.fixture(scope="module")
def reference_run():
    times = np.union1d(np.linspace(0, 12, 241)[1:], np.linspace(12, 220, 105))
    net = network(256, 1.0)
    return px.flow(REFERENCE, net, t1=220.0, save=px.at(times[:-1]), record=KEEP)


def test_losses_of_the_reference_run(reference_run):
    times = np.asarray(reference_run.times).round(6)
    given = dict(zip(times, np.asarray(reference_run.losses), strict=True))
    expected = {
        0.0: 0.28429,
        4.0: 0.25318,
        6.0: 0.19624,
        8.0: 0.17383,
        10.0: 0.17236,
        150.0: 0.17148,
        200.0: 0.09293,
    }
    for time, loss in expected.items():
        assert abs(float(given[time]) - loss) < 6e-6


def test_stages_of_the_reference_run(reference_run):
    stages = multistage(reference_run, REFERENCE)
    assert abs(float(stages.t10) / float(stages.predicted_t10) - 1) < 3e-3
    assert abs(float(stages.t90) / float(stages.predicted_t90) - 1) < 3e-3
    assert abs(float(stages.t90 - stages.t10) - 3.9) < 0.03
    assert 7 < float(stages.entry) < 8
    assert 175 < float(stages.exit) < 190
    assert abs(float(stages.level / stages.linear_loss) - 1) < 2e-3
    assert int(stages.escape) == Escape.escaped
    assert np.isnan(stages.predicted_exit)  # its neurons turn
    start = neurons(network(256, 1.0))
    z = np.mean(np.column_stack([REFERENCE.x[:, 0] * REFERENCE.y, REFERENCE.y]), axis=0)
    growing = (start[:, 0] + start[:, 1:] @ z / np.linalg.norm(z)) / 2
    np.testing.assert_allclose(stages.start_size, np.sum(growing**2), rtol=1e-12)


def test_plateaus_without_a_model_are_the_two_of_the_reference_run(reference_run):
    stages = multistage(reference_run, REFERENCE)
    found, own = stages.plateaus, px.plateaus(reference_run, threshold=0.05)
    assert_close(found, own)
    assert int(found.count) == 2
    assert float(found.start[0]) == 0
    assert float(found.end[0]) < float(stages.t10)
    assert float(stages.t90) < float(found.start[1]) < 10
    assert 140 < float(found.end[1]) < float(stages.exit)


# --- laws ----------------------------------------------------------------------------


def test_level_of_the_plateau_is_affine_up_to_one_over_width():
    gaps = []
    for width in (64, 256, 1024):
        rows = tanh_flow(REFERENCE, network(width, 1.0), [20.0], rtol=1e-7, atol=1e-12)
        gaps.append(float(affine_fit(REFERENCE).loss) - tanh_losses(REFERENCE, rows)[0])
    slope = np.polyfit(np.log([64, 256, 1024]), np.log(np.abs(gaps)), 1)[0]
    assert -1.3 < slope < -0.7
    assert abs(gaps[0]) < 0.01 * LEVEL


@pytest.fixture(scope="module")
def odd_problem_and_runs():
    """An odd problem and runs on it from alpha 1 and 1.5, as one batch."""
    named = px.problems.hyperbolic_tangent()
    problem, runs = px.Problem(named.x, named.y), []
    for alpha in (1.0, 1.5):
        net = odd_network(64, alpha)
        rows = tanh_flow(problem, net, ODD_TIMES, rtol=1e-8, atol=1e-12)
        parts = rows[..., 1:-1], rows[..., -1], rows[..., 0]
        parts = tuple(jnp.asarray(np.ascontiguousarray(part)) for part in parts)
        saved = eqx.tree_at(lambda net: (net.w, net.b, net.c), net, parts)
        losses = tanh_losses(problem, rows)
        runs.append(made_up(ODD_TIMES, losses, net, {"network": saved}))
    stack = lambda *rows: jnp.asarray(np.stack(rows))
    return problem, jax.tree.map(stack, *runs)


@pytest.fixture(scope="module")
def odd_runs(odd_problem_and_runs):
    problem, runs = odd_problem_and_runs
    return multistage(runs, problem, leave=0.8)


def test_many_runs_at_once(odd_problem_and_runs, odd_runs):
    problem, runs = odd_problem_and_runs
    for i in range(2):
        alone = multistage(lane(runs, i), problem, leave=0.8)
        together = jax.tree.leaves(lane(odd_runs, i))
        for one, expected in zip(together, jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(one, expected, rtol=1e-12)
    assert odd_runs.escape.shape == (2,)


def test_length_of_the_secondary_plateau_does_not_depend_on_alpha(odd_runs):
    assert odd_runs.escape.tolist() == [Escape.escaped] * 2
    np.testing.assert_allclose(odd_runs.duration, [74.4, 74.4], atol=0.5)
    entry = np.asarray(odd_runs.entry)
    assert entry[1] > entry[0] + 2


def test_blow_up_of_the_fastest_neuron_predicts_the_exit(odd_runs):
    """The law leaves out what holds β, and is too early by its share, 1/ln n."""
    wait = np.asarray(odd_runs.predicted_exit) - np.asarray(odd_runs.entry)
    ratio = np.asarray(odd_runs.duration) / wait
    assert np.all((ratio > 1.2) & (ratio < 1.6))
    np.testing.assert_allclose(odd_runs.drive, 0.177, atol=1e-3)


@pytest.mark.slow
def test_networks_of_the_wrong_sign_do_not_escape():
    problem = px.problems.odd_cubic()
    nets = [odd_network(64, 1.0, seed) for seed in (0, 1, 2)]
    nets = stacked(nets)
    runs = px.flow_many(problem, nets, t1=2000.0, record=KEEP, method="explicit")
    stages = multistage(runs, problem, enter=1.1)
    assert stages.escape.tolist() == [Escape.never] * 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alpha", "widths", "gap"),
    [(1.0, (256, 512), 3.0), (1.5, (32, 64, 128, 256, 512), 0.3)],
)
def test_plateau_times_grow_with_the_logarithm_of_the_width(alpha, widths, gap):
    """T_p = ((2α − 1)/2λ) ln n: means over 32 draws, within three standard errors.

    For α = 1 the law begins late, where u_0 ~ 1/2n is small against λ: its slope is
    0.975 over widths from 32 to 512, and 1.03 from 256 to 512 (theory 1.057).
    """
    means, errors = [], []
    for width in widths:
        nets = [network(width, alpha, seed) for seed in range(32)]
        nets = stacked(nets)
        runs = px.flow_many(
            REFERENCE,
            nets,
            t1=14.0,
            rtol=1e-6,
            save=px.at(np.linspace(0.05, 13.95, 279)),
            record=KEEP,
            method="explicit",
        )
        stages = multistage(runs, REFERENCE)
        late = np.abs(stages.t10 - stages.predicted_t10)
        assert np.median(late) < gap / width
        means.append(np.mean(stages.t10))
        errors.append(np.std(stages.t10) / np.sqrt(32))
    logs = np.log(widths) - np.mean(np.log(widths))
    slope = logs @ means / (logs @ logs)
    error = np.sqrt(np.sum((logs * errors) ** 2)) / (logs @ logs)
    assert error < 0.04
    assert abs(slope - (2 * alpha - 1) / (2 * 0.472975)) < 3 * error


@pytest.mark.slow
def test_length_of_the_secondary_plateau_grows_with_the_width():
    """Duration × max u² × κ at the entry tends to 0.634 from above, slowly."""
    problem = px.problems.hyperbolic_tangent()
    for width, low, high in ((64, 0.70, 0.95), (256, 0.80, 0.88), (1024, 0.74, 0.79)):
        for alpha in (1.0, 1.5):
            net = odd_network(width, alpha)
            save = px.at(np.linspace(0.5, 499.5, 999))
            run = px.flow(problem, net, t1=500.0, rtol=1e-7, save=save, record=KEEP)
            stages = multistage(run, problem, leave=0.8)
            place = int(np.searchsorted(run.times, float(stages.entry)))
            widest = float(jnp.max(run.saved["network"].w[place] ** 2))
            assert low < float(stages.duration * stages.drive) * widest < high


# --- refusals ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": 0.5}, "`share` must be between 0 and 0.5, but is 0.5"),
        ({"enter": 1.0}, "`enter` must be between 1 and inf, but is 1.0"),
        ({"leave": 1.1}, "`leave` must be between 0 and 1, but is 1.1"),
        ({"slope": 0.0}, "`slope` must be positive, but is 0.0"),
    ],
)
def test_bad_numbers_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        multistage(made_up([0.0, 1.0], [1.0, 0.5]), REFERENCE, **options)


def test_losses_without_an_affine_predictor_are_refused():
    labels = px.Problem(np.ones((2, 1)), np.array([-1.0, 1.0]), loss="logistic")
    with pytest.raises(ValueError, match="squared loss .* but is or has Logistic"):
        multistage(made_up([0.0, 1.0], [1.0, 0.5]), labels)
