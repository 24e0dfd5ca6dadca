"""experiments/staircase.py: its expected numbers are those of the closed forms."""

import json

import numpy as np

import plateaux as px

from .experiment_files import load

study = load("staircase")
EXPECTED = json.loads(study.EXPECTED.read_text())["numbers"]


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


def test_differences_are_named():
    assert study.disagreements(EXPECTED, EXPECTED) == []
    other = EXPECTED | {"last_loss": 0.0037, "floors": EXPECTED["floors"][:-1]}
    assert study.disagreements(other, EXPECTED) == ["floors", "last_loss"]
