"""The exact line search against dense scans."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plateaux.anls import line_search

many = jax.jit(jax.vmap(line_search))


def search(*arguments, **options):
    return line_search(*map(jnp.asarray, arguments), **options)


def losses_at(t, z, dz, signs, residual, slope, q):
    """The loss at every t of a row of them."""
    t = np.atleast_1d(t)[:, None]
    moved = z + t[:, :, None] * dz
    hidden = np.einsum("i,tik->tk", signs, np.where(moved > 0, moved, 0))
    return 0.5 * (hidden + residual + t * slope) ** 2 @ q


def rays(num, n, size, seed=0):
    rng = np.random.default_rng(seed)
    z, dz = rng.normal(size=(2, num, n, size))
    signs = rng.choice([-1.0, 1.0], (num, n)) * rng.uniform(0.5, 2, (num, n))
    residual, slope = 2 * rng.normal(size=(2, num, size))
    # Make the ray a descent direction at t = 0 in most cases.
    hidden = np.einsum("bi,bik->bk", signs, np.where(z > 0, z, 0))
    slope = slope - residual - hidden
    return z, dz, signs, residual, slope, rng.uniform(0.1, 1, (num, size))


@pytest.mark.parametrize(
    ("n", "size"), [pytest.param(1, 17, marks=pytest.mark.slow), (5, 13), (40, 7)]
)
def test_equals_a_dense_scan(n, size):
    cases = rays(60, n, size)
    best = jax.tree.map(np.asarray, many(*cases))
    interior = 0
    for i in range(60):
        case = [part[i] for part in cases]
        t = float(best.t[i])
        np.testing.assert_allclose(best.value[i], losses_at(t, *case)[0], rtol=1e-11)
        scan = losses_at(np.linspace(0, 4, 4001), *case)
        assert best.value[i] <= min(scan) * (1 + 1e-12)
        # the scan's step is 1e-3: its best is near in value, too
        assert best.value[i] > min(scan) - 1e-4 * scan[0]
        interior += 0 < t < 4
    assert interior > 30


def test_the_limit_holds():
    z, dz = np.ones((1, 3)), np.ones((1, 3))
    arguments = (z, dz, np.ones(1), np.full(3, -10.0), np.zeros(3), np.ones(3))
    assert float(search(*arguments).t) == 4
    np.testing.assert_allclose(search(*arguments, limit=20.0).t, 9)


def test_neurons_on_a_boundary_start_on_the_side_they_go_to():
    z, dz = np.zeros((2, 1)), np.array([[1.0], [-1.0]])
    rest, none = np.array([-2.0]), np.zeros(1)
    best = search(z, dz, np.ones(2), rest, none, np.ones(1))
    np.testing.assert_allclose(best.t, 2)
    np.testing.assert_allclose(best.value, 0, atol=1e-15)


def test_nothing_moves_nothing_changes():
    z = np.array([[1.0, -1.0]])
    arguments = (z, 0 * z, np.ones(1), np.ones(2), np.zeros(2), np.ones(2))
    best = search(*arguments)
    np.testing.assert_allclose(best.value, 0.5 * (2**2 + 1))


def test_single_precision():
    cases = [part.astype(np.float32) for part in rays(60, 5, 13, seed=4)]
    single = many(*cases)
    double = many(*(part.astype(np.float64) for part in cases))
    assert single.t.dtype == jnp.float32
    np.testing.assert_allclose(single.value, double.value, rtol=1e-4)
