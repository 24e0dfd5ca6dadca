"""Targets of one input in standard units against their formulas."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from plateaux.problems import hyperbolic_tangent, odd_cubic, sine_and_square

FORMULAS = {
    sine_and_square: lambda x: np.sin(2 * x) + 0.3 * x**2 - 0.1,
    hyperbolic_tangent: lambda x: np.tanh(2 * x),
    odd_cubic: lambda x: 0.3 * x + 0.1 * x**3,
}
every = pytest.mark.parametrize("target", FORMULAS)


@every
def test_inputs_are_equispaced_with_mean_0_and_variance_1(target):
    x = np.asarray(target().x)
    assert x.shape == (64, 1)
    np.testing.assert_allclose(np.diff(x[:, 0]), x[1, 0] - x[0, 0], rtol=1e-12)
    assert abs(np.mean(x)) < 1e-15
    assert abs(np.mean(x**2) - 1) < 1e-14


@every
def test_targets_are_their_formulas_rounded_once(target):
    problem = target(num_data=9)
    expected = FORMULAS[target](np.asarray(problem.x)[:, 0])
    np.testing.assert_allclose(problem.y, expected, rtol=1e-14, atol=1e-16)
    single = target(num_data=9, dtype="float32")
    assert single.x.dtype == single.y.dtype == jnp.float32
    expected = FORMULAS[target](np.asarray(single.x)[:, 0].astype(np.float64))
    np.testing.assert_array_equal(single.y, expected.astype(np.float32))


def test_numbers_of_the_formulas_are_options():
    x = np.asarray(odd_cubic(num_data=5).x)[:, 0]
    np.testing.assert_allclose(
        odd_cubic(linear=2.0, cubic=-1.0, num_data=5).y, 2 * x - x**3
    )
    np.testing.assert_allclose(
        hyperbolic_tangent(steepness=0.5, num_data=5).y, np.tanh(x / 2)
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: sine_and_square(num_data=1),
            ValueError,
            "`num_data` must be at least 2",
        ),
        (
            lambda: hyperbolic_tangent(steepness="2"),
            TypeError,
            "`steepness` must be a number, but is '2'",
        ),
        (lambda: odd_cubic(cubic=math.inf), ValueError, "`cubic` must be finite, but"),
        (lambda: odd_cubic(linear=None), TypeError, "`linear` must be a number, but"),
    ],
)
def test_bad_options_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
