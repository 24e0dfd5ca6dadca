"""The error is never below its bound by ε-rank, and its parts are as defined (R7)."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import plateaux as px

EPSILONS = np.logspace(-14, 1, 31)
RULE = px.problems.gauss_legendre(60)
ROUNDING = 1e-12  # of norms of size 1


def wave(x):
    return jnp.sin(2 * jnp.pi * x[0]) + 0.5 * jnp.sin(6 * jnp.pi * x[0])


def network_of(kind, key=0):
    key = jax.random.key(key)
    common = {"in_dim": 1, "activation": "tanh"}
    if kind == "two_layer":
        return px.networks.he(key, width=12, **common)
    if kind == "affine":
        return px.networks.he(key, width=12, affine=True, **common)
    bias = kind == "bias"
    return px.networks.mlp(
        key, widths=(6, 12), initialiser="xavier", readout_bias=bias, **common
    )


def by_least_squares(network, epsilon, added):
    """dist(f, V_p ⊕ E) with a projection onto explicit functions."""
    root = np.sqrt(np.asarray(RULE.weights))[:, None]
    phi = np.asarray(px.networks.features(network, RULE.points)[-1])
    left, values, _ = np.linalg.svd(root * phi, full_matrices=False)
    basis = np.hstack([root * added, left[:, values**2 > epsilon]])
    f = root[:, 0] * np.asarray(jax.vmap(wave)(RULE.points))
    if not basis.shape[1]:
        return np.linalg.norm(f)
    return np.linalg.norm(f - basis @ np.linalg.lstsq(basis, f, rcond=None)[0])


ADDED = {
    "two_layer": np.zeros((60, 0)),
    "affine": np.hstack([np.asarray(RULE.points), np.ones((60, 1))]),
    "plain": np.zeros((60, 0)),
    "bias": np.ones((60, 1)),
}


@pytest.mark.parametrize("kind", ADDED)
def test_the_parts_of_the_bound_are_their_definitions(kind):
    network = network_of(kind)
    found = px.diagnostics.error_bound(
        None, network, EPSILONS, quadrature=RULE, target=wave
    )
    spectrum = px.diagnostics.spectrum(None, network, quadrature=RULE)
    some = [0, 12, 20, 30]
    ranks = px.diagnostics.epsilon_rank(spectrum, EPSILONS)
    np.testing.assert_array_equal(found.rank, ranks)
    for i in some:
        exact = by_least_squares(network, EPSILONS[i], ADDED[kind])
        # Functions of size σ = 1e-7 are known to a relative 1e-16/σ.
        np.testing.assert_allclose(found.distance[i], exact, rtol=1e-8)
    u = np.asarray(px.networks.outputs(network, RULE.points))
    gap = u - np.asarray(jax.vmap(wave)(RULE.points))
    norm = np.sqrt(np.asarray(RULE.weights) @ gap**2)
    np.testing.assert_allclose(found.error, norm, rtol=1e-13)
    np.testing.assert_allclose(found.bound, found.distance - found.tail, rtol=1e-12)
    # With nothing left out the tail is 0, with everything it is ‖Σ c_j φ_j‖.
    assert found.tail[0] == 0 or ranks[0] < 12
    readout = np.asarray(network.c if hasattr(network, "c") else network.readout)
    phi = np.asarray(px.networks.features(network, RULE.points)[-1])
    whole = np.sqrt(np.asarray(RULE.weights) @ (phi @ readout) ** 2)
    assert int(ranks[-1]) == 0
    np.testing.assert_allclose(found.tail[-1], whole, rtol=1e-12)
    np.testing.assert_allclose(found.readout_norm, np.linalg.norm(readout))


@pytest.mark.parametrize("kind", ADDED)
def test_the_bound_holds_along_a_run_at_every_threshold(kind):
    problem = px.problems.sampled(wave, RULE)
    run = px.descend(
        problem,
        network_of(kind),
        optax.adam(1e-2),
        num_steps=300,
        save=px.log_spaced(12),
        record={
            "bound": lambda problem, network: px.diagnostics.error_bound(
                None, network, EPSILONS, quadrature=RULE, target=wave
            )
        },
    )
    found = run.saved["bound"]
    # The loss is ½ mean square, the measure dx/2.
    np.testing.assert_allclose(found.error**2 / 4, run.losses, rtol=1e-12)
    assert np.all(found.bound <= np.asarray(found.error)[:, None] + ROUNDING)
    coarse = np.sqrt(EPSILONS) * np.asarray(found.readout_norm)[:, None]
    assert np.all(found.tail <= coarse + ROUNDING)
    best = np.max(np.asarray(found.bound), axis=1) / np.asarray(found.error)
    assert np.median(best) > 0.5  # and it says something


def test_data_are_their_own_inner_product_and_outputs_add_in_squares():
    key = jax.random.key(0)
    x = jnp.linspace(-1, 1, 9)[:, None]
    targets = jnp.hstack([jnp.sin(3 * x), x**2])
    network = px.networks.mlp(key, widths=(5,), in_dim=1, out_dim=2, activation="tanh")
    both = px.diagnostics.error_bound(px.Problem(x, targets), network, 1e-4)
    parts = [
        px.diagnostics.error_bound(
            px.Problem(x, targets[:, i]),
            px.MLP(
                network.weights, network.biases, network.readout[i], activation="tanh"
            ),
            1e-4,
        )
        for i in range(2)
    ]
    for name in ("error", "distance", "tail", "readout_norm"):
        squares = sum(float(getattr(part, name)) ** 2 for part in parts)
        assert float(getattr(both, name)) ** 2 == pytest.approx(squares, rel=1e-10)


def test_fewer_points_than_neurons_leave_nothing_to_approximate():
    x = jnp.linspace(-1, 1, 4)[:, None]
    network = network_of("affine")
    found = px.diagnostics.error_bound(px.Problem(x, x[:, 0] ** 3), network, 1e-20)
    assert float(found.distance) < 1e-12
    assert float(found.bound) <= float(found.error)


def test_bad_requests_are_refused():
    problem = px.Problem([[1.0], [2.0]], [0.0, 0.0])
    network = px.TwoLayer([[1.0]], [0.0], [1.0])
    with pytest.raises(ValueError, match="`epsilon` must be positive"):
        px.diagnostics.error_bound(problem, network, -1.0)
    with pytest.raises(TypeError, match="must be given together"):
        px.diagnostics.error_bound(problem, network, 1.0, quadrature=RULE)

    class Other(px.networks.Network):
        activation = px.networks.activation("tanh")
        in_dim, out_dim = 1, None

        def __call__(self, x):
            return x[0]

        def hidden(self, x):
            return (x,)

    with pytest.raises(TypeError, match="a TwoLayer or an MLP, but is a Other"):
        px.diagnostics.error_bound(
            None, Other(), 1.0, quadrature=RULE, target=lambda x: x[0]
        )
