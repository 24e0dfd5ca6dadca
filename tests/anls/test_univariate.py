"""The exact neuron against scans over kinks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.anls import best_hinge, exact_sweep, sort_data


@jax.jit
@jax.vmap
def solve(x, q, rho):
    return best_hinge(sort_data(x, q), rho)


def scan_of_kinks(x, q, rho, kinks):
    """The best decrease of ½ Σ q ρ² by a hinge with one of these kinks."""
    best = 0.0
    for side in (1, -1):
        z = side * (x[None, :] - kinks[:, None])
        h = np.where(z > 0, z, 0)
        square = h**2 @ q
        gain = 0.5 * (h @ (q * rho)) ** 2 / np.where(square > 0, square, np.inf)
        best = max(best, gain.max())
    return best


def cases(num, size):
    rng = np.random.default_rng(3)
    x, rho = rng.normal(size=(2, num, size))
    q = rng.uniform(0.1, 1, size=(num, size))
    x[::3, 4] = x[::3, 7] = x[::3, 2]  # equal inputs
    rho[::4] = 1 + x[::4]  # a line: all data active
    x[1::5] += 1e5  # far from the origin
    x[2::5] *= 1e-6
    return x, q, rho


def test_never_worse_than_a_scan_of_kinks():
    x, q, rho = cases(40, 9)
    hinges = solve(x, q, rho)
    for i in range(len(x)):
        reach = np.ptp(x[i])
        kinks = np.linspace(x[i].min() - reach, x[i].max() + reach, 20_001)
        best = scan_of_kinks(x[i], q[i], rho[i], np.concatenate([kinks, x[i]]))
        side, kink, c = (float(a[i]) for a in (hinges.side, hinges.kink, hinges.c))
        z = side * (x[i] - kink)
        left = rho[i] - c * np.where(z > 0, z, 0)
        gain = 0.5 * np.sum(q[i] * (rho[i] ** 2 - left**2))
        # kinks near 1e5 are known to 1e-11, a 1e-11th of the range of the data
        np.testing.assert_allclose(gain, hinges.decrease[i], rtol=1e-9)
        assert gain >= best * (1 - 1e-9)
        assert abs(kink - x[i].mean()) <= 2 * reach
    assert np.any(hinges.side > 0)
    assert np.any(hinges.side < 0)


def test_a_hinge_is_found_exactly_whatever_the_order():
    rng = np.random.default_rng(0)
    x = rng.permutation(np.linspace(2, 3, 31))
    z = 2.517 - x
    rho = -1.7 * np.where(z > 0, z, 0)
    hinge = best_hinge(sort_data(jnp.asarray(x), jnp.ones(31)), jnp.asarray(rho))
    np.testing.assert_allclose(hinge.kink, 2.517, rtol=1e-13)
    np.testing.assert_allclose(hinge.c, -1.7, rtol=1e-12)
    assert float(hinge.side) == -1


def test_all_active_stays_within_the_box():
    """A line 2 + x on [0, 1] would need a kink at −2; the box ends at −1."""
    x = np.linspace(0, 1, 11)
    hinge = best_hinge(sort_data(jnp.asarray(x), jnp.ones(11)), jnp.asarray(2 + x))
    np.testing.assert_allclose(abs(hinge.kink - 0.5), 1.5)


@pytest.mark.parametrize("x", [np.zeros(5), np.array([0.0, 0.0, 0.0, 1.0, 1.0])])
def test_data_with_few_different_inputs(x):
    rho = np.array([1.0, 2.0, 3.0, -1.0, -2.0])
    hinge = best_hinge(sort_data(jnp.asarray(x), jnp.ones(5)), jnp.asarray(rho))
    assert all(bool(jnp.isfinite(part)) for part in hinge)
    means = np.array([rho[x == value].mean() for value in np.unique(x)])
    counts = np.array([np.sum(x == value) for value in np.unique(x)])
    if len(means) == 1:
        best = 0.5 * counts[0] * means[0] ** 2
    else:  # a ramp through both means, or one of them alone
        best = scan_of_kinks(x, np.ones(5), rho, np.linspace(-1, 2, 30_001))
    np.testing.assert_allclose(hinge.decrease, best, rtol=1e-7)


def test_nothing_to_fit_gives_nothing():
    hinge = best_hinge(sort_data(jnp.arange(4.0), jnp.ones(4)), jnp.zeros(4))
    assert float(hinge.decrease) == 0
    assert float(hinge.c) == 0


def test_a_sweep_solves_neuron_after_neuron():
    """The loss after a sweep of two is that of two scans, one after the other."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 12))
    problem = px.Problem(x[:, None], y, normalisation="sum")
    network = px.TwoLayer([[1.0], [-0.5]], [0.3, 0.1], [0.0, 0.0])
    data = sort_data(problem.x[:, 0], problem.sample_weights)
    after = exact_sweep(problem, network, data)
    kinks = np.concatenate([np.linspace(x.min() - np.ptp(x), x.max() * 2, 50_001), x])
    first = scan_of_kinks(x, np.ones(12), y, kinks)
    one = px.TwoLayer(after.w[:1], after.b[:1], after.c[:1])
    left = y - np.asarray(px.outputs(one, problem.x))
    np.testing.assert_allclose(0.5 * y @ y - 0.5 * left @ left, first, rtol=1e-5)
    second = scan_of_kinks(x, np.ones(12), left, kinks)
    expected = 0.5 * left @ left - second
    np.testing.assert_allclose(px.loss(problem, after), expected, rtol=1e-5)
    assert float(px.loss(problem, after)) <= expected * (1 + 1e-12)
