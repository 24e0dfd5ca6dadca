"""What the experiment on deep random networks computes beside the library."""

import math
import sys

import jax
import numpy as np
import pytest

import plateaux as px
from plateaux.experiments import shelf

from .experiment_files import load, quickly

study = load("vanishing_depth")
chains, widths, spectra = study.chains, study.widths, study.spectra
architectures, figures = study.architectures, study.figures
rows = sys.modules["vanishing.rows"]
laws = px.statistics
EXPECTED = shelf.expected("vanishing_depth")["full"]["numbers"]


def weights(name, depth, lanes):
    """Those of the chains that the experiment draws."""
    options = chains.CHAINS[name][0](depth)
    draw = lambda key: px.networks.chain(key, depth=depth, **options).weights
    keys = lambda: jax.random.split(jax.random.key(depth), lanes)
    return np.asarray(quickly(lambda: jax.vmap(draw)(keys()))())


def derivatives(factors):
    """Gradient and Hessian of ½(1 − Π)² by products without one and two factors."""
    depth = len(factors)
    without = lambda *out: np.prod(np.delete(factors, out))
    rest = np.prod(factors) - 1
    first = np.array([without(i) for i in range(depth)])
    second = np.array(
        [[0 if i == j else without(i, j) for j in range(depth)] for i in range(depth)]
    )
    return rest * first, np.outer(first, first) + rest * second


def test_chains_have_the_derivatives_of_their_products():
    found = chains.chains("residual", 3, 4)
    for lane, row in enumerate(1 + weights("residual", 3, 4)):
        gradient, hessian = derivatives(row)
        values = np.linalg.eigvalsh(hessian)
        wanted = {
            "output": np.log(abs(np.prod(row))),
            "gradient": np.log(np.linalg.norm(gradient)),
            "radius": np.log(np.max(np.abs(values))),
            "first": np.log(abs(gradient[0] / (np.prod(row) - 1))),
        }
        for key, value in wanted.items():
            np.testing.assert_allclose(found[key][lane], value, rtol=1e-9)
        assert bool(found["negative"][lane]) == (values[0] < 0)


def test_relu_chains_are_dead_unless_all_weights_but_the_last_are_positive():
    found = chains.chains("ReLU", 3, 80)
    alive = np.all(weights("ReLU", 3, 80)[:, :-1] > 0, axis=1)
    np.testing.assert_array_equal(~np.asarray(found["dead"]), alive)
    row = chains.chain_row("ReLU", 3, found)
    assert row["dead"][0] == 1 - alive.mean()
    assert row["dead, law"] == 0.75
    assert row["log |f|"][0] == rows.median(np.asarray(found["output"])[alive])[0]


@pytest.mark.parametrize("depth", [2, 5])
def test_chains_have_one_eigenvalue_of_one_sign_unless_their_product_is_near_one(depth):
    rng = np.random.default_rng(depth)
    factors = rng.uniform(-(3**0.5), 3**0.5, size=(4000, depth))
    values = np.array([np.linalg.eigvalsh(derivatives(row)[1]) for row in factors])
    product = np.prod(factors, axis=1)
    inside = (product >= (depth - 1) / (2 * depth - 1)) & (product <= 1)
    np.testing.assert_array_equal(spectra.lone(values), ~inside)
    np.testing.assert_array_equal(values[:, 0] < 0, ~inside)
    law = chains.indefinite(laws.chain_law(depth), depth)
    low, high = rows.share(~inside)[1:]
    assert low < law < high


def test_rows_of_a_sweep_are_those_of_its_law():
    depth, width, lanes = 2, 8, 300
    spec = widths.specification("relu", ["he"], [width], [depth], lanes)
    law = laws.relu_law
    row, (band, exact) = widths.measure(spec, law)["he", width, depth]
    assert row["median, law"] == pytest.approx(law(width, depth).median / 2)
    for key in ("log |h|", "log |df/dW_1|"):
        assert row[f"{key}, distance"] < 1.2  # one key, so the same at every run
        assert row[key][1] < row["median, law"] < row[key][2]
    np.testing.assert_allclose(band.estimate[1], row["log |h|"][0])
    np.testing.assert_allclose(exact[1], row["median, law"])
    low, high = row["dead"][1:]
    assert low < 1 - laws.alive_probability(width, depth) < high


def test_architectures_have_no_biases_and_the_sizes_of_their_layers():
    for name, wanted in {"tanh": 1, "residual": 1 / 2, "batch norm": 2}.items():
        network = quickly(lambda name=name: architectures.draw(name, 2, 200))()
        assert network.biases is None
        assert network.embedding.shape == (200, 8, 8)
        found = np.var(np.asarray(network.weights[1])) * 8
        # 12 800 entries: a standard deviation of 1.3 %
        assert found == pytest.approx(wanted, rel=0.06)
        assert np.var(np.asarray(network.readout)) * 8 == pytest.approx(1, rel=0.12)


def test_pooled_spectra_leave_out_dead_lanes_and_round_to_zero():
    nodes = np.array([[-1e-3, 1e-15, 0.1], [0.0, 0.0, 0.0], [-10.0, -1.0, 1.0]])
    weights = np.array([[0.2, 0.5, 0.3]] * 3)
    density = px.diagnostics.curvature.SpectralDensity(nodes, weights)
    values, mass, row = spectra.pooled(density)
    np.testing.assert_array_equal(values, [-1e-3, 0, 0.1, -10, -1, 1])
    np.testing.assert_array_equal(mass, [0.2, 0.5, 0.3] * 2)
    assert row["dead"][0] == 1 / 3
    # the median of two is the lower one
    assert [row[key][0] for key in ("log10 rho", "negative", "zero")] == [-1, 0.2, 0]


def test_bands_of_depths_stand_side_by_side():
    bands = [laws.Interval(*(np.arange(3) + i for _ in range(3))) for i in (0, 5)]
    np.testing.assert_array_equal(
        figures.of_depths(bands).low, [[0, 5], [1, 6], [2, 7]]
    )


def test_medians_and_shares_have_intervals():
    assert rows.median(np.arange(100.0)) == [49, 39, 59]
    assert math.isnan(rows.median([])[0])
    assert rows.share(np.array([True, False]))[0] == 0.5
    law = laws.chain_law(4)
    middle = law.quantile((np.arange(50) + 0.5) / 50)
    critical = 1.358 / 50**0.5  # its limit
    assert rows.distance(middle, law) == pytest.approx(0.01 / critical, rel=0.03)


def test_expected_numbers_say_what_is_claimed():
    mid = lambda name, key: EXPECTED[name][key][0]
    for name, row in EXPECTED.items():
        distances = [value for key, value in row.items() if "distance" in key]
        assert all(value < 1.5 for value in distances), name
    for depth in (16, 64, 1000):
        assert mid(f"Gaussian chain, L = {depth}", "L |g|/rho") == pytest.approx(
            1.3, rel=0.1
        )
    for key in ("|g|", "rho"):
        plain, tanh, residual, batch = (
            mid(f"{name}, L = 48", key) / mid(f"{name}, L = 4", key)
            for name in ("plain", "tanh", "residual", "batch norm")
        )
        assert plain < tanh < 1 < residual < batch
    assert mid("ReLU, d = 64, L = 64", "log |h|") > mid(
        "ReLU, d = 16, L = 64", "log |h|"
    )
