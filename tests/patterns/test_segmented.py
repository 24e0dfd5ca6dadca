"""Best fits by lines on groups of data, against brute force and closed forms."""

import itertools

import numpy as np
import pytest

import plateaux as px
from plateaux.patterns import segmented_fit


def brute_force(x, y, q, pieces):
    """Least ½ Σ q r² over all partitions of sorted data into at most so many groups."""
    best = np.inf
    for number in range(1, pieces + 1):
        for cuts in itertools.combinations(range(1, len(x)), number - 1):
            total = 0.0
            for a, b in itertools.pairwise([0, *cuts, len(x)]):
                matrix = np.stack([x[a:b], np.ones(b - a)], axis=1)
                root = np.sqrt(q[a:b])
                fit = np.linalg.lstsq(root[:, None] * matrix, root * y[a:b])[0]
                total += np.sum(q[a:b] * (matrix @ fit - y[a:b]) ** 2)
            best = min(best, total / 2)
    return best


def test_equals_brute_force():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 9))
    weights = rng.uniform(0.5, 2, size=9)
    fit = segmented_fit(px.Problem(x[:, None], y, weights=weights), 5)
    order = np.argsort(x)
    q = weights / weights.sum()
    expected = [brute_force(x[order], y[order], q[order], k) for k in range(1, 6)]
    np.testing.assert_allclose(fit.values, expected, atol=1e-15)
    np.testing.assert_array_equal(fit.order, order)
    for k, starts in enumerate(np.asarray(fit.starts), 1):
        edges = [*starts[:k], 9]
        assert edges[0] == 0
        assert np.all(np.diff(edges) > 0)
        parts = [
            brute_force(*(a[order][i:j] for a in (x, y, q)), 1)
            for i, j in itertools.pairwise(edges)
        ]
        np.testing.assert_allclose(sum(parts), fit.values[k - 1], atol=1e-15)


@pytest.mark.parametrize(
    ("frequency", "num", "neurons", "bound"),
    [
        (2, 100, 5, 2.33e-2),
        pytest.param(2, 100, 10, 6.27e-3, marks=pytest.mark.slow),
        pytest.param(2, 100, 20, 1.61e-3, marks=pytest.mark.slow),
        (5, 200, 10, 3.03e-2),
        pytest.param(5, 200, 20, 9.54e-3, marks=pytest.mark.slow),
        pytest.param(5, 200, 40, 2.51e-3, marks=pytest.mark.slow),
    ],
)
def test_bounds_of_sines(frequency, num, neurons, bound):
    """The table of reference bounds, to its three digits."""
    x = np.linspace(0, 1, num)
    problem = px.Problem(x[:, None], np.sin(frequency * np.pi * x))
    value = segmented_fit(problem, neurons + 1).values[-1]
    np.testing.assert_allclose(np.sqrt(2 * value), bound, rtol=3e-3)


@pytest.mark.parametrize(("size", "rss"), [(5, 0.0014), (8, 0.0168)])
def test_one_line_through_a_parabola(size, rss):
    """RSS = δ⁴ q(q²−1)(q²−4)/180 on a grid of step δ = 0.1."""
    x = 0.1 * np.arange(1, size + 1)
    fit = segmented_fit(px.Problem(x[:, None], x**2, normalisation="sum"), 1)
    np.testing.assert_allclose(2 * fit.values[0], rss, rtol=1e-12)


def test_far_from_zero_nothing_cancels():
    x = np.linspace(0, 1, 30)
    problem = lambda shift: px.Problem((x + shift)[:, None], np.sin(5 * x) + shift)
    near, far = (segmented_fit(problem(s), 4).values for s in (0.0, 1e6))
    # inputs near 1e6 are known to 1e-10, and so is the fit
    np.testing.assert_allclose(far, near, rtol=1e-6)


def test_equal_inputs_stay_together_and_more_lines_do_not_hurt():
    problem = px.Problem([[0.0], [0.0], [1.0]], [1.0, 3.0, 5.0], normalisation="sum")
    fit = segmented_fit(problem, 4)
    np.testing.assert_allclose(fit.values, [1.0] * 4, atol=1e-15)
    np.testing.assert_array_equal(fit.starts[0], [0, 3, 3, 3])


def test_refusals():
    with pytest.raises(ValueError, match="one input and the squared loss"):
        segmented_fit(px.Problem(np.ones((3, 2)), np.ones(3)), 2)
    with pytest.raises(ValueError, match="pieces"):
        segmented_fit(px.Problem(np.ones((3, 1)), np.ones(3)), 0)


@pytest.mark.parametrize(
    ("target", "low", "constant"),
    [
        (lambda x: x**2, 0.0, 1 / 180),
        (lambda x: np.sin(2 * np.pi * x), 0.0, 0.69882),
        (lambda x: np.sin(np.pi * x), -1.0, 1.39764),
    ],
)
def test_constants_of_smooth_targets(target, low, constant):
    """min ‖e‖² ≈ (∫|f''|^{2/5})⁵/(720 k⁴) on [low, 1] as k grows; with K data and k
    lines a grid error of order (k/K)² remains, and one of finite k at inflections."""
    num, pieces = 601, 24
    x = low + (1 - low) * (np.arange(num) + 0.5) / num
    problem = px.Problem(x[:, None], target(x))
    value = 2 * (1 - low) * segmented_fit(problem, pieces).values[-1]
    np.testing.assert_allclose(value * pieces**4, constant, rtol=0.06)


@pytest.mark.parametrize(
    ("frequency", "low", "constant"),
    [(2, 0.0, 0.69882), (1, -1.0, 1.39764), (5, 0.0, 27.2977)],
)
def test_constants_of_sines_are_the_integral(frequency, low, constant):
    x = np.linspace(low, 1, 400_001)
    x = (x[1:] + x[:-1]) / 2
    bend = (frequency * np.pi) ** 2 * np.abs(np.sin(frequency * np.pi * x))
    integral = (1 - low) * np.mean(bend**0.4)
    np.testing.assert_allclose(integral**5 / 720, constant, rtol=1e-4)
