"""Rules integrate what they promise to; sampled functions are fitted in L²."""

import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px

from ..closeness import assert_close

GAUSS, TRAPEZOID = px.problems.gauss_legendre, px.problems.trapezoid


def test_gauss_legendre_is_exact_up_to_its_degree_and_not_beyond():
    x, w = GAUSS(4, domain=(1.0, 3.0))
    exact = lambda k: (3.0 ** (k + 1) - 1) / (k + 1)
    for k in range(8):
        np.testing.assert_allclose(w @ x[:, 0] ** k, exact(k), rtol=1e-14)
    assert abs(w @ x[:, 0] ** 8 - exact(8)) > 1e-3


def test_the_trapezoid_is_exact_for_lines_and_second_order_for_parabolas():
    for num in (2, 5):
        x, w = TRAPEZOID(num, domain=(0.0, 2.0))
        assert_close(w @ (3 * x[:, 0] + 1), jnp.asarray(8.0))
        h = 2 / (num - 1)
        assert_close(w @ x[:, 0] ** 2, jnp.asarray(8 / 3 + 2 * h**2 / 6))
    assert float(x[0, 0]) == 0.0
    assert float(x[-1, 0]) == 2.0


def test_a_tensor_rule_integrates_products_and_its_last_input_varies_fastest():
    x, w = px.problems.tensor(GAUSS(2, domain=(0.0, 1.0)), TRAPEZOID(3))
    assert x.shape == (6, 2)
    assert_close(w @ (x[:, 0] ** 3 * (x[:, 1] + 1)), jnp.asarray(0.5))
    np.testing.assert_array_equal(x[:3, 1], [-1, 0, 1])


def test_monte_carlo_points_fill_their_box_and_belong_to_their_seed():
    domain = [(0.0, 2.0), (-3.0, -1.0)]
    x, w = px.problems.monte_carlo(4000, domain=domain, seed=1)
    np.testing.assert_allclose(np.sum(w), 4.0, rtol=1e-12)
    assert np.all((np.asarray(x) >= [0.0, -3.0]) & (np.asarray(x) <= [2.0, -1.0]))
    # Four standard errors of the mean of x_1 x_2², by its variance over the box.
    sample = np.asarray(x[:, 0] * x[:, 1] ** 2)
    np.testing.assert_allclose(
        np.mean(sample), 13 / 3, atol=4 * sample.std() / np.sqrt(len(sample))
    )
    again = px.problems.monte_carlo(4000, domain=domain, seed=2)
    assert not np.array_equal(again.points, x)


def test_a_sampled_function_has_the_loss_of_its_integral():
    problem = px.problems.sampled(lambda x: x[0] ** 2, GAUSS(3))
    network = px.TwoLayer(w=[[0.0]], b=[1.0], c=[0.5])  # u = 1/2
    exact = 0.5 * (2 / 5 - 2 / 3 + 1 / 2)  # ½ ∫ (x² − ½)²
    np.testing.assert_allclose(px.loss(problem, network), exact / 2, rtol=1e-14)
    total = px.problems.sampled(lambda x: x[0] ** 2, GAUSS(3), normalisation="sum")
    np.testing.assert_allclose(px.loss(total, network), exact, rtol=1e-14)


def test_rules_have_the_dtype_asked_for():
    rule = px.problems.tensor(GAUSS(2, dtype="float32"), TRAPEZOID(2, dtype="float32"))
    assert rule.points.dtype == rule.weights.dtype == jnp.float32
    assert px.problems.sampled(jnp.sum, rule).y.dtype == jnp.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GAUSS(0), "`num` must be at least 1"),
        (lambda: TRAPEZOID(1), "`num` must be at least 2"),
        (lambda: GAUSS(3, domain=(1.0, 1.0)), "two increasing numbers"),
        (lambda: px.problems.monte_carlo(3, domain=(0.0, 1.0)), r"one pair \(left"),
        (lambda: px.problems.tensor(), "at least one factor"),
        (lambda: px.problems.tensor(*[TRAPEZOID(100)] * 4), "at most 10000000 points"),
        (lambda: px.problems.sampled(lambda x: x, GAUSS(3)), "must give a scalar"),
    ],
)
def test_bad_rules_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
