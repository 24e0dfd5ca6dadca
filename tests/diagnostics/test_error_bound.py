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


def network_of(kind):
    rng = np.random.default_rng(0)
    c = rng.normal(size=12) / 6**0.5
    if kind in ("two_layer", "affine"):
        p = np.zeros(2) if kind == "affine" else None
        w = rng.normal(size=(12, 1)) * 2**0.5
        return px.TwoLayer(w, np.zeros(12), c, p, activation="tanh")
    first, second = rng.normal(size=(6, 1)), rng.normal(size=(12, 6)) / 3
    bias = 0.0 if kind == "bias" else None
    biases = [np.zeros(6), np.zeros(12)]
    return px.MLP([first, second], biases, c, bias, activation="tanh")


PARTS = jax.jit(
    lambda network: (
        px.networks.features(network, RULE.points)[-1],
        px.networks.outputs(network, RULE.points),
    )
)


def by_least_squares(phi, epsilon, added):
    """dist(f, V_p ⊕ E) with a projection onto explicit functions."""
    root = np.sqrt(np.asarray(RULE.weights))[:, None]
    left, values, _ = np.linalg.svd(root * phi, full_matrices=False)
    basis = np.hstack([root * added, left[:, values**2 > epsilon]])
    f = root[:, 0] * WAVE
    if not basis.shape[1]:
        return np.linalg.norm(f)
    return np.linalg.norm(f - basis @ np.linalg.lstsq(basis, f, rcond=None)[0])


WAVE = np.asarray(jax.jit(jax.vmap(wave))(RULE.points))
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
    found, ranks = jax.tree.map(np.asarray, (found, ranks))
    phi, u = map(np.asarray, PARTS(network))
    for i in some:
        exact = by_least_squares(phi, EPSILONS[i], ADDED[kind])
        # Functions of size σ = 1e-7 are known to a relative 1e-16/σ.
        np.testing.assert_allclose(found.distance[i], exact, rtol=1e-8)
    gap = u - WAVE
    norm = np.sqrt(np.asarray(RULE.weights) @ gap**2)
    np.testing.assert_allclose(found.error, norm, rtol=1e-13)
    np.testing.assert_allclose(found.bound, found.distance - found.tail, rtol=1e-12)
    # With nothing left out the tail is 0, with everything it is ‖Σ c_j φ_j‖.
    assert found.tail[0] == 0 or ranks[0] < 12
    readout = np.asarray(network.c if hasattr(network, "c") else network.readout)
    whole = np.sqrt(np.asarray(RULE.weights) @ (phi @ readout) ** 2)
    assert int(ranks[-1]) == 0
    np.testing.assert_allclose(found.tail[-1], whole, rtol=1e-12)
    np.testing.assert_allclose(found.readout_norm, np.linalg.norm(readout))


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("two_layer", marks=pytest.mark.slow),
        "affine",
        pytest.param("plain", marks=pytest.mark.slow),
        "bias",
    ],
)
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
    found, losses = jax.tree.map(np.asarray, (run.saved["bound"], run.losses))
    # The loss is ½ mean square, the measure dx/2.
    np.testing.assert_allclose(found.error**2 / 4, losses, rtol=1e-12)
    assert np.all(found.bound <= found.error[:, None] + ROUNDING)
    coarse = np.sqrt(EPSILONS) * found.readout_norm[:, None]
    assert np.all(found.tail <= coarse + ROUNDING)
    best = np.max(found.bound, axis=1) / found.error
    assert np.median(best) > 0.5  # and it says something


def test_data_are_their_own_inner_product_and_outputs_add_in_squares():
    rng = np.random.default_rng(0)
    x = np.linspace(-1, 1, 9)[:, None]
    targets = np.hstack([np.sin(3 * x), x**2])
    w, b, c = rng.normal(size=(5, 1)), np.zeros(5), rng.normal(size=(2, 5))
    network = px.MLP([w], [b], c, activation="tanh")
    both = px.diagnostics.error_bound(px.Problem(x, targets), network, 1e-4)
    parts = [
        px.diagnostics.error_bound(
            px.Problem(x, targets[:, i]),
            px.MLP([w], [b], c[i], activation="tanh"),
            1e-4,
        )
        for i in range(2)
    ]
    for name in ("error", "distance", "tail", "readout_norm"):
        squares = sum(float(getattr(part, name)) ** 2 for part in parts)
        assert float(getattr(both, name)) ** 2 == pytest.approx(squares, rel=1e-10)


def test_fewer_points_than_neurons_leave_nothing_to_approximate():
    x = np.linspace(-1, 1, 4)[:, None]
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
