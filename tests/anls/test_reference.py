"""How near the training comes to proven bounds; monotone on many problems."""

import functools as ft

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.anls import METHODS
from plateaux.patterns import segmented_fit

from .reference import keys, reference_problem, rmse, starts


def final_errors(name, width, num_steps=100):
    """Final RMSE of 16 seeds, and the bound of `width` + 1 free lines."""
    problem = reference_problem(name)
    run = lambda net, k: px.anls(
        problem, net, num_steps=num_steps, key=k, save=px.log_spaced(2)
    )
    runs = jax.jit(jax.vmap(run))(starts(problem, width, 16), keys(16))
    bound = segmented_fit(problem, width + 1).values[-1]
    return rmse(problem, runs.losses[:, -1]), rmse(problem, bound)


def test_square():
    errors, bound = final_errors("square", 4)
    assert np.all(errors > bound * (1 - 1e-9))
    assert np.median(errors) < 1.35 * bound
    assert errors.min() < 1.1 * bound


@pytest.mark.slow  # one start of it: `test_recording_and_saving`
def test_step_is_exact():
    errors, _ = final_errors("step", 2)
    assert np.median(errors) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("width", [5, 10, 20])
@pytest.mark.parametrize("name", ["sine_2", "sine_5"])
def test_sines(name, width):
    errors, bound = final_errors(name, width)
    assert np.all(errors > bound * (1 - 1e-9))
    assert np.median(errors) < 1.35 * bound
    assert errors.min() < 1.1 * bound


@ft.partial(jax.jit, static_argnames=("dim", "method"))
@ft.partial(jax.vmap, in_axes=(0, None, None))
def random_run(key, dim, method):
    """Losses of a run on random data, before and after every step."""
    kx, ky, kq, kn, ka = jax.random.split(key, 5)
    x = jax.random.normal(kx, (12, dim))
    weights = jax.random.uniform(kq, (12,))
    problem = px.Problem(x, jax.random.normal(ky, (12,)), weights=weights)
    network = px.networks.unit_kinks(kn, width=3, in_dim=dim, affine=True)
    run = px.anls(problem, network, num_steps=8, key=ka, method=method)
    return run.losses, px.loss(problem, run.network)


def no_rise(num, dim, method):
    lanes = jax.random.split(jax.random.key(num + dim), num)
    parts = [random_run(part, dim, method) for part in jnp.split(lanes, num // 250)]
    losses, last = (np.concatenate(rows) for rows in zip(*parts, strict=True))
    assert losses.shape == (num, 9)
    assert np.all(np.isfinite(losses))
    assert np.all(np.diff(losses, axis=1) <= 0)
    # the loss of what is returned, computed again
    np.testing.assert_allclose(losses[:, -1], last, rtol=1e-9, atol=1e-20)


@pytest.mark.parametrize(
    ("dim", "method"), [(2, "joint"), pytest.param(1, "exact", marks=pytest.mark.slow)]
)
def test_no_step_raises_the_loss(dim, method):
    no_rise(250, dim, method)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_no_step_raises_the_loss_of_10000_problems(method):
    for dim in (1,) if method == "exact" else (1, 2):
        no_rise(10_000 if method == "exact" else 5000, dim, method)
