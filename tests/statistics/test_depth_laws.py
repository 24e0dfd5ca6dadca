"""The laws of III.2 against SciPy, sums of digammas and drawn networks."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

import plateaux as px
from plateaux.statistics import (
    alive_probability,
    chain_law,
    critical_width,
    leading_order,
    linear_law,
    relu_law,
    residual_chain_law,
    vanishing_depth,
)

LAWS = {
    "uniform": chain_law(7),
    "gaussian": chain_law(7, "gaussian"),
    "linear": linear_law(5, 7),
    "relu": relu_law(5, 7),
    "residual": residual_chain_law(7, 0.8),
}


# --- the series against laws with a closed form -------------------------------------


@pytest.mark.parametrize("depth", [4, 16, 64, 300])
def test_the_series_gives_the_gamma_law(depth):
    law = chain_law(depth)
    series = dataclasses.replace(law, gamma_shift=None)
    x = law.mean + np.linspace(-8, 8, 51) * math.sqrt(depth)
    gamma = scipy.stats.gamma(depth).sf(depth * math.log(3) / 2 - x)
    np.testing.assert_allclose(law.cdf(x), gamma, rtol=1e-12)
    np.testing.assert_allclose(series.cdf(x), gamma, atol=1e-13)
    p = [1e-6, 0.5, 0.99]
    np.testing.assert_allclose(series.quantile(p), law.quantile(p), atol=1e-6)


@pytest.mark.parametrize("width", [1, 2, 5, 100])
def test_one_linear_layer_is_chi_square(width):
    x = np.linspace(-8, 2, 41)
    expected = scipy.stats.chi2.cdf(width * np.exp(x), width)
    np.testing.assert_allclose(linear_law(width, 1).cdf(x), expected, atol=1e-13)


def test_two_exponentials_and_two_normals_multiply_to_bessel_functions():
    z = np.exp(np.linspace(-20, 3, 41))
    expected = 1 - 2 * np.sqrt(z) * scipy.special.k1(2 * np.sqrt(z))
    np.testing.assert_allclose(linear_law(2, 2).cdf(np.log(z)), expected, atol=1e-13)
    density = lambda u: 2 * scipy.special.k0(u) / math.pi
    below, _ = scipy.integrate.quad(density, 0, 0.7, epsabs=1e-13)
    assert chain_law(2, "gaussian").cdf(math.log(0.7)) == pytest.approx(below, 1e-10)


def test_one_relu_layer_is_a_mixture_of_chi_squares():
    x, d = np.linspace(-8, 2, 41), 3
    parts = [scipy.stats.chi2.cdf(d / 2 * np.exp(x), k) for k in (1, 2, 3)]
    mixture = (3 * parts[0] + 3 * parts[1] + parts[2]) / 7
    np.testing.assert_allclose(relu_law(d, 1).cdf(x), mixture, atol=1e-13)


@pytest.mark.parametrize("scale", [0.01, 0.3, 1.0, 3.0])
def test_one_residual_layer_is_a_folded_normal(scale):
    x = np.concatenate([np.linspace(-4, 3, 30), 3 * scale * np.linspace(-1, 1, 30)])
    normal = scipy.stats.norm(1, scale)
    expected = normal.cdf(np.exp(x)) - normal.cdf(-np.exp(x))
    law = residual_chain_law(1, scale)
    np.testing.assert_allclose(law.cdf(x), expected, atol=1e-13)


def test_squares_of_gaussian_chains_are_linear_networks_of_width_1():
    x = np.linspace(-30, 5, 31)
    chain, net = chain_law(9, "gaussian"), linear_law(1, 9)
    np.testing.assert_allclose(net.cdf(2 * x), chain.cdf(x), atol=1e-13)
    assert net.mean == pytest.approx(2 * chain.mean, 1e-14)
    assert net.variance == pytest.approx(4 * chain.variance, 1e-14)


# --- moments ------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAWS)
def test_moments_quantiles_and_distribution_belong_together(name):
    law = LAWS[name]
    x = np.linspace(law.quantile(1e-9), law.quantile(1 - 1e-9), 4001)
    sf, cdf = 1 - law.cdf(x), law.cdf(x)
    mean = x[-1] - np.trapezoid(cdf, x)
    second = x[0] ** 2 + 2 * np.trapezoid(x * sf, x)
    # The trapezoidal rule and the tails left out are good to about 1e-5.
    assert mean == pytest.approx(law.mean, rel=1e-4)
    assert second - mean**2 == pytest.approx(law.variance, rel=1e-4)
    p = np.array([[1e-3, 0.5], [0.9, 0.999]])
    np.testing.assert_allclose(law.cdf(law.quantile(p)), p, rtol=1e-10)
    assert law.median == law.quantile(0.5)
    assert law.cdf(-np.inf) == 0
    assert law.cdf(np.inf) == 1


def test_the_digamma_and_trigamma_sums():
    psi, trigamma = scipy.special.psi, lambda x: scipy.special.polygamma(1, x)
    k = np.arange(1, 17)
    p = scipy.stats.binom(16, 0.5).pmf(k) / (1 - 0.5**16)
    mean = np.sum(p * psi(k / 2)) + 2 * math.log(2) - math.log(16)
    spread = np.sum(p * trigamma(k / 2)) + np.cov(psi(k / 2), aweights=p, ddof=0)
    law = relu_law(16, 64)
    assert law.mean == pytest.approx(64 * mean, 1e-13)
    assert law.variance == pytest.approx(64 * spread, 1e-13)
    assert round(law.mean, 2) == -11.29
    assert round(law.variance, 1) == 26.9
    net = linear_law(6, 10)
    assert net.mean == pytest.approx(10 * (psi(3) + math.log(1 / 3)), 1e-13)
    assert net.variance == pytest.approx(10 * trigamma(3), 1e-13)


def test_the_chains_of_the_notes():
    gaussian, uniform = chain_law(1, "gaussian"), chain_law(1)
    assert round(gaussian.mean, 4) == -0.6352
    assert gaussian.variance == pytest.approx(math.pi**2 / 8)
    assert round(uniform.mean, 4) == -0.4507
    median = 64 * uniform.mean + 1 / 3
    assert chain_law(64).median == pytest.approx(median, abs=1e-3)


def test_leading_order_holds_for_wide_networks():
    for law, activation in ((linear_law, "linear"), (relu_law, "relu")):
        exact, leading = law(1000, 50), leading_order(1000, 50, activation)
        # The next order is smaller by a few times 1/width.
        assert exact.mean == pytest.approx(leading.mean, rel=5e-3)
        assert exact.variance == pytest.approx(leading.variance, rel=5e-3)


def test_critical_width_is_where_the_median_is_the_decay():
    for law, activation in ((linear_law, "linear"), (relu_law, "relu")):
        width = critical_width(400, 2.0, activation)
        # At this width next order in 1/width is a percent.
        assert law(round(width), 400).median == pytest.approx(-2.0, rel=0.02)
    assert critical_width(64, 1.0) == 160
    assert critical_width(64, 1.0, "linear") == 64


@pytest.mark.parametrize(
    "law", [chain_law, lambda depth: relu_law(16, depth), lambda d: linear_law(3, d)]
)
@pytest.mark.parametrize("decay", [0.01, 1.0, 10.0])
def test_vanishing_depth_is_the_first(law, decay):
    depth = vanishing_depth(law, decay)
    assert law(depth).median < -decay
    assert depth == 1 or law(depth - 1).median >= -decay


def test_residual_chains_tend_to_a_normal_law():
    law, limit = residual_chain_law(4000, 0.7), scipy.stats.norm(-0.245, 0.7)
    # Berry-Esseen: the distance falls like 1/√L.
    x = limit.ppf(np.linspace(0.01, 0.99, 21))
    np.testing.assert_allclose(law.cdf(x), limit.cdf(x), atol=1e-3)
    assert law.mean == pytest.approx(-0.245, rel=1e-3)
    assert law.variance == pytest.approx(0.49, rel=1e-3)


# --- drawn networks -----------------------------------------------------------------


def _agrees(logs, law):
    """Kolmogorov and Smirnov cannot tell the sample from the law; seeds are fixed."""
    assert scipy.stats.kstest(np.asarray(logs), law.cdf).pvalue > 0.01


@pytest.mark.parametrize("depth", [3, 40])
def test_drawn_chains(depth):
    rng = np.random.default_rng(1)
    uniform = rng.uniform(-(3**0.5), 3**0.5, (4000, depth))
    _agrees(np.log(abs(uniform)).sum(1), chain_law(depth))
    normal = rng.standard_normal((4000, depth))
    _agrees(np.log(abs(normal)).sum(1), chain_law(depth, "gaussian"))
    residual = np.log(abs(1 + 0.9 * normal / depth**0.5)).sum(1)
    _agrees(residual, residual_chain_law(depth, 0.9))


def _log_growth(rng, width, depth, networks, relu):
    """log(‖h_L‖²/‖x‖²) of networks drawn by NumPy alone, −inf for dead ones."""
    h = np.ones((networks, width)) / width**0.5
    for _ in range(depth):
        weights = rng.standard_normal((networks, width, width)) / width**0.5
        h = np.einsum("nij,nj->ni", weights, h)
        h = 2**0.5 * np.maximum(h, 0) if relu else h
    with np.errstate(divide="ignore"):
        return np.log(np.sum(h**2, 1))


def test_drawn_linear_networks():
    logs = _log_growth(np.random.default_rng(2), 6, 12, 3000, relu=False)
    _agrees(logs, linear_law(6, 12))


def test_drawn_relu_networks():
    logs = _log_growth(np.random.default_rng(3), 5, 12, 4000, relu=True)
    alive = np.isfinite(logs)
    _agrees(logs[alive], relu_law(5, 12))
    test = scipy.stats.binomtest(int(alive.sum()), 4000, alive_probability(5, 12))
    assert test.pvalue > 0.01


@pytest.mark.parametrize(
    ("initialiser", "activation"),
    [("he", "relu"), pytest.param("lecun", "identity", marks=pytest.mark.slow)],
)
def test_networks_of_the_library(initialiser, activation):
    draw = lambda key: px.networks.mlp(
        key,
        widths=(5, 5),
        in_dim=5,
        initialiser=initialiser,
        activation=activation,
        bias="zero",
    )
    x = jnp.array([1.0, -2.0, 0.5, 0.0, 3.0])
    last = jax.jit(jax.vmap(lambda key: draw(key).units(x)[-1]))
    h = np.asarray(last(jax.random.split(jax.random.key(4), 2000)))
    size = np.sum(h**2, 1) / float(x @ x)
    law = relu_law(5, 2) if activation == "relu" else linear_law(5, 2)
    _agrees(np.log(size[size > 0]), law)
    if activation == "relu":
        alive = alive_probability(5, 2)
        assert scipy.stats.binomtest(int(np.sum(size > 0)), 2000, alive).pvalue > 0.01


def test_alive_probability():
    assert alive_probability(4, 30) == pytest.approx((1 - 1 / 16) ** 30, 1e-14)
    assert alive_probability(3, 0) == 1
    assert 1 - alive_probability(40, 1) == pytest.approx(2.0**-40, rel=1e-3)


# --- refusals -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: chain_law(0), ValueError, "`depth` must be at least 1, but is 0"),
        (lambda: chain_law(2.0), TypeError, "`depth` must be an integer"),
        (lambda: chain_law(2, "he"), ValueError, "gaussian, uniform, but is 'he'"),
        (lambda: linear_law(0, 3), ValueError, "`width` must be at least 1"),
        (lambda: relu_law(3, True), TypeError, "`depth` must be an integer"),
        (lambda: residual_chain_law(3, 0.0), ValueError, "`scale` must be positive"),
        (lambda: leading_order(3, 3, "tanh"), ValueError, "activation must be one"),
        (lambda: critical_width(3, -1.0), ValueError, "`decay` must be positive"),
        (lambda: chain_law(3).quantile(1.0), ValueError, "strictly between 0 and 1"),
        (lambda: chain_law(3).cdf([math.nan]), ValueError, "must not hold NaN"),
        (
            lambda: vanishing_depth(lambda depth: residual_chain_law(4, 0.1), 1.0),
            ValueError,
            "must fall below -1.0 within a million layers",
        ),
        (
            lambda: dataclasses.replace(chain_law(1), gamma_shift=None).cdf(0.0),
            ValueError,
            "must fall to 1e-14 within",
        ),
    ],
)
def test_bad_input_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()
