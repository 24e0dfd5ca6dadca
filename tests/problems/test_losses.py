"""Losses of one datum: contracts that all keep, and closed-form values."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plateaux.problems import LOSSES, Problem, SquaredError, loss_function

from ..registry import LOSSES as REGISTERED

EXAMPLES = {name: tuple(map(jnp.asarray, case)) for name, case in REGISTERED.items()}

every_loss = pytest.mark.parametrize("name", LOSSES)


def batch(name, size=5):
    """Different outputs with the targets of the registry."""
    f, y = map(np.asarray, EXAMPLES[name])
    shifts = np.linspace(-0.9, 1.1, size).reshape((size,) + (1,) * f.ndim)
    tilt = 1.0 + np.arange(f.size, dtype=f.dtype).reshape(f.shape)
    return f[None] + shifts * tilt[None], np.stack([y] * size)


def test_registry_lists_every_loss():
    assert set(EXAMPLES) == set(LOSSES)


# --- contracts ---


@every_loss
@pytest.mark.parametrize("method", ["__call__", "gradient", "curvature"])
def test_jit_equals_eager(name, method):
    function, example = getattr(LOSSES[name], method), EXAMPLES[name]
    np.testing.assert_allclose(
        jax.jit(function)(*example), function(*example), rtol=1e-14
    )


@every_loss
@pytest.mark.parametrize("method", ["__call__", "gradient", "curvature"])
def test_vmap_equals_loop(name, method):
    function, (fs, ys) = getattr(LOSSES[name], method), batch(name)
    one = jax.jit(function)
    looped = [one(f, y) for f, y in zip(fs, ys, strict=True)]
    np.testing.assert_allclose(jax.jit(jax.vmap(function))(fs, ys), looped, rtol=1e-14)


@every_loss
def test_gradient_equals_autodiff(name):
    loss, (fs, ys) = LOSSES[name], batch(name)
    both = jax.jit(jax.vmap(lambda f, y: (loss.gradient(f, y), jax.grad(loss)(f, y))))
    np.testing.assert_allclose(*both(fs, ys), atol=1e-14)


@every_loss
def test_curvature_equals_autodiff(name):
    loss, (fs, ys) = LOSSES[name], batch(name)
    both = lambda f, y: (loss.curvature(f, y), jax.hessian(loss)(f, y))
    curvature, automatic = jax.jit(jax.vmap(both))(fs, ys)
    assert automatic.shape == (*fs.shape, *fs.shape[1:])
    np.testing.assert_allclose(curvature, automatic, atol=1e-14)


@every_loss
def test_gradient_equals_central_differences(name):
    loss, (f, y), h = LOSSES[name], EXAMPLES[name], 1e-5
    directions = np.eye(f.size).reshape((f.size, *f.shape))
    f, at = np.asarray(f), jax.jit(loss.__call__)
    slopes = [(at(f + h * e, y) - at(f - h * e, y)) / (2 * h) for e in directions]
    # central differences err by h²/6 times the third derivative, below 1e-9 here
    np.testing.assert_allclose(
        np.ravel(jax.jit(loss.gradient)(f, y)), slopes, atol=1e-9
    )


@every_loss
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept(name, dtype):
    f, y = (np.asarray(array).astype(dtype) for array in EXAMPLES[name])
    for method in ("__call__", "gradient", "curvature"):
        function = getattr(LOSSES[name], method)
        assert jax.eval_shape(function, jnp.asarray(f), jnp.asarray(y)).dtype == dtype


@every_loss
def test_value_is_a_scalar_and_not_negative(name):
    values = jax.jit(jax.vmap(LOSSES[name]))(*batch(name))
    assert values.shape == (5,)
    assert np.all(np.asarray(values) > 0)


@every_loss
def test_convex_in_the_output(name):
    loss, (fs, ys) = LOSSES[name], batch(name)
    at = jax.jit(jax.vmap(loss))
    middle, left, right = (
        np.asarray(at(f, ys[1:])) for f in ((fs[:-1] + fs[1:]) / 2, fs[:-1], fs[1:])
    )
    assert np.all(middle < (left + right) / 2)


@every_loss
def test_losses_are_hashable_and_equal_by_value(name):
    loss = LOSSES[name]
    assert hash(loss) == hash(type(loss)())
    assert loss == type(loss)()


# --- closed forms ---


def test_squared_is_half_the_squared_distance():
    f, y = EXAMPLES["squared"]
    assert float(LOSSES["squared"](f, y)) == pytest.approx((1.3**2 + 1.8**2) / 2)
    assert float(LOSSES["squared"](y, y)) == 0.0


def test_logistic_and_exponential_values():
    f, y = jnp.array(math.log(3.0)), jnp.array(-1.0)
    assert float(LOSSES["logistic"](f, y)) == pytest.approx(math.log(4))
    assert float(LOSSES["logistic"].gradient(f, y)) == pytest.approx(3 / 4)
    assert float(LOSSES["exponential"](f, y)) == pytest.approx(3.0)
    assert float(LOSSES["exponential"].gradient(f, y)) == pytest.approx(3.0)


def test_cross_entropy_is_log_of_odds():
    f, y = jnp.log(jnp.array([1.0, 2.0, 5.0])), jnp.array([0.0, 1.0, 0.0])
    assert float(LOSSES["cross_entropy"](f, y)) == pytest.approx(math.log(4))
    np.testing.assert_allclose(
        LOSSES["cross_entropy"].gradient(f, y), [1 / 8, 2 / 8 - 1, 5 / 8]
    )


def test_two_class_cross_entropy_is_the_logistic_loss_of_the_difference():
    f, y = jnp.array([0.4, -1.7]), jnp.array([0.0, 1.0])
    logistic = LOSSES["logistic"](f[1] - f[0], jnp.array(1.0))
    assert float(LOSSES["cross_entropy"](f, y)) == pytest.approx(float(logistic))


def test_infimum_of_the_cross_entropy_is_the_entropy_of_the_targets():
    y = jnp.array([0.2, 0.7, 0.1])
    least = -(0.2 * math.log(0.2) + 0.7 * math.log(0.7) + 0.1 * math.log(0.1))
    assert float(LOSSES["cross_entropy"](jnp.log(y), y)) == pytest.approx(least)
    np.testing.assert_allclose(
        LOSSES["cross_entropy"].gradient(jnp.log(y), y), 0, atol=1e-15
    )


def test_losses_of_labels_approach_zero_but_do_not_reach_it():
    f = jnp.array([5.0, 20.0])
    for name in ("logistic", "exponential"):
        near, nearer = jax.vmap(LOSSES[name])(f, jnp.ones(2))
        assert 0 < float(nearer) < float(near) < 0.01
        assert float(nearer) == pytest.approx(math.exp(-20), rel=1e-8)


# --- overflow ---


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("f", "value", "slope"), [(1e4, 0, 0), (-1e4, 1e4, -1)])
def test_logistic_of_large_outputs(f, value, slope, dtype):
    f, y = jnp.array(f, dtype), jnp.array(1.0, dtype)
    assert float(LOSSES["logistic"](f, y)) == value
    assert float(LOSSES["logistic"].gradient(f, y)) == slope
    assert float(jax.grad(LOSSES["logistic"])(f, y)) == slope


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy_of_large_outputs(dtype):
    f, y = jnp.array([1e4, -1e4, 0], dtype), jnp.array([0, 1, 0], dtype)
    assert float(LOSSES["cross_entropy"](f, y)) == 2e4
    np.testing.assert_array_equal(LOSSES["cross_entropy"].gradient(f, y), [1, -1, 0])
    right = LOSSES["cross_entropy"](f, jnp.array([1, 0, 0], dtype))
    assert float(right) == 0.0
    assert math.copysign(1, float(right)) == 1


def test_exponential_overflows_to_infinity_not_nan():
    f, y = jnp.array(-1e4), jnp.array(1.0)
    assert float(LOSSES["exponential"](f, y)) == math.inf
    assert float(LOSSES["exponential"].gradient(f, y)) == -math.inf
    assert float(LOSSES["exponential"](-f, y)) == 0.0


# --- names and labels ---


def test_loss_function_looks_up_and_passes_through():
    assert loss_function("squared") == SquaredError()
    mine = SquaredError()
    assert loss_function(mine) is mine


def test_unknown_loss_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"but is 'hinge'.*did you mean '.*'\?"):
        loss_function("hinge")
    with pytest.raises(ValueError, match="did you mean 'logistic'"):
        loss_function("logistics")


x3 = jnp.arange(3.0)[:, None]


@pytest.mark.parametrize("name", ["logistic", "exponential"])
def test_labels_must_be_signs(name):
    with pytest.raises(
        ValueError,
        match=f"`y` must be −1 or .1 for the {name} loss, but 2 of 3 entries are not, "
        r"the first is 0\.0; labels 0 and 1 become ±1 by 2y − 1\.",
    ):
        Problem(x3, jnp.array([1.0, 0.0, 0.5]), loss=name)
    Problem(x3, jnp.array([1.0, -1.0, 1.0]), loss=name)


def test_class_rows_must_be_probabilities():
    rows = jnp.array([[1.0, 0.0], [0.3, 0.7], [0.3, 0.6]])
    with pytest.raises(ValueError, match="1 of 3 rows are not, the first in row 3"):
        Problem(x3, rows, loss="cross_entropy")
    bad = jnp.array([[1.0, 0.0], [-0.5, 1.5], [0.0, 1.0]])
    with pytest.raises(ValueError, match="1 of 3 rows are not, the first in row 2"):
        Problem(x3, bad, loss="cross_entropy")
    with pytest.raises(ValueError, match=r"shape \(K, classes\), but has shape \(3,\)"):
        Problem(x3, jnp.array([0.0, 1.0, 2.0]), loss="cross_entropy")
    Problem(x3, rows.at[2, 1].set(0.7), loss="cross_entropy")
