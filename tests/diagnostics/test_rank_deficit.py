"""The smooth ε-rank, its derivative, and training a first layer on it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import plateaux as px

from ..closeness import assert_close

RULE = px.problems.gauss_legendre(40)


def network(seed=0, spread=False):
    """By Xavier's variances, or with kinks all over the interval."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(12, 1)), rng.normal(size=(6, 12))
    weights = [first * (2 / 13) ** 0.5, second * (2 / 18) ** 0.5]
    biases = [np.zeros(12), np.zeros(6)]
    if spread:
        weights[0], biases[0] = np.full((12, 1), 10.0), np.linspace(-10, 10, 12)
    readout = rng.normal(size=6) * (2 / 7) ** 0.5
    return px.MLP(weights, biases, readout, activation="tanh")


loss = eqx.filter_jit(px.loss)
slope = eqx.filter_jit(eqx.filter_grad(lambda net, deficit: px.loss(deficit, net)))


@pytest.mark.parametrize("layer", [0, 1])
def test_the_loss_is_the_sum_over_eigenvalues(layer):
    net = network()
    found = px.diagnostics.spectrum(None, net, quadrature=RULE, layer=layer)
    for epsilon in (1e-6, 1e-2):
        deficit = px.diagnostics.RankDeficit(RULE, epsilon=epsilon, layer=layer)
        values = np.asarray(found.singular_values) ** 2
        assert_close(loss(deficit, net), np.mean(epsilon / (values + epsilon)))


def test_the_derivative_is_that_of_the_resolvent():
    # L = (ε/n) tr (M + εI)⁻¹ has the derivative −(ε/n) tr R dM R, R the inverse.
    net, epsilon = network(), 1e-3
    root = np.sqrt(np.asarray(RULE.weights))[:, None]
    first = jax.jit(lambda n: px.networks.features(n, RULE.points)[0])
    features = lambda n: root * np.asarray(first(n))
    direction = network(1)
    step = lambda a, b, h: jnp.asarray(np.asarray(a) + h * np.asarray(b))
    moved = lambda h: jax.tree.map(lambda a, b: step(a, b, h), net, direction)
    a = features(net)
    h = 1e-6
    da = (features(moved(h)) - features(moved(-h))) / (2 * h)
    inverse = np.linalg.inv(a.T @ a + epsilon * np.eye(12))
    exact = -epsilon / 12 * np.trace(inverse @ (da.T @ a + a.T @ da) @ inverse)
    deficit = px.diagnostics.RankDeficit(RULE, epsilon=epsilon)
    gradient = slope(net, deficit)
    products = jax.tree.map(lambda g, d: np.vdot(g, d), gradient, direction)
    along = sum(jax.tree.leaves(products))
    # The difference quotient of the features errs by h².
    np.testing.assert_allclose(along, exact, rtol=1e-8)
    by_epsilon = jax.jit(
        jax.grad(lambda e: px.loss(px.diagnostics.RankDeficit(RULE, epsilon=e), net))
    )(epsilon)
    values = np.linalg.svd(a, compute_uv=False) ** 2
    np.testing.assert_allclose(
        by_epsilon, np.mean(values / (values + epsilon) ** 2), rtol=1e-10
    )


def test_equal_neurons_have_a_finite_derivative():
    twins = px.TwoLayer([[1.0], [1.0]], [0.2, 0.2], [1.0, 1.0], activation="tanh")
    deficit = px.diagnostics.RankDeficit(RULE, epsilon=1e-3)
    gradient = slope(twins, deficit)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))


def test_more_neurons_than_points_count_as_dependent():
    few = px.problems.gauss_legendre(3)
    deficit = px.diagnostics.RankDeficit(few, epsilon=1e-15)
    np.testing.assert_allclose(loss(deficit, network(spread=True)), 9 / 12, rtol=1e-12)


def test_training_raises_the_rank_and_leaves_the_other_layers():
    net = network()
    deficit = px.diagnostics.RankDeficit(RULE, epsilon=1e-4)
    run = px.descend(
        deficit,
        net,
        optax.adam(0.05),
        num_steps=150,
        save=px.every(50),
        record={
            "spectrum": lambda task, n: px.diagnostics.spectrum(
                None, n, quadrature=task.quadrature, layer=0
            )
        },
    )
    ranks = np.asarray(px.diagnostics.epsilon_rank(run.saved["spectrum"], 1e-4))
    assert ranks[0] <= 3
    assert ranks[-1] >= 8
    for part in (lambda n: n.weights[1], lambda n: n.biases[1], lambda n: n.readout):
        np.testing.assert_array_equal(part(run.network), part(net))


def test_bad_requests_are_refused():
    with pytest.raises(ValueError, match="`epsilon` must be positive"):
        px.diagnostics.RankDeficit(RULE, epsilon=0.0)
    with pytest.raises(ValueError, match="`layer` must be at least 0"):
        px.diagnostics.RankDeficit(RULE, epsilon=1.0, layer=-1)
    deficit = px.diagnostics.RankDeficit(RULE, epsilon=1.0, layer=2)
    with pytest.raises(ValueError, match="`layer` must be below 2"):
        px.loss(deficit, network())
