"""Floors, rates and kernels of cells against what defines them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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

from ..closeness import assert_close, lane, stacked


def setting(key, *, affine=True, width=4, num=15, dim=2):
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    normal = lambda *shape: rng.normal(size=shape)
    x, y, weights = normal(num, dim), normal(num), np.linspace(1.0, 2.0, num)
    p = 0.3 * normal(dim + 1) if affine else None
    network = px.TwoLayer(normal(width, dim), normal(width), normal(width), p)
    return px.Problem(x, y, weights=weights), network


def coefficients(network):
    w, b, c = (np.asarray(a) for a in (network.w, network.b, network.c))
    eta = c[:, None] * np.concatenate([w, b[:, None]], axis=1)
    parts = [eta.ravel()] + ([] if network.p is None else [network.p])
    return np.concatenate(parts)


outputs, loss = jax.jit(px.outputs), jax.jit(px.loss)


@jax.jit
def _matrix(network, x):
    return design_matrix(pattern(network, x), x, affine=network.p is not None)


def matrix_of(network, x):
    return np.asarray(_matrix(network, x))


@pytest.mark.parametrize("affine", [True, False])
def test_outputs_are_linear_in_the_cell(affine, key):
    problem, network = setting(key, affine=affine)
    phi = matrix_of(network, problem.x)
    assert_close(phi @ coefficients(network), outputs(network, problem.x))


def test_the_floor_is_the_least_loss_of_the_cell(key):
    problem, network = setting(key, num=25)
    phi = matrix_of(network, problem.x)
    root = np.sqrt(np.asarray(problem.sample_weights))
    matrix, target = root[:, None] * phi, root * np.asarray(problem.y)
    best = np.linalg.lstsq(matrix, target)[0]
    expected = 0.5 * np.sum((matrix @ best - target) ** 2)
    fit = cell_fit(problem, network)
    np.testing.assert_allclose(fit.value, expected, rtol=1e-12)
    assert fit.value < loss(problem, network)


@pytest.mark.parametrize("affine", [True, False])
def test_the_kernel_is_that_of_the_jacobian(affine, key):
    problem, network = setting(key, affine=affine)
    rows = jax.jit(jax.jacobian(px.outputs))(network, problem.x)
    rows = [np.asarray(leaf).reshape(15, -1) for leaf in jax.tree.leaves(rows)]
    jacobian = np.concatenate(rows, axis=1)
    assert_close(tangent_kernel(problem, network), jacobian @ jacobian.T, ulps=512)


@pytest.mark.parametrize("affine", [True, False])
def test_the_excess_falls_between_its_rates(affine, key):
    problem, network = setting(key, affine=affine)
    fit, rates = cell_fit(problem, network), cell_rates(problem, network)
    q = np.asarray(problem.sample_weights)
    residual = np.asarray(outputs(network, problem.x)) - np.asarray(problem.y)
    excess = float(loss(problem, network)) - float(fit.value)
    speed = (
        (q * residual) @ np.asarray(tangent_kernel(problem, network)) @ (q * residual)
    )
    assert rates.slowest * excess <= speed <= rates.fastest * excess


def test_a_dead_network_has_no_rates():
    problem = px.Problem([[0.0], [1.0]], [1.0, 2.0])
    dead = px.TwoLayer([[1.0]], [-2.0], [1.0])
    assert [float(r) for r in cell_rates(problem, dead)] == [0, 0, 0, 0]
    assert float(cell_fit(problem, dead).value) == 1.25
    assert int(cell_fit(problem, dead).rank) == 0


def test_the_pattern_of_a_teacher_gives_the_teacher():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    teacher = px.TwoLayer(
        rng.normal(size=(6, 3)), rng.normal(size=6), rng.normal(size=6)
    )
    fit = cell_fit(px.Problem(x, outputs(teacher, jnp.asarray(x))), teacher)
    assert int(fit.rank) == 24
    np.testing.assert_allclose(fit.coefficients, coefficients(teacher), atol=1e-12)
    assert float(fit.value) < 1e-28


def test_violations_say_whether_the_minimiser_is_in_the_cell():
    x = np.array([[0.0], [1.0], [2.0], [3.0]])
    inside = px.TwoLayer([[1.0]], [-0.5], [1.0])
    problem = px.Problem(x, np.maximum(x[:, 0] - 0.5, 0))
    assert float(np.max(violation(problem, inside))) < 1e-12
    outside = px.Problem(x, np.array([0.0, -1.0, 0.5, 2.0]))
    assert float(np.max(violation(outside, inside))) > 0.1


def test_derivatives_at_deficient_rank():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(12, 5))
    a[:, 1], a[:, 3] = 0, a[:, 0] + a[:, 2]
    y = jnp.asarray(rng.normal(size=12))

    @jax.jit
    def both(a):
        fit = least_squares(a, y)
        return fit, jax.grad(lambda a: least_squares(a, y).value)(a)

    fit, slope = both(a)
    assert int(fit.rank) == 3
    expected = np.asarray(fit.residual)[:, None] * np.asarray(fit.coefficients)[None, :]
    assert_close(slope, expected)


def test_a_batch_is_a_loop(key):
    problem, network = setting(key)
    scale = lambda s: jax.tree.map(lambda a: jnp.asarray(s * np.asarray(a)), network)
    networks = [scale(s) for s in (0.5, 1.0, 2.0)]
    batch = stacked(networks)
    together = jax.jit(jax.vmap(lambda n: cell_rates(problem, n)))(batch)
    for i, one in enumerate(networks):
        assert_close(lane(together, i), cell_rates(problem, one), ulps=1000)


def test_refusals(key):
    problem, network = setting(key, affine=False)
    smooth = px.TwoLayer(network.w, network.b, network.c, activation="tanh")
    with pytest.raises(ValueError, match="TwoLayer with relu to have cells"):
        cell_fit(problem, smooth)
    labels = px.Problem(problem.x, np.sign(problem.y), loss="logistic")
    with pytest.raises(ValueError, match="squared loss to have floors"):
        cell_fit(labels, network)
