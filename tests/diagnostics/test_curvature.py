"""Extreme eigenvalues, layers, alignments, curvature along runs: against matrices."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import plateaux as px
from plateaux.diagnostics import curvature
from plateaux.diagnostics.curvature.lanczos import end_pairs

from ..closeness import assert_close, lane

extreme_eigenvalues = eqx.filter_jit(curvature.extreme_eigenvalues)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 2))
DATA = px.Problem(X, np.sin(2 * X[:, 0]) + 0.3 * X[:, 1])


def network(width=12, activation="tanh", seed=0):
    key = jax.random.key(seed)
    return px.networks.he(
        key, width=width, in_dim=2, bias="normal", activation=activation
    )


def flat(net):
    return ravel_pytree(eqx.filter(net, eqx.is_inexact_array))[0]


def along_of(leaves):
    """Networks stacked along time."""
    return jax.tree.map(lambda *rows: jnp.stack(rows), *leaves)


# --- Lanczos --------------------------------------------------------------------------


@partial(jax.jit, static_argnames="max_products")
def ends_of(matrix, tol, max_products=2000):
    return end_pairs(
        lambda v: matrix @ v,
        jnp.zeros(len(matrix)),
        jax.random.key(3),
        num=2,
        basis_size=16,
        tol=tol,
        max_products=max_products,
    )


def random_symmetric(values):
    q, _ = np.linalg.qr(RNG.normal(size=(len(values), len(values))))
    return jnp.asarray(q @ np.diag(values) @ q.T)


@pytest.mark.parametrize(
    "values",
    [
        np.linspace(-1, 2, 90),
        np.concatenate([[5.0, 5.0, 5.0], np.zeros(85), [-2.0, -2.0]]),
        np.concatenate([[1e-9, 2e-9], -np.logspace(-14, -9, 88)]),
        np.ones(90),
    ],
    ids=["even", "multiple", "tiny", "identity"],
)
def test_ends_equal_the_dense_ones(values):
    found = ends_of(random_symmetric(values), 1e-8)
    values = np.sort(values)
    expected = [[values[-1], values[-2]], [values[0], values[1]]]
    radius = np.max(np.abs(values))
    np.testing.assert_allclose(found.values, expected, atol=1e-8 * radius)
    assert jnp.all(found.converged)


def test_vectors_are_orthonormal_and_residuals_are_true():
    # beside so large a value, one pass of orthogonalisation leaves 1e-11
    values = np.concatenate([np.linspace(-1, 1, 89), [1e7]])
    matrix = random_symmetric(values)
    found = ends_of(matrix, 1e-11)
    vectors = np.asarray(found.vectors).reshape(4, 90)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(4), atol=1e-12)
    rest = vectors @ np.asarray(matrix) - np.ravel(found.values)[:, None] * vectors
    residuals = np.linalg.norm(rest, axis=1)
    # Products with 1e7 round by some 1e-8.
    np.testing.assert_allclose(np.ravel(found.residuals), residuals, atol=1e-7)
    assert np.all(residuals <= 1.01e-4)


def test_unfinished_search_says_so():
    matrix = random_symmetric(np.linspace(-1, 2, 90))
    found = ends_of(matrix, 1e-8, max_products=20)
    assert int(found.num_products) <= 20
    assert not jnp.any(found.converged)
    # Ritz values are within the spectrum.
    assert -1 <= float(found.values[1, 0]) <= float(found.values[0, 0]) <= 2


# --- extreme eigenvalues --------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "matrix"),
    [("tanh", "hessian"), ("relu", "hessian"), ("tanh", "gauss_newton")],
)
def test_extremes_equal_those_of_the_matrix(activation, matrix):
    net = network(activation=activation)
    found = extreme_eigenvalues(DATA, net, matrix=matrix)
    dense = np.linalg.eigvalsh(getattr(curvature, matrix)(DATA, net))
    radius = np.max(np.abs(dense))
    np.testing.assert_allclose(
        [found.largest, found.smallest], dense[[-1, 0]], atol=1e-8 * radius
    )
    np.testing.assert_allclose(found.radius, radius, rtol=1e-8)
    assert found.largest_converged
    assert found.smallest_converged
    for value, vector in (
        (found.largest, found.largest_vector),
        (found.smallest, found.smallest_vector),
    ):
        image = getattr(curvature, matrix)(DATA, net) @ flat(vector)
        np.testing.assert_allclose(
            image, float(value) * flat(vector), atol=1e-7 * radius
        )


def test_several_eigenvalues_of_a_deep_network(key):
    net = px.networks.mlp(key, widths=(6, 5), in_dim=2, activation="tanh")
    found = extreme_eigenvalues(DATA, net, num=3)
    dense = np.linalg.eigvalsh(curvature.hessian(DATA, net))
    both = np.concatenate([found.largest, found.smallest])
    expected = np.concatenate([dense[:-4:-1], dense[:3]])
    np.testing.assert_allclose(both, expected, atol=1e-8 * np.max(np.abs(dense)))
    assert found.largest_vector.weights[0].shape == (3, 6, 2)
    assert found.radius.shape == ()
    again = extreme_eigenvalues(DATA, net, num=3, start=found)
    assert_close(again.largest, found.largest, ulps=1e4)


def test_small_networks_are_exact():
    net = network(width=3)
    found = curvature.extreme_eigenvalues(DATA, net, num=12)
    dense = np.linalg.eigvalsh(curvature.hessian(DATA, net))
    np.testing.assert_allclose(found.smallest, dense, atol=1e-13)
    np.testing.assert_allclose(found.largest, dense[::-1], atol=1e-13)
    assert int(found.num_products) == 12


def test_warm_start_costs_less():
    net = network(width=40)
    first = extreme_eigenvalues(DATA, net, basis_size=8)
    moved = jax.tree.map(lambda leaf: leaf + 1e-5 * jnp.sign(leaf), net)
    again = extreme_eigenvalues(DATA, moved, basis_size=8, start=first)
    cold = extreme_eigenvalues(DATA, moved, basis_size=8)
    assert int(again.num_products) < int(cold.num_products)
    assert_close(again.largest, cold.largest, ulps=1e5)
    assert_close(again.smallest, cold.smallest, ulps=1e5)


@pytest.mark.parametrize("width", [4, 20])
def test_dead_networks_have_no_curvature(width):
    net = px.TwoLayer(np.ones((width, 2)), np.full(width, -99.0), np.zeros(width))
    found = extreme_eigenvalues(DATA, net)
    assert float(found.largest) == float(found.smallest) == 0
    assert found.largest_converged
    np.testing.assert_allclose(jnp.linalg.norm(flat(found.largest_vector)), 1.0)
    broken = eqx.tree_at(lambda n: n.b, net, jnp.full(width, jnp.nan))
    found = extreme_eigenvalues(DATA, broken)
    assert jnp.isnan(found.largest)
    assert not found.largest_converged
    assert int(found.num_products) <= 60


def test_batch_equals_loop():
    nets = along_of([network(seed=seed) for seed in range(3)])
    together = jax.vmap(lambda n: extreme_eigenvalues(DATA, n))(nets)
    for i in range(3):
        alone = extreme_eigenvalues(DATA, lane(nets, i))
        for name in ("largest", "smallest"):
            one, many = getattr(alone, name), getattr(together, name)[i]
            np.testing.assert_allclose(many, one, atol=1e-10)
        assert int(together.num_products[i]) == int(alone.num_products)


def test_single_precision():
    single = lambda tree: jax.tree.map(lambda a: a.astype(jnp.float32), tree)
    found = extreme_eigenvalues(single(DATA), single(network()))
    exact = extreme_eigenvalues(DATA, network())
    assert found.largest.dtype == jnp.float32
    assert found.largest_converged
    assert found.smallest_converged
    ends = [found.largest, found.smallest]
    # √ε of float32 is 3e-4, its square what separated eigenvalues are right to.
    np.testing.assert_allclose(
        ends, [exact.largest, exact.smallest], atol=1e-5 * float(exact.radius)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num": 0}, "`num` must be at least 1"),
        ({"num": 999}, "`num` must be at most 48"),
        ({"num": 10, "basis_size": 20}, "`basis_size` must be at least 40"),
        ({"max_products": 5}, "`max_products` must be at least 32"),
        ({"tol": 0.0}, "`tol` must be positive"),
        ({"matrix": "hesian"}, "did you mean 'hessian'"),
        ({"start": network(width=5)}, "must have the 48 parameters"),
    ],
)
def test_bad_requests_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        curvature.extreme_eigenvalues(DATA, network(), **options)


def test_a_start_is_a_direction():
    with pytest.raises(TypeError, match="`start` must be what"):
        curvature.extreme_eigenvalues(DATA, network(), start=3.0)


# --- layers ---------------------------------------------------------------------------


def dense_blocks(net, groups):
    """Eigenvalues of diagonal blocks, the groups given by leaves of the network."""
    matrix = np.asarray(eqx.filter_jit(curvature.hessian)(DATA, net))
    for group in groups:
        zeros = jax.tree.map(jnp.zeros_like, eqx.filter(net, eqx.is_inexact_array))
        marked = eqx.tree_at(group, zeros, replace_fn=jnp.ones_like)
        place = np.flatnonzero(ravel_pytree(marked)[0])
        yield place, np.linalg.eigvalsh(matrix[np.ix_(place, place)])[::-1]


def assert_layers(net, groups):
    found = eqx.filter_jit(curvature.layer_spectra)(DATA, net)
    norms = eqx.filter_jit(curvature.layer_gradient_norms)(DATA, net)
    static = eqx.filter(net, eqx.is_inexact_array, inverse=True)
    at = lambda params: px.loss(DATA, eqx.combine(params, static))
    slope = ravel_pytree(jax.jit(jax.grad(at))(eqx.filter(net, eqx.is_inexact_array)))[
        0
    ]
    blocks = list(dense_blocks(net, groups))
    assert sum(len(place) for place, _ in blocks) == slope.size
    for (place, block), layer, norm in zip(blocks, found, norms, strict=True):
        np.testing.assert_allclose(layer, block, atol=1e-12)
        np.testing.assert_allclose(norm, jnp.linalg.norm(slope[place]), rtol=1e-12)


def test_layers_of_two_layer_networks():
    net = px.networks.he(
        jax.random.key(1), width=4, in_dim=2, bias="normal", affine=True
    )
    assert_layers(net, [lambda n: (n.w, n.b), lambda n: (n.c, n.p)])


def test_layers_of_deep_networks(key):
    net = px.networks.mlp(
        key,
        widths=(3, 3),
        in_dim=2,
        kind="normalised",
        learn_normalisation=True,
        readout_bias=True,
        activation="tanh",
        embedding="he",
    )
    layer = lambda l: lambda n: (n.weights[l], n.biases[l], n.gains[l], n.shifts[l])
    last = lambda n: (n.readout, n.readout_bias)
    assert_layers(net, [lambda n: n.embedding, layer(0), layer(1), last])


def test_every_weight_of_a_chain_is_a_layer():
    data, net = px.Problem([[1.0]], [1.5]), px.networks.Chain([0.5, -2.0, 3.0])
    found = curvature.layer_spectra(data, net)
    assert [block.shape for block in found] == [(1,)] * 3
    p, w = -3.0, np.array([0.5, -2.0, 3.0])
    np.testing.assert_allclose(np.ravel(found), p**2 / w**2, rtol=1e-12)
    norms = curvature.layer_gradient_norms(data, net)
    np.testing.assert_allclose(norms, np.abs((p - 1.5) * p / w), rtol=1e-12)


# --- directions -----------------------------------------------------------------------


def test_directional_curvature_is_a_rayleigh_quotient(key):
    net = network()
    direction = jax.tree.map(lambda leaf: jnp.cos(7 * leaf), net)
    u = flat(direction)
    expected = u @ curvature.hessian(DATA, net) @ u / (u @ u)
    found = curvature.directional_curvature(DATA, net, direction)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    tiny = jax.tree.map(lambda leaf: 1e-200 * leaf, direction)
    found = curvature.directional_curvature(DATA, net, tiny)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    still = jax.tree.map(jnp.zeros_like, net)
    assert float(curvature.directional_curvature(DATA, net, still)) == 0


def test_alignments_are_cosines():
    net = network()
    found = extreme_eigenvalues(DATA, net)
    _, vectors = np.linalg.eigh(curvature.hessian(DATA, net))
    gradient = px.dynamics.evaluate(DATA, net).gradient
    g = np.asarray(flat(gradient)) / np.linalg.norm(flat(gradient))
    cosines = np.abs(vectors.T @ g)[[-1, 0]]
    along = curvature.gradient_alignment(DATA, net, found=found)
    np.testing.assert_allclose([along.largest, along.smallest], cosines, atol=1e-7)
    np.testing.assert_allclose(along.share, np.sum(cosines**2), atol=1e-7)
    same = curvature.update_alignment(DATA, net, gradient)
    assert_close(same, along, ulps=1e6)
    mixed = jax.tree.map(
        lambda top, bottom: 3 * top - 4 * bottom,
        found.largest_vector,
        found.smallest_vector,
    )
    along = curvature.update_alignment(DATA, net, mixed, found=found)
    np.testing.assert_allclose(along, [0.6, 0.8, 1.0], atol=1e-7)


def test_an_alignment_needs_one_pair_of_eigenvalues():
    found = curvature.extreme_eigenvalues(DATA, network(), num=2)
    with pytest.raises(TypeError, match="`found` must be"):
        curvature.gradient_alignment(DATA, network(), found=found)


# --- along runs -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def run():
    return px.descend(
        DATA,
        network(width=15),
        px.gradient_descent(0.1),
        num_steps=300,
        save=px.log_spaced(12),
        record={"network": lambda _, net: net},
    )


def test_curvature_along_a_run_is_that_of_its_networks(run):
    networks = run.saved["network"]
    found = curvature.curvature_along(DATA, networks, tol=1e-6)
    dense = jnp.linalg.eigvalsh(
        jax.vmap(lambda net: curvature.hessian(DATA, net))(networks)
    )
    radius = np.max(np.abs(dense), axis=1)
    np.testing.assert_allclose(found.largest, dense[:, -1], atol=1e-8 * radius[0])
    np.testing.assert_allclose(found.smallest, dense[:, 0], atol=1e-8 * radius[0])
    np.testing.assert_allclose(found.radius, radius, rtol=1e-8)
    assert jnp.all(found.converged)
    assert jnp.all(found.residual <= 1e-6 * found.radius)


def test_a_broken_network_breaks_no_other(run):
    networks = run.saved["network"]
    broken = eqx.tree_at(lambda n: n.c, networks, networks.c.at[3].set(jnp.nan))
    found = curvature.curvature_along(DATA, broken)
    assert jnp.isnan(found.largest[3])
    assert found.converged.tolist() == [i != 3 for i in range(12)]


def test_curvature_of_steps_is_that_of_displacements(run):
    networks = run.saved["network"]
    found = curvature.curvature_of_steps(DATA, networks)
    for i in (0, 5, 10):
        step = jax.tree.map(lambda leaf, i=i: leaf[i + 1] - leaf[i], networks)
        one = curvature.directional_curvature(DATA, lane(networks, i), step)
        np.testing.assert_allclose(found[i], one, rtol=1e-10)
    assert found.shape == (11,)


def test_networks_along_a_run_have_an_axis_of_times():
    chain = px.networks.Chain([1.0, 2.0])
    net = eqx.tree_at(lambda n: n.weights, chain, jnp.array(1.0))
    with pytest.raises(ValueError, match="with a leading axis of saved times"):
        curvature.curvature_along(px.Problem([[1.0]], [1.0]), net)
    with pytest.raises(ValueError, match="with a leading axis of saved times"):
        curvature.curvature_along(DATA, network())
