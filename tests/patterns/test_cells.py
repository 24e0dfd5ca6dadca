"""Floors, rates and kernels of cells against what defines them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import plateaux as px
from plateaux.patterns import (
    cell_fit,
    cell_rates,
    design_matrix,
    least_squares,
    pattern,
    tangent_kernel,
    violation,
)

from ..closeness import assert_close


def setting(key, *, affine=True, width=4, num=15, dim=2):
    keys = jax.random.split(key, 6)
    normal = lambda k, *shape: jax.random.normal(k, shape)
    x, y = normal(keys[0], num, dim), normal(keys[1], num)
    weights = jnp.linspace(1.0, 2.0, num)
    p = 0.3 * normal(keys[5], dim + 1) if affine else None
    network = px.TwoLayer(
        normal(keys[2], width, dim), normal(keys[3], width), normal(keys[4], width), p
    )
    return px.Problem(x, y, weights=weights), network


def coefficients(network):
    eta = network.c[:, None] * jnp.concatenate([network.w, network.b[:, None]], axis=1)
    parts = [eta.ravel()] + ([] if network.p is None else [network.p])
    return jnp.concatenate(parts)


@pytest.mark.parametrize("affine", [True, False])
def test_outputs_are_linear_in_the_cell(affine, key):
    problem, network = setting(key, affine=affine)
    active = pattern(network, problem.x)
    phi = design_matrix(active, problem.x, affine=affine)
    assert_close(phi @ coefficients(network), px.outputs(network, problem.x))


def test_the_floor_is_the_least_loss_of_the_cell(key):
    problem, network = setting(key, width=2)
    phi = design_matrix(pattern(network, problem.x), problem.x, affine=True)
    root = np.sqrt(np.asarray(problem.sample_weights))
    matrix, target = root[:, None] * np.asarray(phi), root * np.asarray(problem.y)
    best = np.linalg.lstsq(matrix, target)[0]
    expected = 0.5 * np.sum((matrix @ best - target) ** 2)
    fit = cell_fit(problem, network)
    np.testing.assert_allclose(fit.value, expected, rtol=1e-12)
    assert fit.value < px.loss(problem, network)


@pytest.mark.parametrize("affine", [True, False])
def test_the_kernel_is_that_of_the_jacobian(affine, key):
    problem, network = setting(key, affine=affine)
    flat, restore = ravel_pytree(network)
    jacobian = jax.jacobian(lambda v: px.outputs(restore(v), problem.x))(flat)
    assert_close(tangent_kernel(problem, network), jacobian @ jacobian.T, ulps=512)


@pytest.mark.parametrize("affine", [True, False])
def test_the_excess_falls_between_its_rates(affine, key):
    problem, network = setting(key, affine=affine)
    fit, rates = cell_fit(problem, network), cell_rates(problem, network)
    q = problem.sample_weights
    residual = px.outputs(network, problem.x) - problem.y
    excess = px.loss(problem, network) - fit.value
    speed = (q * residual) @ tangent_kernel(problem, network) @ (q * residual)
    assert rates.slowest * excess <= speed <= rates.fastest * excess


def test_a_dead_network_has_no_rates():
    problem = px.Problem([[0.0], [1.0]], [1.0, 2.0])
    dead = px.TwoLayer([[1.0]], [-2.0], [1.0])
    assert [float(r) for r in cell_rates(problem, dead)] == [0, 0, 0, 0]
    assert float(cell_fit(problem, dead).value) == 1.25
    assert int(cell_fit(problem, dead).rank) == 0


def test_the_pattern_of_a_teacher_gives_the_teacher():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(400, 3)))
    teacher = px.TwoLayer(
        rng.normal(size=(6, 3)), rng.normal(size=6), rng.normal(size=6)
    )
    fit = cell_fit(px.Problem(x, px.outputs(teacher, x)), teacher)
    assert int(fit.rank) == 24
    np.testing.assert_allclose(fit.coefficients, coefficients(teacher), atol=1e-12)
    assert float(fit.value) < 1e-28


def test_violations_say_whether_the_minimiser_is_in_the_cell():
    x = jnp.array([[0.0], [1.0], [2.0], [3.0]])
    inside = px.TwoLayer([[1.0]], [-0.5], [1.0])
    problem = px.Problem(x, px.outputs(inside, x))
    assert float(jnp.max(violation(problem, inside))) < 1e-12
    outside = px.Problem(x, jnp.array([0.0, -1.0, 0.5, 2.0]))
    assert float(jnp.max(violation(outside, inside))) > 0.1


def test_derivatives_at_deficient_rank():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(12, 5))
    a[:, 1], a[:, 3] = 0, a[:, 0] + a[:, 2]
    y = jnp.asarray(rng.normal(size=12))
    value = lambda a: least_squares(a, y).value
    fit = least_squares(jnp.asarray(a), y)
    assert int(fit.rank) == 3
    expected = fit.residual[:, None] * fit.coefficients[None, :]
    assert_close(jax.grad(value)(jnp.asarray(a)), expected)


def test_a_batch_is_a_loop(key):
    problem, network = setting(key)
    scale = lambda s: jax.tree.map(lambda leaf: s * leaf, network)
    networks = [scale(s) for s in (0.5, 1.0, 2.0)]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)
    together = eqx.filter_jit(eqx.filter_vmap(lambda n: cell_rates(problem, n)))(batch)
    for i, one in enumerate(networks):
        expected = cell_rates(problem, one)
        assert_close(jax.tree.map(lambda a, i=i: a[i], together), expected, ulps=1000)


def test_refusals(key):
    problem, network = setting(key, affine=False)
    smooth = px.TwoLayer(network.w, network.b, network.c, activation="tanh")
    with pytest.raises(ValueError, match="TwoLayer with relu to have cells"):
        cell_fit(problem, smooth)
    labels = px.Problem(problem.x, jnp.sign(problem.y), loss="logistic")
    with pytest.raises(ValueError, match="squared loss to have floors"):
        cell_fit(labels, network)
