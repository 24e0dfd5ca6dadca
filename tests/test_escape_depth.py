"""What the experiment on escapes of chains computes beside the library."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px

from .experiment_files import load, quickly

depths = load("escape_depth")
DEPTH, LANES, STEPS = 3, 6, 120


def crossing(losses):
    """When losses per step are at 1/8 first, linear between steps."""
    at = int(np.argmax(losses <= 0.125))
    if losses[at] > 0.125:
        return np.inf
    return at - (0.125 - losses[at]) / (losses[at - 1] - losses[at]) if at else 0.0


def trained(weights, move):
    """Losses of one chain by NumPy; `move` turns gradients into steps."""
    losses = []
    for _ in range(STEPS + 1):
        rest = 1 - np.prod(weights)
        losses.append(rest**2 / 2)
        others = [np.prod(np.delete(weights, i)) for i in range(DEPTH)]
        weights = weights + move(-rest * np.array(others))
    return np.array(losses)


def adam(eps):
    """Adam's steps, β = 0.9, 0.99."""
    m, v, t = np.zeros(DEPTH), np.zeros(DEPTH), 0

    def move(g):
        nonlocal m, v, t
        m, v, t = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2, t + 1
        return -0.01 * m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.99**t)) + np.float64(eps))

    return move


@functools.cache
def weights():
    return np.asarray(quickly(lambda: depths.chains(DEPTH, LANES))().weights)


def test_chains_are_uniform_of_variance_one():
    draw = quickly(depths.chains, static_argnums=(0, 1, 2))
    found = np.asarray(draw(4, 500, "float64").weights)
    assert np.abs(found).max() <= 3**0.5
    # 5 standard errors: Var w² = 9/5 − 1
    np.testing.assert_allclose(np.mean(found**2), 1, atol=5 * (0.8 / 2000) ** 0.5)
    single = draw(4, 500, "float32").weights
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, found, rtol=1e-6)


def test_the_datum_has_the_precision_asked_for():
    data = depths.problem("float32")
    assert data.x.dtype == data.y.dtype == jnp.float32
    assert (data.x.shape, float(data.x[0, 0]), float(data.y[0])) == ((1, 1), 1.0, 1.0)


def test_descent_counts_steps_and_leaves_when_numpy_does():
    found = depths.escapes("gradient descent", DEPTH, LANES, STEPS)
    wanted = [crossing(trained(w, lambda g: -0.01 * g)) for w in weights()]
    np.testing.assert_allclose(found.time, wanted, rtol=1e-9)
    assert 0 < np.isfinite(wanted).sum() < LANES


@pytest.mark.parametrize("eps", [1e-30, 100.0])
def test_adam_leaves_when_numpy_does_unless_its_eps_is_large(eps):
    found = depths.escapes_of_adam(jnp.asarray(eps), DEPTH, LANES, STEPS, "float64")
    wanted = [crossing(trained(w, adam(eps))) for w in weights()]
    np.testing.assert_allclose(found.time, wanted, rtol=1e-9)


def test_rows_and_lines_say_shares_medians_and_causes():
    found = px.stages.EscapeTime(
        time=jnp.array([2.0, 4.0, jnp.inf, jnp.inf]),
        duration=jnp.array([2.0, 4.0, 9.0, 9.0]),
        censored=jnp.array([False, False, True, True]),
        cause=jnp.array([0, 0, 2, 3]),
        level=jnp.zeros(4),
    )
    made = depths.row(found)
    low, high = px.statistics.wilson(2, 4)[1:]
    np.testing.assert_allclose(made["escaped"], [0.5, low, high])
    assert made["median"] == [4.0, 2.0, np.inf]
    assert made["causes"] == {"descended": 2, "diverged": 0, "dead": 1, "still": 1}
    line = depths.line("these", made)
    assert line.split()[:6] == ["these", "50", "%", "median", "4", "(2"]
    assert "to inf)" in line
    assert line.endswith("2 descended, 1 dead, 1 still")


def test_in_steps_changes_the_times_alone():
    run = px.descend(
        depths.problem(),
        px.networks.Chain([0.5, 0.5]),
        px.gradient_descent(0.01),
        num_steps=5,
        save=px.every(2),
    )
    found = depths.in_steps(run)
    np.testing.assert_allclose(run.times, [0, 0.02, 0.04, 0.05])
    np.testing.assert_array_equal(found.times, [0, 2, 4, 5])
    assert found.times.dtype == run.times.dtype
    np.testing.assert_array_equal(found.losses, run.losses)


def test_optimizers_move_by_their_step_size():
    gradient, start = np.array([3e-12, -4e-12]), np.zeros(2)
    with jax.numpy_dtype_promotion("standard"):
        for name in ("sign descent", "RMSprop", "Adam"):
            optimizer = depths.OPTIMIZERS[name][0]()
            first = jax.jit(lambda g, w, o=optimizer: o.update(g, o.init(w), w)[0])
            update = first(gradient, start)
            size = 0.1 if name == "RMSprop" else 0.01  # no bias correction: /√0.01
            np.testing.assert_allclose(update, [-size, size], err_msg=name)


@pytest.mark.slow
def test_the_way_out_is_told_by_quartiles():
    told, seen = depths.part_directions(depth=4, lanes=8, num_steps=500)
    assert set(seen) == {"gradient descent", "Adam"}
    for one in told.values():
        low, median, high = one["share in negative eigenspaces"]
        assert 0 <= low <= median <= high <= 1
