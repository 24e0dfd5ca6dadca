"""Extreme eigenvalues, layers, alignments, curvature along runs: against matrices."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.diagnostics import curvature
from plateaux.diagnostics.curvature import extreme
from plateaux.diagnostics.curvature.lanczos import end_pairs
from plateaux.diagnostics.curvature.layers import layer_places

from ..closeness import assert_close, lane

gradient_alignment = eqx.filter_jit(curvature.gradient_alignment)
directional_curvature = eqx.filter_jit(curvature.directional_curvature)
DENSE = {name: eqx.filter_jit(getattr(curvature, name)) for name in extreme.MATRICES}
hessian = DENSE["hessian"]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 2))
DATA = px.Problem(X, np.sin(2 * X[:, 0]) + 0.3 * X[:, 1])


def network(width=12, activation="tanh", seed=0):
    rng = np.random.default_rng(seed)
    w, b = rng.normal(size=(width, 2)), rng.normal(size=width)
    c = rng.normal(size=width) * np.sqrt(2 / width)
    return px.TwoLayer(w, b, c, activation=activation)


def flat(net):
    """Parameters in the order of `ravel_pytree`."""
    leaves = jax.tree.leaves(eqx.filter(net, eqx.is_inexact_array))
    return np.concatenate([np.ravel(leaf) for leaf in leaves])


def along_of(leaves):
    """Networks stacked along time."""
    return jax.tree.map(lambda *rows: jnp.asarray(np.stack(rows)), *leaves)


def outermost(net, problem=DATA, **options):
    return curvature.extreme_eigenvalues(problem, net, **options)


def unknown(net, **options):
    """A start from which nothing is known: zeros, where random vectors begin."""
    found = eqx.filter_eval_shape(outermost, net, **options)
    # of the same types as what is found, for which nothing is compiled again
    of = lambda leaf: 0 if leaf.weak_type else np.zeros(leaf.shape, leaf.dtype)
    zeros = lambda leaf: jnp.asarray(of(leaf))
    return jax.tree.map(zeros, found)


# --- Lanczos --------------------------------------------------------------------------


@jax.jit
def _ends_of(matrix, tol, max_products):
    return end_pairs(
        lambda v: matrix @ v,
        jnp.zeros(len(matrix)),
        jax.random.key(3),
        num=2,
        basis_size=16,
        tol=tol,
        max_products=max_products,
    )


def ends_of(matrix, tol, max_products=2000):
    return _ends_of(matrix, tol, max_products)


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
    assert np.all(found.converged)


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
    assert not np.any(found.converged)
    # Ritz values are within the spectrum.
    assert -1 <= float(found.values[1, 0]) <= float(found.values[0, 0]) <= 2


# --- extreme eigenvalues --------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "matrix"),
    [("tanh", "hessian"), ("relu", "hessian"), ("tanh", "gauss_newton")],
)
def test_extremes_equal_those_of_the_matrix(activation, matrix):
    if activation == "tanh":
        net = network()
        found = outermost(net, matrix=matrix, start=unknown(net))
    else:  # as wide as the dead network below, and without a start
        net = network(20, activation)
        found = outermost(net)
    dense = np.asarray(DENSE[matrix](DATA, net))
    values = np.linalg.eigvalsh(dense)
    radius = np.max(np.abs(values))
    np.testing.assert_allclose(
        [found.largest, found.smallest], values[[-1, 0]], atol=1e-8 * radius
    )
    np.testing.assert_allclose(found.radius, radius, rtol=1e-8)
    assert found.largest_converged
    assert found.smallest_converged
    for value, vector in (
        (found.largest, found.largest_vector),
        (found.smallest, found.smallest_vector),
    ):
        image = dense @ flat(vector)
        np.testing.assert_allclose(
            image, float(value) * flat(vector), atol=1e-7 * radius
        )


@pytest.mark.slow
def test_eigenvalues_of_a_deep_network(key):
    net = px.networks.mlp(key, widths=(6, 5), in_dim=2, activation="tanh")
    found = outermost(net, num=3)
    dense = np.linalg.eigvalsh(hessian(DATA, net))
    both = np.concatenate([found.largest, found.smallest])
    expected = np.concatenate([dense[:-4:-1], dense[:3]])
    np.testing.assert_allclose(both, expected, atol=1e-8 * np.max(np.abs(dense)))
    assert found.largest_vector.weights[0].shape == (3, 6, 2)


def test_several_eigenvalues_and_a_warm_start_costs_less():
    net = network(width=40)
    options = {"num": 3, "basis_size": 12}
    start = unknown(net, num=3)
    first = outermost(net, **options, start=start)
    dense = np.linalg.eigvalsh(hessian(DATA, net))
    both = np.concatenate([first.largest, first.smallest])
    expected = np.concatenate([dense[:-4:-1], dense[:3]])
    np.testing.assert_allclose(both, expected, atol=1e-8 * np.max(np.abs(dense)))
    assert first.largest_vector.w.shape == (3, 40, 2)
    assert first.radius.shape == ()
    again = outermost(net, **options, start=first)
    assert_close(again.largest, first.largest, ulps=1e4)
    moved = jax.tree.map(lambda leaf: leaf + 1e-5 * np.sign(leaf), net)
    again = outermost(moved, **options, start=first)
    cold = outermost(moved, **options, start=start)
    assert int(again.num_products) < int(cold.num_products)
    assert_close(again.largest, cold.largest, ulps=1e5)
    assert_close(again.smallest, cold.smallest, ulps=1e5)


def test_a_warm_start_from_one_pair():
    net = network()
    start = unknown(net)
    first = outermost(net, start=start)
    again = outermost(net, start=first)
    assert int(again.num_products) <= int(first.num_products)
    assert_close(again.largest, first.largest, ulps=1e5)


def test_small_networks_are_exact():
    net = network(width=4, activation="relu")
    found = outermost(net, num=16)
    dense = np.linalg.eigvalsh(hessian(DATA, net))
    np.testing.assert_allclose(found.smallest, dense, atol=1e-13)
    np.testing.assert_allclose(found.largest, dense[::-1], atol=1e-13)
    assert int(found.num_products) == 16


@pytest.mark.parametrize(("width", "options"), [(4, {"num": 16}), (20, {})])
def test_dead_networks_have_no_curvature(width, options):
    net = px.TwoLayer(np.ones((width, 2)), np.full(width, -99.0), np.zeros(width))
    found = outermost(net, **options)
    assert not np.any(found.largest)
    assert not np.any(found.smallest)
    assert np.all(found.largest_converged)
    square = np.sum(flat(found.largest_vector) ** 2) / np.size(found.largest)
    np.testing.assert_allclose(np.sqrt(square), 1.0)
    broken = eqx.tree_at(lambda n: n.b, net, jnp.asarray(np.full(width, np.nan)))
    found = outermost(broken, **options)
    assert np.all(np.isnan(found.largest))
    assert not np.any(found.largest_converged)
    assert int(found.num_products) <= 60


def test_batch_equals_loop():
    nets = along_of([network(seed=seed) for seed in range(3)])
    start = unknown(network())
    options = {"start": start}
    together = jax.vmap(lambda n: outermost(n, **options))(nets)
    for i in range(3):
        alone = outermost(lane(nets, i), **options)
        for name in ("largest", "smallest"):
            one, many = getattr(alone, name), np.asarray(getattr(together, name))[i]
            np.testing.assert_allclose(many, one, atol=1e-10)
        assert int(np.asarray(together.num_products)[i]) == int(alone.num_products)


def test_single_precision():
    one = lambda leaf: jnp.asarray(np.asarray(leaf, np.float32))
    single = lambda tree: jax.tree.map(one, tree)
    found = outermost(single(network()), single(DATA))
    exact = outermost(network(), start=unknown(network()))
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
        outermost(network(), **options)


def test_a_start_is_a_direction():
    with pytest.raises(TypeError, match="`start` must be what"):
        outermost(network(), start=3.0)


# --- layers ---------------------------------------------------------------------------


@eqx.filter_jit
def layers_and_all(problem, net):
    """Spectra and gradients of layers, and the whole Hessian and gradient."""
    return (
        curvature.layer_spectra(problem, net),
        curvature.layer_gradient_norms(problem, net),
        curvature.hessian(problem, net),
        eqx.filter_grad(lambda net: px.loss(problem, net))(net),
    )


def places(net, groups):
    """Where groups, given by leaves of the network, are in the flat parameters."""
    zeros = jax.tree.map(np.zeros_like, eqx.filter(net, eqx.is_inexact_array))
    for group in groups:
        marked = eqx.tree_at(group, zeros, replace_fn=np.ones_like)
        yield np.flatnonzero(flat(marked))


def assert_layers(net, groups):
    found, norms, matrix, slope = layers_and_all(DATA, net)
    matrix, slope = np.asarray(matrix), flat(slope)
    each = list(places(net, groups))
    assert sum(map(len, each)) == slope.size
    for place, layer, norm in zip(each, found, np.asarray(norms), strict=True):
        block = np.linalg.eigvalsh(matrix[np.ix_(place, place)])[::-1]
        np.testing.assert_allclose(layer, block, atol=1e-12)
        np.testing.assert_allclose(norm, np.linalg.norm(slope[place]), rtol=1e-12)


def test_layers_of_two_layer_networks():
    net = network(width=4, activation="relu")
    net = px.TwoLayer(net.w, net.b, net.c, [0.3, -0.2, 0.1])
    assert_layers(net, [lambda n: (n.w, n.b), lambda n: (n.c, n.p)])


def deep_network():
    draw = np.random.default_rng(4).normal
    both = lambda *shape: list(draw(size=(2, *shape)))
    net = px.MLP(
        both(3, 3),
        both(3),
        draw(size=3),
        draw(),
        kind="normalised",
        gains=both(3),
        shifts=both(3),
        activation="tanh",
        embedding=draw(size=(3, 2)),
    )
    layer = lambda l: lambda n: (n.weights[l], n.biases[l], n.gains[l], n.shifts[l])
    last = lambda n: (n.readout, n.readout_bias)
    return net, [lambda n: n.embedding, layer(0), layer(1), last]


def test_parameters_of_the_layers_of_deep_networks():
    net, groups = deep_network()
    for found, expected in zip(layer_places(net), places(net, groups), strict=True):
        assert sorted(found) == expected.tolist()


@pytest.mark.slow
def test_layers_of_deep_networks():
    assert_layers(*deep_network())


def test_every_weight_of_a_chain_is_a_layer():
    data, net = px.Problem([[1.0]], [1.5]), px.networks.Chain([0.5, -2.0, 3.0])
    found, norms, _, _ = layers_and_all(data, net)
    assert [block.shape for block in found] == [(1,)] * 3
    p, w = -3.0, np.array([0.5, -2.0, 3.0])
    np.testing.assert_allclose(np.ravel(found), p**2 / w**2, rtol=1e-12)
    np.testing.assert_allclose(norms, np.abs((p - 1.5) * p / w), rtol=1e-12)


# --- directions -----------------------------------------------------------------------


def test_directional_curvature_is_a_rayleigh_quotient():
    net = network()
    direction = jax.tree.map(lambda leaf: jnp.asarray(np.cos(7 * leaf)), net)
    u = flat(direction)
    expected = u @ np.asarray(hessian(DATA, net)) @ u / (u @ u)
    found = directional_curvature(DATA, net, direction)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    tiny = jax.tree.map(lambda leaf: 1e-200 * leaf, direction)
    found = directional_curvature(DATA, net, tiny)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    still = jax.tree.map(lambda leaf: 0 * leaf, net)
    assert float(directional_curvature(DATA, net, still)) == 0


def test_alignments_are_cosines():
    net = network()
    found = outermost(net, start=unknown(net))
    _, vectors = np.linalg.eigh(hessian(DATA, net))
    gradient = px.dynamics.evaluate(DATA, net).gradient
    g = flat(gradient) / np.linalg.norm(flat(gradient))
    cosines = np.abs(vectors.T @ g)[[-1, 0]]
    along = gradient_alignment(DATA, net, found=found)
    np.testing.assert_allclose([along.largest, along.smallest], cosines, atol=1e-7)
    np.testing.assert_allclose(along.share, np.sum(cosines**2), atol=1e-7)
    align = eqx.filter_jit(curvature.update_alignment)
    # eigenvalues of its own, all of them by the option
    same = align(DATA, net, gradient, basis_size=48)
    assert_close(same, along, ulps=1e6)
    mixed = jax.tree.map(
        lambda top, bottom: 3 * top - 4 * bottom,
        found.largest_vector,
        found.smallest_vector,
    )
    along = align(DATA, net, mixed, found=found)
    np.testing.assert_allclose(along, [0.6, 0.8, 1.0], atol=1e-7)


def test_an_alignment_needs_one_pair_of_eigenvalues():
    found = unknown(network(), num=2)
    with pytest.raises(TypeError, match="`found` must be"):
        gradient_alignment(DATA, network(), found=found)


# --- along runs -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def networks():
    run = px.descend(
        DATA,
        network(),
        px.gradient_descent(0.1),
        num_steps=300,
        save=px.log_spaced(12),
        record={"network": lambda _, net: net},
    )
    return run.saved["network"]


def test_curvature_along_a_run_is_that_of_its_networks(networks):
    found = curvature.curvature_along(DATA, networks, tol=1e-6)
    each = [hessian(DATA, lane(networks, i)) for i in range(12)]
    dense = np.linalg.eigvalsh(np.stack(each))
    radius = np.max(np.abs(dense), axis=1)
    np.testing.assert_allclose(found.largest, dense[:, -1], atol=1e-8 * radius[0])
    np.testing.assert_allclose(found.smallest, dense[:, 0], atol=1e-8 * radius[0])
    np.testing.assert_allclose(found.radius, radius, rtol=1e-8)
    assert np.all(found.converged)
    assert np.all(np.asarray(found.residual) <= 1e-6 * np.asarray(found.radius))


def test_a_broken_network_breaks_no_other(networks):
    c = np.array(networks.c)
    c[3] = np.nan
    broken = eqx.tree_at(lambda n: n.c, networks, jnp.asarray(c))
    found = curvature.curvature_along(DATA, broken)
    assert np.isnan(np.asarray(found.largest)[3])
    assert found.converged.tolist() == [i != 3 for i in range(12)]


def test_curvature_of_steps_is_that_of_displacements(networks):
    found = np.asarray(curvature.curvature_of_steps(DATA, networks))
    for i in (0, 5, 10):
        at, after = lane(networks, i), lane(networks, i + 1)
        step = jax.tree.map(lambda a, b: b - a, at, after)
        one = directional_curvature(DATA, at, step)
        np.testing.assert_allclose(found[i], one, rtol=1e-10)
    assert found.shape == (11,)


def test_networks_along_a_run_have_an_axis_of_times():
    chain = px.networks.Chain([1.0, 2.0])
    net = eqx.tree_at(lambda n: n.weights, chain, jnp.array(1.0))
    with pytest.raises(ValueError, match="with a leading axis of saved times"):
        curvature.curvature_along(px.Problem([[1.0]], [1.0]), net)
    with pytest.raises(ValueError, match="with a leading axis of saved times"):
        curvature.curvature_along(DATA, network())
