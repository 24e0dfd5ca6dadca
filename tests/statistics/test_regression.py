import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from plateaux.statistics import accelerated_failure_time
from tests.statistics.remission import CENSORED, TREATMENT, WEEKS


def sample(seed=0, size=120, horizon=np.inf):
    """log T = 2 − x₁ + 0.5 x₂ + 0.8 ε, censored at a horizon."""
    rng = np.random.default_rng(seed)
    x = np.log(rng.choice([5.0, 10.0, 20.0], (size, 2)))
    dwell = np.exp(2.0 - x[:, 0] + 0.5 * x[:, 1] + 0.8 * rng.normal(size=size))
    return np.minimum(dwell, horizon), dwell > horizon, x


def negative_log_likelihood(parameters, dwell, censored, x):
    beta, sigma = parameters[:-1], np.exp(parameters[-1])
    law = scipy.stats.norm(beta[0] + x @ beta[1:], sigma)
    log_density = law.logpdf(np.log(dwell)) - np.log(dwell)
    return -np.sum(np.where(censored, law.logsf(np.log(dwell)), log_density))


def test_without_censoring_it_is_least_squares():
    dwell, censored, x = sample()
    fit = accelerated_failure_time(dwell, censored, x)
    design = np.column_stack([np.ones(120), x])
    beta, squares, _, _ = np.linalg.lstsq(design, np.log(dwell))
    variance = squares[0] / 117
    covariance = variance * np.linalg.inv(design.T @ design)
    np.testing.assert_allclose(fit.intercept.estimate, beta[0], rtol=1e-12)
    np.testing.assert_allclose(fit.coefficients.estimate, beta[1:], rtol=1e-12)
    np.testing.assert_allclose(fit.scale.estimate, np.sqrt(variance), rtol=1e-12)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-9)
    half = scipy.stats.t(117).ppf(0.975) * np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(fit.intercept.high, beta[0] + half[0], rtol=1e-9)
    np.testing.assert_allclose(fit.coefficients.low, beta[1:] - half[1:], rtol=1e-9)
    # The chi-squared interval of σ is exact; that on the log scale is close to it.
    exact = np.sqrt(squares[0] / scipy.stats.chi2(117).ppf([0.975, 0.025]))
    np.testing.assert_allclose([fit.scale.low, fit.scale.high], exact, rtol=0.02)


def test_one_covariate_agrees_with_scipys_line():
    dwell, censored, x = sample()
    fit = accelerated_failure_time(dwell, censored, x[:, :1])
    line = scipy.stats.linregress(x[:, 0], np.log(dwell))
    np.testing.assert_allclose(fit.coefficients.estimate, [line.slope], rtol=1e-12)
    np.testing.assert_allclose(fit.covariance[1, 1], line.stderr**2, rtol=1e-9)
    np.testing.assert_allclose(
        fit.covariance[0, 0], line.intercept_stderr**2, rtol=1e-9
    )


def test_agrees_with_lifelines():
    # lifelines 0.30.3: LogNormalAFTFitter().fit(frame, "t", "e"), whose standard
    # errors are for m where ours are for m − k; it stops at about 1e-6.
    x = np.column_stack([TREATMENT == "treated", np.log(2.0 + np.arange(42) % 5)])
    fit = accelerated_failure_time(WEEKS, CENSORED, x)
    few = np.sqrt(39 / 42)
    np.testing.assert_allclose(fit.intercept.estimate, 1.8766149252686295, atol=1e-6)
    np.testing.assert_allclose(
        fit.coefficients.estimate, [1.3456884164037861, -0.03944342324825599], atol=1e-6
    )
    np.testing.assert_allclose(
        few * np.sqrt(np.diag(fit.covariance)),
        [0.5538450227007027, 0.31656439875370446, 0.39515119510935726],
        rtol=1e-6,
    )
    log_sigma = np.log(few * fit.scale.estimate)
    np.testing.assert_allclose(log_sigma, -0.07948248241482962, atol=1e-6)
    half = few * np.log(fit.scale.high / fit.scale.estimate)
    error = half / scipy.stats.t(39).ppf(0.975)
    np.testing.assert_allclose(error, 0.13233330775025745, rtol=1e-5)
    np.testing.assert_allclose(fit.log_likelihood, -106.6996419901883, rtol=1e-10)
    assert (fit.num_observations, fit.num_censored) == (42, 12)
    assert fit.degrees_of_freedom == 39


@pytest.mark.parametrize("horizon", [3.0, 0.6])
def test_it_is_the_maximum_and_its_curvature(horizon):
    data = sample(1, horizon=horizon)
    fit = accelerated_failure_time(*data)
    few = np.sqrt(117 / 120)
    optimum = np.concatenate(
        [
            [fit.intercept.estimate],
            fit.coefficients.estimate,
            [np.log(few * fit.scale.estimate)],
        ]
    )
    best = negative_log_likelihood(optimum, *data)
    np.testing.assert_allclose(fit.log_likelihood, -best, rtol=1e-12)
    found = scipy.optimize.minimize(
        negative_log_likelihood, optimum + 0.1, data, "Nelder-Mead", options=TIGHT
    )
    np.testing.assert_allclose(optimum, found.x, atol=1e-5)
    information = hessian(lambda p: negative_log_likelihood(p, *data), optimum)
    expected = np.linalg.inv(information)[:3, :3] / few**2
    np.testing.assert_allclose(fit.covariance, expected, rtol=1e-4)


TIGHT = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000}


def hessian(function, point, step=1e-3):
    """Central differences."""
    size = point.size
    shifts = step * np.eye(size)
    corners = [
        [
            sum(
                a * b * function(point + a * shifts[i] + b * shifts[j])
                for a in (-1, 1)
                for b in (-1, 1)
            )
            for j in range(size)
        ]
        for i in range(size)
    ]
    return np.array(corners) / (4 * step**2)


def test_units_of_covariates_and_durations_do_not_matter():
    dwell, censored, x = sample(2, horizon=2.0)
    fit = accelerated_failure_time(dwell, censored, x)
    other = accelerated_failure_time(1e9 * dwell, censored, 1e6 * x + 1e7)
    np.testing.assert_allclose(
        other.coefficients.low, 1e-6 * fit.coefficients.low, rtol=1e-6
    )
    np.testing.assert_allclose(other.scale, fit.scale, rtol=1e-6)


def test_clusters_of_one_are_whites():
    dwell, censored, x = sample()
    fit = accelerated_failure_time(dwell, censored, x, clusters=np.arange(120))
    design = np.column_stack([np.ones(120), x])
    projection = np.linalg.pinv(design)
    residuals = np.log(dwell) - design @ (projection @ np.log(dwell))
    white = projection * residuals**2 @ projection.T * 120 / 117
    np.testing.assert_allclose(fit.covariance, white, rtol=1e-9)


def test_clusters_see_through_copies():
    dwell, censored, x = sample(3, size=90, horizon=2.0)
    once = accelerated_failure_time(dwell, censored, x, clusters=np.arange(90))
    copies = (np.repeat(column, 4, axis=0) for column in (dwell, censored, x))
    lanes = np.repeat([f"lane {i}" for i in range(90)], 4)
    four = accelerated_failure_time(*copies, clusters=lanes)
    np.testing.assert_allclose(
        four.coefficients.estimate, once.coefficients.estimate, rtol=1e-9
    )
    factor = (90 / 89 * 359 / 357) / (90 / 87)
    np.testing.assert_allclose(four.covariance, factor * once.covariance, rtol=1e-8)
    assert four.degrees_of_freedom == 89


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"durations": [1.0, 0.0, 2.0, 3.0]}, ValueError, "positive, .* 1 of its 4"),
        ({"covariates": [[1.0]] * 3}, ValueError, r"one row .* shape \(3, 1\)"),
        ({"covariates": [[np.inf]] * 4}, ValueError, "finite .* 4 infinite entries"),
        (
            {"covariates": [1.0] * 4},
            ValueError,
            r"`covariates` must have shape \(m, q\)",
        ),
        ({"covariates": [[5]] * 4}, TypeError, "`covariates` must hold floating"),
        ({"covariates": [[5.0]] * 4}, ValueError, "4 durations that ended must determ"),
        ({"censored": [True] * 4}, ValueError, "The 0 durations that ended"),
        ({"censored": [True, True, False, False]}, ValueError, "The 2 durations that"),
        ({"durations": [1.0, 2.0, 4.0, 8.0]}, ValueError, "coefficients and the scale"),
        ({"clusters": [1, 1, 2, 2]}, ValueError, "more clusters than the 2 .* holds 2"),
        ({"clusters": [1, 2]}, ValueError, r"`clusters` must have shape \(4,\)"),
        ({"confidence": 0.0}, ValueError, "`confidence` must lie strictly"),
    ],
)
def test_bad_input_is_refused(change, error, match):
    arguments = {
        "durations": [1.0, 3.0, 4.0, 9.0],
        "censored": [False] * 4,
        "covariates": [[0.0], [1.0], [2.0], [3.0]],
    }
    with pytest.raises(error, match=match):
        accelerated_failure_time(**arguments | change)
