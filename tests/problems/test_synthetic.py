"""Targets on grids against their formulas."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from plateaux.problems import (
    absolute_value,
    disk,
    gaussian_bump,
    polynomial,
    product_of_sines,
    runge,
    sine,
    step,
)

ON_INTERVAL = [sine, polynomial, step, runge, absolute_value, gaussian_bump]
ON_GRID = [disk, product_of_sines]


# --- inputs ---


@pytest.mark.parametrize("target", ON_INTERVAL)
def test_inputs_are_equispaced_with_both_ends(target):
    x = target(num_data=11, domain=(-2.0, 3.0)).x
    np.testing.assert_allclose(x[:, 0], -2 + 0.5 * np.arange(11), atol=1e-15)
    assert x.shape == (11, 1)
    assert (float(x[0, 0]), float(x[-1, 0])) == (-2.0, 3.0)


@pytest.mark.parametrize("target", ON_INTERVAL)
def test_defaults_are_fifty_data_on_minus_one_to_one(target):
    problem = target()
    assert problem.x.shape == (50, 1)
    assert problem.y.shape == (50,)
    assert (float(problem.x[0, 0]), float(problem.x[-1, 0])) == (-1.0, 1.0)
    assert problem.name == target.__name__


def test_grid_varies_the_last_input_fastest():
    x = product_of_sines(in_dim=3, num_side=2, domain=(-1.0, 2.0)).x
    expected = [(a, b, c) for a in (-1, 2) for b in (-1, 2) for c in (-1, 2)]
    np.testing.assert_array_equal(x, expected)


# --- values ---


@pytest.mark.parametrize(
    ("problem", "formula"),
    [
        (sine(), lambda x: math.sin(2 * math.pi * x)),
        (sine(frequency=2.5), lambda x: math.sin(5 * math.pi * x)),
        (polynomial(), lambda x: x**2),
        (
            polynomial(coefficients=[1.0, -2.0, 0.0, 0.5]),
            lambda x: 1 - 2 * x + x**3 / 2,
        ),
        (polynomial(coefficients=[4.0]), lambda x: 4.0),
        (step(at=0.3), lambda x: float(x > 0.3)),
        (runge(), lambda x: 1 / (1 + 25 * x * x)),
        (absolute_value(), lambda x: abs(x)),
        (
            gaussian_bump(centre=0.4, width=0.7),
            lambda x: (
                scipy.stats.norm.pdf(x, 0.4, 0.7) / scipy.stats.norm.pdf(0.4, 0.4, 0.7)
            ),
        ),
    ],
)
def test_targets_on_the_interval(problem, formula):
    expected = [formula(float(x)) for x in np.asarray(problem.x)[:, 0]]
    np.testing.assert_allclose(problem.y, expected, rtol=1e-13, atol=1e-15)


def test_reference_problem_of_the_quickstart():
    x = jnp.linspace(-1, 1, 50)
    problem = sine(num_data=50, frequency=1.0, domain=(-1.0, 1.0))
    np.testing.assert_allclose(problem.x[:, 0], x, atol=1e-15)
    np.testing.assert_allclose(problem.y, jnp.sin(2 * jnp.pi * x), atol=1e-14)


def test_step_is_zero_at_its_jump():
    np.testing.assert_array_equal(step(num_data=3, at=0.0).y, [0, 0, 1])


def test_disk_is_open_and_counts_the_lattice():
    problem = disk(radius=0.5, num_side=5)
    x = np.asarray(problem.x)
    np.testing.assert_array_equal(problem.y, (x**2).sum(axis=1) < 0.25)
    assert float(problem.y.sum()) == 1.0  # points at distance exactly 1/2 are out
    assert disk().num_data == 900


def test_product_of_sines():
    problem = product_of_sines(frequency=0.3, in_dim=3, num_side=4, domain=(0.1, 2.0))
    expected = [
        math.prod(math.sin(0.6 * math.pi * float(v)) for v in x)
        for x in np.asarray(problem.x)
    ]
    np.testing.assert_allclose(problem.y, expected, rtol=1e-13)
    assert product_of_sines().x.shape == (900, 2)


# --- precision ---


@pytest.mark.parametrize("target", ON_INTERVAL + ON_GRID)
def test_dtype_is_a_choice_and_targets_are_rounded_once(target):
    single = target(dtype="float32")
    assert single.x.dtype == single.y.dtype == single.weights.dtype == jnp.float32
    double = target()
    assert double.x.dtype == double.y.dtype == jnp.float64
    if target is not disk:  # a jump may fall on either side
        np.testing.assert_allclose(single.y, double.y, atol=1e-6)


@pytest.mark.parametrize(
    ("target", "formula"),
    [(sine, lambda x: np.sin(2 * np.pi * x)), (runge, lambda x: 1 / (1 + 25 * x**2))],
)
def test_single_precision_targets_are_the_nearest_floats(target, formula):
    problem = target(dtype="float32")
    x = np.asarray(problem.x)[:, 0].astype(np.float64)
    np.testing.assert_array_equal(problem.y, formula(x).astype(np.float32))


def test_default_precision_follows_x64():
    with jax.enable_x64(False):
        assert sine().x.dtype == jnp.float32
        with pytest.raises(ValueError, match="at most float32.*but is float64; for"):
            sine(dtype="float64")


# --- refusals ---


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: sine(num_data=1),
            ValueError,
            "`num_data` must be at least 2, but is 1",
        ),
        (lambda: sine(num_data=5.0), TypeError, "`num_data` must be an integer, but"),
        (
            lambda: sine(frequency="high"),
            TypeError,
            "`frequency` must be a number, but",
        ),
        (lambda: sine(frequency=True), TypeError, "`frequency` must be a number, but"),
        (lambda: sine(frequency=math.inf), ValueError, "`frequency` must be finite"),
        (
            lambda: sine(domain=(1.0, -1.0)),
            ValueError,
            "two increasing numbers.*1.0, -1",
        ),
        (lambda: sine(domain=(0.0, 1.0, 2.0)), ValueError, "two increasing numbers"),
        (lambda: sine(domain=2.0), TypeError, "`domain` must be a non-empty list"),
        (lambda: sine(dtype="int32"), TypeError, "floating-point type.*but is 'int32'"),
        (lambda: sine(dtype="float46"), TypeError, "floating-point.*but is 'float46'"),
        (
            lambda: sine(normalisation="none"),
            ValueError,
            "normalisation must be one of",
        ),
        (
            lambda: polynomial(coefficients=[]),
            TypeError,
            "`coefficients` must be a non-",
        ),
        (
            lambda: polynomial(coefficients="12"),
            TypeError,
            "`coefficients` must be a non",
        ),
        (
            lambda: polynomial(coefficients=[1, "b"]),
            TypeError,
            "`coefficients` must be a number, but is 'b'",
        ),
        (lambda: step(at=math.nan), ValueError, "`at` must be finite, but is nan"),
        (
            lambda: gaussian_bump(width=0),
            ValueError,
            "`width` must be positive, but is",
        ),
        (lambda: disk(radius=-1.0), ValueError, "`radius` must be positive, but is -1"),
        (
            lambda: disk(num_side=1),
            ValueError,
            "`num_side` must be at least 2, but is 1",
        ),
        (
            lambda: product_of_sines(in_dim=0),
            ValueError,
            "`in_dim` must be at least 1, but is 0",
        ),
        (
            lambda: product_of_sines(in_dim=9, num_side=10),
            ValueError,
            r"at most 10000000 points, but num_side\^in_dim is 10\^9; lower one",
        ),
    ],
)
def test_bad_options_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
