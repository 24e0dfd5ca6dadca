"""The reference run of multi-stage dynamics: what its diagnostics say, to the digit.

A tanh network of 256 neurons from weights of size 1/256 on sin 2x + 0.3 x² − 0.1,
after Chen, Luo & Wang (2024), arXiv:2410.20119. It waits, learns the best affine
predictor, waits again, and one neuron takes over.
"""

import numpy as np
import pytest
from scipy import stats

import plateaux as px
from plateaux import diagnostics

WIDTH = 256
TIMES = [0.0, 4.0, 6.0, 8.0, 10.0, 100.0, 150.0, 180.0, 200.0, 250.0]
RECORD = {
    "condensation": diagnostics.condensation,
    "amplitudes": diagnostics.amplitudes,
    "distance": diagnostics.amplitude_distance,
}


@pytest.fixture(scope="module")
def run():
    x = np.linspace(-1, 1, 64)
    x = (x - x.mean()) / x.std()
    problem = px.Problem(x[:, None], np.sin(2 * x) + 0.3 * x**2 - 0.1)
    draw = np.random.default_rng(0).normal(size=3 * WIDTH) / WIDTH
    v = draw[WIDTH:].reshape(WIDTH, 2)
    net = px.TwoLayer(v[:, :1], v[:, 1], draw[:WIDTH], activation="tanh")
    return px.flow(problem, net, t1=250.0, save=px.at(TIMES), record=RECORD)


def at(run, values, *times):
    return np.asarray(values)[[TIMES.index(time) for time in times]]


def test_losses(run):
    times = 0.0, 4.0, 6.0, 8.0, 10.0, 150.0, 200.0
    expected = [0.28429, 0.25318, 0.19624, 0.17383, 0.17236, 0.17148, 0.09293]
    np.testing.assert_allclose(at(run, run.losses, *times), expected, atol=6e-6)


def test_distance_of_outer_from_inner_weights(run):
    times = 0.0, 10.0, 100.0, 180.0, 200.0, 250.0
    expected = [0.0266, 0.0079, 0.0168, 0.0542, 0.0825, 0.0349]
    found = np.sqrt(WIDTH) * at(run, run.saved["distance"], *times)
    np.testing.assert_allclose(found, expected, atol=6e-5)
    inner, outer = run.saved["amplitudes"]
    other = [
        stats.wasserstein_distance(*pair) for pair in zip(inner, outer, strict=True)
    ]
    np.testing.assert_allclose(run.saved["distance"], other, rtol=1e-10)


def test_condensation(run):
    found = run.saved["condensation"]
    look = lambda name: at(run, getattr(found, name), 0.0, 10.0, 200.0)
    np.testing.assert_allclose(look("alignment"), [0.647, 0.948, 0.227], atol=6e-4)
    np.testing.assert_allclose(look("largest_inner"), [0.015, 0.125, 1.49], rtol=0.03)
    np.testing.assert_allclose(look("participation"), [118, 87, 1.5], rtol=0.01)
    assert look("num_directions").tolist() == [8, 3, 1]
