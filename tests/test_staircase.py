"""experiments/staircase.py: its expected numbers are those of the closed forms."""

import numpy as np

import plateaux as px
from plateaux.experiments import shelf

from .experiment_files import load

study = load("staircase")
EXPECTED = shelf.expected("staircase")["full"]["numbers"]


def test_expected_floors_are_those_of_two_lines():
    group = lambda q: q * (q**2 - 1) * (q**2 - 4) / 180
    floor = lambda k: (group(k) + group(20 - k)) / 2 / 20**4
    left = EXPECTED["left_of_kink"]
    assert left == [4, 5, 6, 7, 8, 9]
    np.testing.assert_allclose(EXPECTED["floors"], [floor(k) for k in left], rtol=1e-9)
    np.testing.assert_allclose(EXPECTED["last_loss"], floor(9), rtol=1e-9)
    np.testing.assert_allclose(EXPECTED["best_loss"], floor(10), rtol=1e-9)
    assert np.all(np.array(EXPECTED["ends"]) < EXPECTED["proven_ends"])


def test_the_setting_starts_on_the_first_floor():
    problem, start = study.setting(study.Config())
    np.testing.assert_allclose(
        px.patterns.cell_fit(problem, start).value, EXPECTED["floors"][0], rtol=1e-9
    )
    bounds = px.patterns.exit_bounds(problem, start)
    np.testing.assert_allclose(bounds.first, EXPECTED["proven_ends"][0], rtol=1e-8)


def test_the_joint_method_goes_on_to_the_best_of_all():
    """From the local minimum of nine data, built by hand, to ten; others stay."""
    problem, _ = study.setting(study.Config())
    x = problem.x[:, 0]
    left, right = (
        np.polyfit(x[part], problem.y[part], 1) for part in (x < 0.47, x > 0.47)
    )
    slope, jump = right - left
    network = px.TwoLayer([[1.0]], [jump / slope], [slope], left)
    np.testing.assert_allclose(px.loss(problem, network), EXPECTED["last_loss"])
    runs = study.go_on(problem, network)
    losses = [run.losses[-1] for run in runs.values()]
    np.testing.assert_allclose(losses, EXPECTED["anls_losses"], rtol=1e-9)
    found = [study.left_of_kink(problem, run.network) for run in runs.values()]
    assert found == EXPECTED["anls_left_of_kink"]
