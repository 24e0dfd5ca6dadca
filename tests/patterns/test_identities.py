"""Exact identities of two-layer ReLU networks that the theory of cells rests on."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.integrate import solve_ivp

import plateaux as px
from plateaux.networks import imbalance
from plateaux.patterns import cell_fit, design_matrix, pattern

from ..closeness import assert_close

outputs, loss = jax.jit(px.outputs), jax.jit(px.loss)
STEP = 0.05
KEEP = {"network": lambda problem, network: network}


def setting(seed=0, width=4, num=15, dim=2):
    rng = np.random.default_rng(seed)
    problem = px.Problem(
        rng.normal(size=(num, dim)), rng.normal(size=num), normalisation="sum"
    )
    network = px.TwoLayer(
        rng.normal(size=(width, dim)), rng.normal(size=width), rng.normal(size=width)
    )
    return problem, network


def neuron_vectors(problem, network):
    """v_i and g_i by their definition."""
    x1 = np.concatenate([problem.x, np.ones((problem.num_data, 1))], axis=1)
    v = np.concatenate([network.w, np.asarray(network.b)[:, None]], axis=1)
    residual = np.asarray(outputs(network, problem.x)) - np.asarray(problem.y)
    active = np.asarray(pattern(network, problem.x))
    return v, np.where(active, residual[None], 0) @ x1


def one_step(problem, network):
    run = px.descend(problem, network, px.gradient_descent(STEP), num_steps=1)
    return run.network


def test_a_step_of_descent_changes_imbalance_and_coordinates_exactly():
    problem, network = setting()
    v, g = neuron_vectors(problem, network)
    after = one_step(problem, network)
    along, c = np.sum(v * g, axis=1), np.asarray(network.c)
    square = np.sum(g**2, axis=1)
    change = STEP**2 * (along**2 - c**2 * square)
    drift = np.asarray(imbalance(after)) - np.asarray(imbalance(network))
    assert_close(drift, change, ulps=1000)
    # η⁺ = η − h M g + h² c (v·g) g with M = c² I + v vᵀ
    mg = (c**2)[:, None] * g + along[:, None] * v
    expected = c[:, None] * v - STEP * mg
    expected = expected + (STEP**2 * c * along)[:, None] * g
    moved = np.concatenate([after.w, np.asarray(after.b)[:, None]], axis=1)
    assert_close(np.asarray(after.c)[:, None] * moved, expected)


def test_the_gradient_is_homogeneous():
    problem, network = setting()
    g = jax.jit(jax.grad(lambda net: px.loss(problem, net)))(network)
    g, network = (jax.tree.map(np.asarray, net) for net in (g, network))
    inner = np.sum(network.w * g.w, axis=1) + network.b * g.b
    assert_close(network.c * g.c, inner)


def test_scaling_and_order_of_neurons_change_nothing():
    problem, network = setting()
    s, turn = np.array([0.1, 2.0, 1.0, 7.0]), [2, 0, 3, 1]
    w, b, c = (np.asarray(a) for a in (network.w, network.b, network.c))
    scaled = px.TwoLayer(s[:, None] * w, s * b, c / s)
    moved = px.TwoLayer(w[turn], b[turn], c[turn])
    for other in (scaled, moved):
        assert_close(outputs(other, problem.x), outputs(network, problem.x))
        assert_close(loss(problem, other), loss(problem, network))
        floors = [cell_fit(problem, net).value for net in (other, network)]
        assert_close(*floors, ulps=1000)


@pytest.mark.parametrize(
    "optimizer",
    [px.gradient_descent(1e-3), pytest.param(optax.adam(2e-3), marks=pytest.mark.slow)],
)
def test_what_no_training_changes_and_no_training_undercuts(optimizer):
    """While the pattern stays, (I − P) r does, whatever trains; L ≥ L_A always."""
    problem, network = setting(seed=4, width=2, num=20)
    run = px.descend(
        problem, network, optimizer, num_steps=800, save=px.every(1), record=KEEP
    )
    networks = run.saved["network"]

    @jax.jit
    @jax.vmap
    def looks(net):
        floor = cell_fit(problem, net).value
        return pattern(net, problem.x), floor, px.outputs(net, problem.x)

    patterns, floors, values = jax.tree.map(np.asarray, looks(networks))
    assert np.all(np.asarray(run.losses) >= floors * (1 - 1e-12))
    active = jnp.asarray(patterns[0])
    phi = np.asarray(design_matrix(active, problem.x, affine=False))
    u, s, _ = np.linalg.svd(phi, full_matrices=False)
    u = u[:, s > 1e-12 * s[0]]
    same = np.all(patterns == patterns[:1], axis=(1, 2))
    first = len(same) if same.all() else int(np.argmin(same))
    assert 3 < first < len(same)  # it holds for a while, then the pattern changes
    residual = values - np.asarray(problem.y)[None]
    rest = residual - residual @ u @ u.T
    np.testing.assert_allclose(rest[:first], np.tile(rest[0], (first, 1)), atol=1e-13)
    assert np.max(np.abs(residual[first - 1] - residual[0])) > 1e-3


# --- one neuron, one datum: an exact plateau ------------------------------------------

S, XY = 1.7, 2.2


def closed_form(c, w, t):
    """a = cw of ȧ = −S √(C² + 4a²)(a − a*), for a and a* positive."""
    best, a, imbalance = XY / S, c * w, c**2 - w**2
    if imbalance == 0:
        return best / (1 + (best / a - 1) * np.exp(-2 * best * S * t))
    u0, u1 = (np.arcsinh(2 * value / abs(imbalance)) for value in (a, best))
    first = (np.exp(u0) - np.exp(u1)) / (np.exp(u0) + np.exp(-u1))
    rate = S * np.sqrt(imbalance**2 + 4 * best**2)
    ratio = first * np.exp(-rate * t)
    u = np.log((np.exp(u1) + ratio * np.exp(-u1)) / (1 - ratio))
    return abs(imbalance) / 2 * np.sinh(u)


def test_the_plateau_of_one_neuron_has_its_closed_form():
    """f = cφ(wX) as a neuron on one datum x̃ = (1, 1) with v along it: X² = 2q."""
    problem = px.Problem(
        [[1.0]],
        [XY / (S / 2) / np.sqrt(2)],
        weights=jnp.array([S / 2]),
        normalisation="sum",
    )
    starts = [(0.9, 0.2), (0.2, 0.9), (0.1, 0.1)]
    found = []
    for c, w in starts:
        start = px.TwoLayer([[w / np.sqrt(2)]], [w / np.sqrt(2)], [c])
        end = px.flow(problem, start, t1=1.0, rtol=1e-12, method="explicit").network
        found.append(float(end.c[0] * (end.w[0, 0] + end.b[0])) / np.sqrt(2))
    np.testing.assert_allclose(found[0], 1.252240506814, rtol=1e-11)
    for (c, w), value in zip(starts, found, strict=True):
        field = lambda _, z: -(S * z[0] * z[1] - XY) * z[::-1]
        exact = solve_ivp(field, (0, 1), [c, w], rtol=1e-12, atol=1e-14).y[:, -1]
        np.testing.assert_allclose(
            closed_form(c, w, 1.0), exact[0] * exact[1], rtol=1e-9
        )
        np.testing.assert_allclose(value, closed_form(c, w, 1.0), rtol=1e-10)


def test_random_neurons_by_their_angles():
    """v ~ N(0, I), θ the angle of x̃, x̃′: both on with probability (π − θ)/2π, and
    E φφ′ = ‖x̃‖‖x̃′‖ (sin θ + (π − θ) cos θ)/2π."""
    num = 200_000
    v = np.random.default_rng(0).normal(size=(num, 2))
    network = px.TwoLayer(v[:, :1], v[:, 1], np.ones(num))
    x = jnp.array([[0.5], [-1.2], [3.0]])
    active = np.asarray(pattern(network, x))
    z = v[:, :1] * np.asarray(x[:, 0]) + v[:, 1:]
    h = np.where(z > 0, z, 0)
    x1 = np.concatenate([x, np.ones((3, 1))], axis=1)
    norm = np.linalg.norm(x1, axis=1)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        angle = np.arccos(x1[i] @ x1[j] / norm[i] / norm[j])
        both = (np.pi - angle) / (2 * np.pi)
        error = np.sqrt(both * (1 - both) / num)
        assert abs(np.mean(active[:, i] & active[:, j]) - both) < 4 * error
        kernel = np.sin(angle) + (np.pi - angle) * np.cos(angle)
        expected = norm[i] * norm[j] * kernel / (2 * np.pi)
        product = h[:, i] * h[:, j]
        error = product.std() / np.sqrt(num)
        assert abs(product.mean() - expected) < 4 * error
