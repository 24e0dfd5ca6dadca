"""Spectra of known families of functions; laws of ranks; trust in precision.

R1 to R8 are the tests of the theory note, Part II.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.diagnostics import rank

from ..closeness import assert_close

RULE = px.problems.gauss_legendre(40, domain=(0.0, 1.0))
X = np.asarray(RULE.points)  # (Q, 1)


def eigenvalues(phi, weights=RULE.weights):
    """Of functions at the points of a rule."""
    return np.asarray(px.diagnostics.feature_spectrum(phi, weights).eigenvalues)


def on_pieces(num):
    """Two Gauss points on each of `num` equal parts of [0, 1]."""
    x, w = px.problems.gauss_legendre(2, domain=(0.0, 1 / num))
    x = np.add.outer(np.arange(num) / num, np.asarray(x)[:, 0]).ravel()
    weights = np.tile(np.asarray(w), num)
    return px.problems.Quadrature(jnp.asarray(x[:, None]), jnp.asarray(weights))


# --- R1 to R5: exact spectra ----------------------------------------------------------


def test_orthonormal_sines_have_unit_eigenvalues():
    phi = np.sqrt(2.0) * np.sin(np.pi * X * np.arange(1, 9))
    np.testing.assert_allclose(eigenvalues(phi), np.ones(8), rtol=1e-12)


def test_monomials_have_the_eigenvalues_of_the_hilbert_matrix():
    phi = X ** np.arange(6)
    hilbert = 1 / (np.arange(6)[:, None] + np.arange(6)[None, :] + 1)
    found = eigenvalues(phi)
    # The smallest is 1e-7 of the largest: eigvalsh is right to 1e-16 of the largest.
    np.testing.assert_allclose(found, np.linalg.eigvalsh(hilbert)[::-1], rtol=1e-8)


def test_duplicates_do_not_count():
    w, b = [[1.0], [2.0], [1.0]], [0.0, 0.5, 0.0]
    network = px.TwoLayer(w, b, [1.0] * 3, activation="tanh")
    found = px.diagnostics.spectrum(None, network, quadrature=RULE)
    assert int(px.diagnostics.numerical_rank(found)) == 2
    assert px.diagnostics.epsilon_rank(found, [1e-20, 0.1]).tolist() == [2, 1]


def test_hat_functions_have_their_closed_form():
    n = 12
    h = 1 / (n + 1)
    x, w = on_pieces(n + 1)
    nodes = h * np.arange(1, n + 1)
    phi = np.maximum(1 - np.abs(np.asarray(x) - nodes) / h, 0)
    k = np.arange(1, n + 1)
    exact = h / 3 * (2 + np.cos(k * np.pi / (n + 1)))
    np.testing.assert_allclose(eigenvalues(phi, w), exact, rtol=1e-12)


def test_steps_tend_to_the_spectrum_of_the_integral():
    n = 200
    x, w = on_pieces(2 * n)
    phi = (np.asarray(x) > (np.arange(n) + 0.5) / n).astype(float)
    found = eigenvalues(phi, w)
    k = np.arange(1, 6)
    # First-order quadrature of the limit: errors of order (k/n)².
    np.testing.assert_allclose(
        found[:5] / n, 1 / ((k - 0.5) * np.pi) ** 2, rtol=20 / n**2
    )
    epsilon = 1e-3
    ranks = px.diagnostics.epsilon_rank(
        px.diagnostics.feature_spectrum(phi, w), epsilon * n
    )
    assert abs(int(ranks) - (np.sqrt(1 / epsilon) / np.pi + 0.5)) <= 1


def test_relu_tends_to_the_spectrum_of_the_cantilever():
    n = 200
    xi = (np.arange(n) + 0.5) / n
    network = px.TwoLayer(np.ones((n, 1)), -xi, np.ones(n))
    found = px.diagnostics.spectrum(None, network, quadrature=on_pieces(2 * n))
    mu = np.array([1.875104068711961, 4.694091132974175, 7.854757438237613])
    assert np.max(np.abs(np.cos(mu) * np.cosh(mu) + 1)) < 1e-9
    # The limit is reached like (μ/n)²: five digits of the first at n = 800.
    values = np.asarray(found.eigenvalues)
    np.testing.assert_allclose(values[:3] / n, mu**-4, rtol=4e-4)
    assert abs(values[0] / n * mu[0] ** 4 - 1) < 1e-4
    epsilon = np.array([1e-4, 1e-7])
    ranks = px.diagnostics.epsilon_rank(found, epsilon * n)
    np.testing.assert_allclose(ranks, epsilon**-0.25 / np.pi + 0.5, atol=1)


TANH_RANKS = {1: (4, 6), 2: (6, 10), 10: (20, 34), 40: (50, 50)}


@pytest.fixture(scope="module")
def structured():
    """Networks by their sharpness, to be seen with a rule of 400 points."""
    draw = px.networks.structured
    return lambda gamma: draw(jax.random.key(0), width=50, in_dim=1, gamma=gamma)


FINE = px.problems.gauss_legendre(400)


@pytest.mark.parametrize("gamma", TANH_RANKS)
def test_structured_tanh_has_the_ranks_of_the_table(gamma, structured):
    found = px.diagnostics.spectrum(None, structured(float(gamma)), quadrature=FINE)
    ranks = px.diagnostics.epsilon_rank(found, [1e-3, 1e-6])
    assert tuple(ranks.tolist()) == TANH_RANKS[gamma]


# --- R6: laws -------------------------------------------------------------------------


def random_features(seed, n=9):
    """Functions whose eigenvalues spread over many decades."""
    rng = np.random.default_rng(seed)
    phi = rng.normal(size=(40, n)) @ np.diag(10.0 ** -np.arange(n))
    return phi @ np.linalg.qr(rng.normal(size=(n, n)))[0]


THRESHOLDS = np.logspace(-12, 1, 27)


def ranks_of(phi):
    """At many thresholds."""
    found = px.diagnostics.feature_spectrum(phi, RULE.weights)
    return np.asarray(px.diagnostics.epsilon_rank(found, THRESHOLDS))


@pytest.mark.parametrize("seed", range(3))
def test_ranks_fall_with_epsilon_and_stay_below_the_trace(seed):
    phi = random_features(seed)
    ranks = ranks_of(phi)
    assert np.all(np.diff(ranks) <= 0)
    assert np.all(ranks <= eigenvalues(phi).sum() / THRESHOLDS)
    assert ranks[0] > ranks[-1]


@pytest.mark.parametrize("seed", range(3))
def test_orthogonal_mixing_changes_nothing_and_one_more_neuron_adds_one_at_most(seed):
    phi = random_features(seed)
    mix = np.linalg.qr(np.random.default_rng(seed + 9).normal(size=(9, 9)))[0]
    np.testing.assert_array_equal(ranks_of(phi @ mix), ranks_of(phi))
    grown = ranks_of(np.hstack([phi, random_features(seed + 99, 1)])) - ranks_of(phi)
    assert set(grown) <= {0, 1}
    assert grown.max() == 1


def test_eigenvalues_move_by_no_more_than_the_matrix():
    phi, other = random_features(0), random_features(1)
    moved = phi + 1e-3 * other
    root = np.sqrt(np.asarray(RULE.weights))[:, None]
    gram = lambda f: (root * np.asarray(f)).T @ (root * np.asarray(f))
    change = np.linalg.norm(gram(moved) - gram(phi), 2)
    assert np.max(np.abs(eigenvalues(moved) - eigenvalues(phi))) <= change


def test_the_rank_is_free_of_scale_only_relative_to_the_largest():
    phi = random_features(2)
    one = px.diagnostics.feature_spectrum(phi, RULE.weights)
    ten = px.diagnostics.feature_spectrum(10 * phi, 2 * np.asarray(RULE.weights))
    rank = lambda s, e, unit: int(px.diagnostics.epsilon_rank(s, e, relative_to=unit))
    assert rank(one, 1e-6, "largest") == rank(ten, 1e-6, "largest")
    assert rank(one, 1e-6, "volume") == rank(ten, 1e-4, "volume")
    assert rank(one, 1e-6, "absolute") == rank(ten, 2e-4, "absolute")
    assert rank(one, 1e-6, "absolute") != rank(ten, 1e-6, "absolute")


# --- other ranks ----------------------------------------------------------------------


def test_other_ranks_are_their_formulas():
    values = np.array([[3.0, 2.0, 1.0, 0.0], [1e-200, 1e-200, 0.0, 0.0]])
    found = px.diagnostics.Spectrum(jnp.asarray(values), jnp.ones(2))
    p = np.array([3, 2, 1]) / 6
    entropy = np.exp(-np.sum(p * np.log(p)))
    assert_close(px.diagnostics.entropy_rank(found), jnp.array([entropy, 2.0]))
    assert_close(px.diagnostics.stable_rank(found), jnp.array([14 / 9, 2.0]))
    participation = jnp.array([14**2 / 98, 2.0])
    assert_close(px.diagnostics.spectral_participation(found), participation)
    assert px.diagnostics.numerical_rank(found).tolist() == [3, 2]


def test_zero_features_have_rank_zero_of_every_kind():
    zero = px.diagnostics.feature_spectrum(jnp.zeros((4, 3)), jnp.ones(4))
    for of in ("entropy_rank", "stable_rank", "spectral_participation"):
        assert float(getattr(px.diagnostics, of)(zero)) == 0
    assert int(px.diagnostics.numerical_rank(zero)) == 0
    for unit in rank.UNITS:
        assert int(px.diagnostics.epsilon_rank(zero, 1e-3, relative_to=unit)) == 0


def test_few_points_bound_the_rank():
    few = np.asarray(RULE.weights)[:4]
    found = px.diagnostics.feature_spectrum(random_features(0)[:4], few)
    assert found.singular_values.shape == (9,)
    assert int(px.diagnostics.numerical_rank(found)) == 4


# --- networks, layers, batches --------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "residual", "normalised"])
def test_every_layer_has_the_gram_matrix_of_its_units(kind):
    rng = np.random.default_rng(0)
    weights, biases = [rng.normal(size=(3, d)) for d in (1, 3)], [np.zeros(3)] * 2
    network = px.MLP(weights, biases, np.ones(3), kind=kind, activation="tanh")
    problem = px.Problem(np.linspace(-1, 1, 7)[:, None], np.zeros(7))
    units = jax.jit(jax.vmap(network.units))(problem.x)
    for layer, found in enumerate(px.diagnostics.spectra(problem, network)):
        phi = np.asarray(units[layer])
        gram = np.linalg.eigvalsh(phi.T @ phi / 7)[::-1]
        np.testing.assert_allclose(found.eigenvalues, gram, atol=1e-14)
        again = px.diagnostics.spectrum(problem, network, layer=layer)
        assert_close(again.singular_values, found.singular_values)


def test_units_are_what_the_next_layer_and_the_output_see():
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=(4, d)) for d in (2, 4, 4)]
    biases, readout = list(rng.normal(size=(3, 4))), rng.normal(size=(3, 4))
    network = px.MLP(weights, biases, readout, kind="residual")
    x = jnp.array([0.3, -0.7])
    look = jax.jit(lambda x: (network.units(x), network.hidden(x), network(x)))
    units, hidden, output = look(x)
    assert_close(output, readout @ units[-1])
    assert_close(hidden[2], weights[2] @ units[1] + biases[2])
    one = px.TwoLayer([[2.0, 0.0]], [1.0], [1.0])
    (phi,) = px.networks.features(one, np.array([[0.3, -0.7]]))
    np.testing.assert_allclose(phi, [[1.6]])


def test_spectra_are_recorded_along_a_run_and_batches_are_loops():
    problem = px.problems.sine(num_data=16)

    def draw(seed):
        rng = np.random.default_rng(seed)
        weights = [rng.normal(size=(3, 1)), rng.normal(size=(4, 3)) / 2]
        biases = [np.zeros(3), np.zeros(4)]
        return px.MLP(weights, biases, rng.normal(size=4) / 2, activation="tanh")

    stack = lambda *rows: jnp.asarray(np.stack(rows))
    nets = jax.tree.map(stack, draw(0), draw(1))
    train = lambda network: px.descend(
        problem,
        network,
        px.gradient_descent(0.1),
        num_steps=20,
        save=px.every(10),
        record={"spectra": px.diagnostics.spectra, "network": lambda _, n: n},
    )
    run = jax.jit(jax.vmap(train))(nets)
    found = run.saved["spectra"][1]
    assert found.singular_values.shape == (2, 3, 4)
    ranks = px.diagnostics.epsilon_rank(found, [1e-2, 1e-4])
    assert ranks.shape == (2, 3, 2)
    at = lambda leaf: jnp.asarray(np.asarray(leaf)[1, 2])
    network = jax.tree.map(at, run.saved["network"])
    alone = px.diagnostics.spectrum(problem, network)
    expected = np.asarray(found.singular_values)[1, 2]
    np.testing.assert_allclose(alone.singular_values, expected, rtol=1e-9, atol=1e-14)
    by_one = px.diagnostics.epsilon_rank(alone, [1e-2, 1e-4])
    ranks = np.asarray(ranks)
    np.testing.assert_array_equal(ranks[1, 2], by_one)
    mapped = jax.vmap(lambda s: px.diagnostics.epsilon_rank(s, 1e-4))(found)
    np.testing.assert_array_equal(mapped, ranks[..., 1])


def test_sample_weights_are_the_weights_of_the_inner_product():
    x = np.array([[0.0], [1.0], [2.0]])
    network = px.TwoLayer([[1.0], [1.0]], [0.5, -0.5], [1.0, 1.0])
    weighted = px.Problem(x, np.zeros(3), weights=np.array([2.0, 1.0, 0.0]))
    repeated = px.Problem(x[[0, 0, 1]], np.zeros(3))
    found = [px.diagnostics.spectrum(p, network) for p in (weighted, repeated)]
    assert_close(found[0].singular_values, found[1].singular_values)


# --- R8: precision --------------------------------------------------------------------


def of_dtype(network, dtype):
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, dtype)), network)


COARSE = px.problems.gauss_legendre(400, dtype="float32")


@pytest.mark.parametrize("gamma", [1.0, 40.0])
def test_singular_values_in_single_precision_are_right_to_their_resolution(
    gamma, structured
):
    double = structured(gamma)
    exact, single = (
        px.diagnostics.spectrum(None, of_dtype(double, dtype), quadrature=rule)
        for dtype, rule in (("float64", FINE), ("float32", COARSE))
    )
    values = np.asarray(exact.singular_values)
    error = np.abs(values - np.asarray(single.singular_values))
    assert np.max(error) < float(rank.resolution(single))
    least = float(px.diagnostics.least_epsilon(single))
    assert 1e-11 < least < 1e-8
    for epsilon in (1e-3, 1e-6, 1.01 * least):
        if np.min(np.abs(values - np.sqrt(epsilon))) > np.max(error):
            one, two = (
                int(px.diagnostics.epsilon_rank(s, epsilon)) for s in (exact, single)
            )
            assert one == two


def test_the_gram_matrix_in_single_precision_is_drowned_where_ours_is_not(structured):
    network, rule = structured(1.0), COARSE
    phi = px.networks.features(of_dtype(network, "float32"), rule.points)[0]
    a = np.sqrt(np.asarray(rule.weights))[:, None] * np.asarray(phi)
    gram = np.linalg.eigvalsh(a.T @ a)[::-1]
    exact = px.diagnostics.spectrum(None, network, quadrature=FINE).singular_values
    exact = np.asarray(exact) ** 2
    ours = px.diagnostics.feature_spectrum(phi, rule.weights).singular_values
    ours = np.asarray(ours) ** 2
    assert exact[0] == pytest.approx(float(ours[0]), rel=1e-5)
    assert np.max(np.abs(gram - exact)) > 1e-7
    assert np.max(np.abs(ours - exact)[9:]) < 1e-10  # where eigenvalues are below 1e-6


def test_what_the_precision_cannot_resolve_is_refused_or_said():
    found = px.diagnostics.Spectrum(
        jnp.array([[2.0, 1.0], [4.0, 0.0]], "float32"), jnp.ones(2, "float32")
    )
    least = np.asarray(px.diagnostics.least_epsilon(found))
    assert least[1] == pytest.approx(4 * least[0])
    with pytest.raises(ValueError, match=f"at least {least[1]:.3g}, the smallest that"):
        px.diagnostics.epsilon_rank(found, 0.9 * least[1])
    traced = jax.jit(lambda s: px.diagnostics.epsilon_rank(s, 0.9 * least[1]))(found)
    assert traced.tolist() == [2, -1]
    lost = px.diagnostics.Spectrum(jnp.array([jnp.nan, 1.0]), jnp.array(1.0))
    assert int(px.diagnostics.epsilon_rank(lost, 1e-3)) == -1
    assert int(px.diagnostics.numerical_rank(lost)) == -1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: px.diagnostics.epsilon_rank(s, 0.0), ValueError, "must be positive"),
        (
            lambda s: px.diagnostics.epsilon_rank(s, 1.0, relative_to="area"),
            ValueError,
            "unit of epsilon",
        ),
        (
            lambda s: px.diagnostics.epsilon_rank((s,), 1.0),
            TypeError,
            "must be a Spectrum",
        ),
        (
            lambda s: px.diagnostics.spectra(None, px.TwoLayer([[1.0]], [0.0], [1.0])),
            TypeError,
            "`quadrature` must be given",
        ),
        (
            lambda s: px.diagnostics.spectrum(
                None, px.TwoLayer([[1.0]], [0.0], [1.0]), quadrature=RULE, layer=1
            ),
            ValueError,
            "one of 1 hidden layers",
        ),
        (
            lambda s: px.diagnostics.feature_spectrum(jnp.ones((3, 2)), jnp.ones(2)),
            ValueError,
            r"shape \(Q, n\)",
        ),
    ],
)
def test_bad_requests_are_refused(call, error, message):
    found = px.diagnostics.feature_spectrum(random_features(0), RULE.weights)
    with pytest.raises(error, match=message):
        call(found)
