"""Rodas5P: its coefficients are right if order and stability are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from plateaux.dynamics import rosenbrock
from plateaux.dynamics.rosenbrock import rosenbrock_step

from ..closeness import assert_close, lane


def field(y, xp=jnp):
    """Nonlinear and not symmetric, so that no order condition holds by accident."""
    a, b, c = y
    return xp.stack([b * c + xp.sin(a), -a * c + b**2 / 3, xp.cos(a * b) - 0.4 * c])


START = np.array([0.6, -0.4, 0.8])


@jax.jit
def step(y, h):
    return rosenbrock_step(field, jax.jacobian(field)(y), y, h)


def exact(times, start=START):
    run = solve_ivp(
        lambda t, y: field(y, np),
        (0, max(times)),
        np.asarray(start),
        method="DOP853",
        t_eval=times,
        rtol=3e-14,
        atol=1e-16,
    )
    return run.y.T


def slope(sizes, errors):
    return np.polyfit(np.log(sizes), np.log(errors), 1)[0]


def test_order_of_the_solution():
    @jax.jit
    def at_one(num):
        h = 1 / num.astype(float)
        return jax.lax.fori_loop(0, num, lambda _, y: step(y, h).value, START)

    counts = [6, 8, 12, 16, 24]
    (end,) = exact([1.0])
    errors = [np.linalg.norm(at_one(np.array(n)) - end) for n in counts]
    assert 4.8 < -slope(counts, errors) < 5.4
    assert errors[-1] < 1e-8


def test_order_of_the_embedded_solution_and_of_the_dense_output():
    """One step of order q errs by h^(q+1)."""
    sizes = np.geomspace(0.02, 0.16, 7)
    fractions = np.array([0.2, 0.5, 0.7, 0.9])
    value, embedded, dense = [], [], []
    for h in sizes:
        result = jax.tree.map(np.asarray, step(START, h))
        *inside, end = exact([*(fractions * h), h])
        powers = fractions[:, None] ** np.arange(5)
        value.append(np.linalg.norm(result.value - end))
        embedded.append(np.linalg.norm(result.value - result.error - end))
        dense.append(np.linalg.norm(powers @ result.dense - np.array(inside)))
    assert 5.7 < slope(sizes[2:], value[2:]) < 6.6
    assert 4.8 < slope(sizes, embedded) < 5.3
    assert 4.8 < slope(sizes, dense) < 5.4


def test_dense_output_joins_start_and_end():
    result = step(START, np.float64(0.3))
    dense = np.asarray(result.dense)
    assert_close(dense[0], START)
    assert_close(np.sum(dense, axis=0), result.value, ulps=512)


@jax.jit
def decay(z):
    field = lambda y: -z * (y - 1)
    return rosenbrock_step(field, -z[None, None], jnp.array([3.0]), 1.0)


@pytest.mark.parametrize("z", [1e3, 1e6, 1e10])
def test_stiff_decay_is_exact_in_the_limit(z):
    """L-stability and stiff accuracy: y' = −z (y − 1) jumps to 1, errs by O(1/z)."""
    result = decay(np.float64(z))
    assert np.abs(np.asarray(result.value) - 1) < 30 / z
    assert np.abs(result.error) < 200 / z


def test_stable_on_the_whole_imaginary_axis():
    def growth(omega):
        matrix = jnp.array([[0.0, omega], [-omega, 0.0]])
        start = jnp.array([1.0, 0.0])
        result = rosenbrock_step(lambda y: matrix @ y, matrix, start, jnp.array(1.0))
        return jnp.linalg.norm(result.value)

    growths = jax.jit(jax.vmap(growth))(np.geomspace(1e-3, 1e6, 400))
    assert np.max(growths) < 1 + 1e-9


def test_batch_equals_loop_and_forward_derivative():
    ys = START + 0.1 * np.random.default_rng(0).normal(size=(3, 3))
    hs = np.array([0.05, 0.1, 0.2])
    batch = jax.vmap(step)(ys, hs)
    for i in range(3):
        # Rodas5P weighs stages by up to 165 in its dense output: their round-off shows.
        assert_close(lane(batch, i), step(ys[i], hs[i]), ulps=512)
    value = lambda y: np.asarray(step(y, hs[1]).value)
    direction = np.array([0.3, -1.0, 0.5])
    _, tangent = jax.jvp(lambda y: step(y, hs[1]).value, (ys[0],), (direction,))
    e = 1e-6
    difference = (value(ys[0] + e * direction) - value(ys[0] - e * direction)) / (2 * e)
    # central differences err by e² and by rounding eps/e
    np.testing.assert_allclose(tangent, difference, atol=1e-9)


def test_single_precision_is_kept():
    result = step(START.astype(np.float32), np.float32(0.1))
    assert {part.dtype for part in result} == {jnp.dtype("float32")}


def test_stated_order():
    assert rosenbrock.ORDER == 5
