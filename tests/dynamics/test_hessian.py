"""Closed-form second derivatives of the loss against automatic differentiation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.dynamics import evaluate
from plateaux.dynamics.curvature_operators import flat_operator
from plateaux.dynamics.hessian import (
    gauss_newton as _gauss_newton,
    hessian as _hessian,
    hessian_vector_product as _hessian_vector_product,
)

from .. import draws
from ..closeness import stacked
from ..registry import ACTIVATIONS

gauss_newton = eqx.filter_jit(_gauss_newton)
hessian = eqx.filter_jit(_hessian)
hessian_vector_product = eqx.filter_jit(_hessian_vector_product)


def parameters(network):
    """All parameters in one vector, and the way back."""
    leaves, tree = jax.tree.flatten(eqx.filter(network, eqx.is_inexact_array))
    ends = np.cumsum([leaf.size for leaf in leaves])

    def unravel(vector):
        places = zip(leaves, ends, strict=True)
        parts = [vector[e - leaf.size : e].reshape(leaf.shape) for leaf, e in places]
        return tree.unflatten(parts)

    return flat_of(network), unravel


def flat_of(network):
    """All parameters in one vector of NumPy."""
    leaves = jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array))
    return np.concatenate([np.ravel(leaf) for leaf in leaves])


def automatic(data, network):
    """jax.hessian of the loss."""
    static = eqx.filter(network, eqx.is_inexact_array, inverse=True)
    flat, unravel = parameters(network)
    value = lambda v: px.loss(data, eqx.combine(unravel(v), static))
    return jax.jit(jax.hessian(value))(flat)


def assert_same(actual, expected):
    assert actual.dtype == expected.dtype
    scale = float(np.max(np.abs(expected)))
    np.testing.assert_allclose(actual, expected, atol=1e-12 * scale)


# One shape for all networks of two layers: matrices are compiled once.
def net(name, *, affine=False, in_dim=3):
    return draws.two_layer(5, in_dim, affine=affine, activation=name)


def problem(loss="squared", normalisation="mean"):
    return draws.problem(7, 3, loss, normalisation)


def vector_like(network):
    """A direction in the space of parameters, flat and as a network."""
    static = eqx.filter(network, eqx.is_inexact_array, inverse=True)
    flat, unravel = parameters(network)
    direction = np.random.default_rng(1).normal(size=flat.size)
    return direction, eqx.combine(unravel(direction), static)


CASES = [("relu", True, "squared"), ("elephant", False, "squared")]
CASES += [("softplus", True, "logistic"), ("tanh", False, "exponential")]
# What differs is φ'', which has tests of its own.
OTHERS = [(name, affine, "squared") for name in ACTIVATIONS for affine in (False, True)]
CASES += [
    pytest.param(*names, marks=pytest.mark.slow)
    for names in OTHERS
    if names not in CASES
]


@pytest.mark.parametrize(("name", "affine", "loss"), CASES)
def test_closed_form_equals_autodiff(name, affine, loss):
    network, data = net(name, affine=affine), problem(loss)
    assert_same(hessian(data, network), automatic(data, network))


@pytest.mark.parametrize(
    ("name", "affine"),
    [
        ("relu", True),
        ("softplus", True),
        pytest.param("relu", False, marks=pytest.mark.slow),
        pytest.param("softplus", False, marks=pytest.mark.slow),
    ],
)
def test_product_equals_matrix_times_vector(name, affine):
    """The closed form of the matrix, which equals automatic differentiation."""
    loss = "logistic" if name == "softplus" else "squared"
    network, data = net(name, affine=affine), problem(loss)
    direction, vector = vector_like(network)
    product = hessian_vector_product(data, network, vector)
    assert jax.tree.structure(product) == jax.tree.structure(network)
    assert_same(flat_of(product), np.asarray(hessian(data, network)) @ direction)


def test_sum_is_the_mean_times_total_weight():
    network = net("relu", affine=True)
    mean, total = problem("squared", "mean"), problem("squared", "sum")
    weight = np.sum(mean.weights)
    assert_same(hessian(total, network), weight * np.asarray(hessian(mean, network)))


# What is known of networks other than two-layer ones: everything is differentiated.
VECTOR = draws.deep((5, 4), 3, out_dim=2, activation="tanh")
PLAIN = draws.deep((5, 4), 3, activation="tanh")
deep_networks = pytest.mark.parametrize(
    "network",
    [VECTOR, pytest.param(PLAIN, marks=pytest.mark.slow)],
    ids=["vector", "plain"],
)


def data_of(network):
    """Classes for several outputs, numbers for one."""
    data = problem()
    if network.out_dim is None:
        return px.Problem(data.x, data.y)
    return px.Problem(data.x, np.eye(2)[np.arange(7) % 2], loss="cross_entropy")


@deep_networks
def test_other_networks(network):
    data = data_of(network)
    matrix = hessian(data, network)
    assert_same(matrix, automatic(data, network))
    column = hessian_vector_product(data, network, network)
    assert_same(flat_of(column), np.asarray(matrix) @ flat_of(network))


def test_hessian_at_a_kink_is_that_of_the_cell():
    """φ'' = 0 at the kink, φ' as the gradient has it: differences to the off side."""
    data = px.Problem([[1.0], [2.0]], [1.0, 5.0])
    network = px.TwoLayer(w=[[1.0]], b=[-1.0], c=[1.0])  # z = 0 and 1
    h = 1e-6
    moved = px.TwoLayer(w=[[1.0]], b=[-1.0 - h], c=[1.0])
    gradient = jax.jit(lambda n: evaluate(data, n).gradient)
    gradients = [flat_of(gradient(n)) for n in (network, moved)]
    column = (gradients[0] - gradients[1]) / h
    # One-sided differences err by h/2 times third derivatives of order 1.
    np.testing.assert_allclose(hessian(data, network)[1], column, atol=1e-5)


def test_batch_equals_loop():
    network, data = net("relu", affine=True), problem()
    networks = [network, jax.tree.map(lambda leaf: 2 * leaf, network)]
    batch = jax.jit(jax.vmap(lambda n: hessian(data, n)))(stacked(networks))
    for i, one in enumerate(networks):
        assert_same(np.asarray(batch)[i], hessian(data, one))


def test_single_precision_is_kept():
    data, network = problem(), net("relu", affine=True)
    single = lambda tree: jax.tree.map(lambda a: np.asarray(a, np.float32), tree)
    matrix = hessian(single(data), single(network))
    assert matrix.dtype == jnp.float32
    np.testing.assert_allclose(matrix, hessian(data, network), atol=1e-5)


def linearised(data, network):
    """The Hessian of the loss of the linearised outputs, which is Gauss–Newton's."""
    static = eqx.filter(network, eqx.is_inexact_array, inverse=True)
    flat, unravel = parameters(network)
    outputs = lambda v: px.outputs(eqx.combine(unravel(v), static), data.x)

    def value(v):
        f, along = jax.jvp(outputs, (flat,), (v - flat,))
        return data.sample_weights @ jax.vmap(data.loss)(f + along, data.y)

    return jax.jit(jax.hessian(value))(flat)


@pytest.mark.parametrize(
    ("name", "affine", "loss"),
    [
        ("relu", True, "squared"),
        pytest.param("tanh", False, "squared", marks=pytest.mark.slow),
        ("erf", True, "logistic"),
    ],
)
def test_gauss_newton_is_the_hessian_of_linearised_outputs(name, affine, loss):
    network, data = net(name, affine=affine), problem(loss)
    assert_same(gauss_newton(data, network), linearised(data, network))


@deep_networks
def test_gauss_newton_of_deep_networks(network):
    data = data_of(network)
    assert_same(gauss_newton(data, network), linearised(data, network))


def test_gauss_newton_is_the_hessian_of_an_exact_fit():
    network, data = net("relu", affine=True), problem()
    fitted = eqx.tree_at(lambda p: p.y, data, jax.jit(px.outputs)(network, data.x))
    assert_same(gauss_newton(fitted, network), hessian(fitted, network))


@pytest.mark.parametrize(
    ("name", "affine", "loss", "in_dim"),
    [
        ("relu", True, "squared", 3),
        pytest.param("tanh", False, "logistic", 3, marks=pytest.mark.slow),
        ("softplus", True, "logistic", 3),
        ("softplus", True, "squared", 12),  # beyond the blocks of small inputs
    ],
)
def test_operators_equal_the_matrices(name, affine, loss, in_dim):
    network = net(name, affine=affine, in_dim=in_dim)
    assert_products(draws.problem(7, in_dim, loss), network)


@pytest.mark.parametrize(
    "network",
    [
        VECTOR,
        pytest.param(
            draws.deep((4, 4), 3, activation="tanh", kind="normalised"),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["vector", "normalised"],
)
def test_operators_of_deep_networks(network):
    assert_products(data_of(network), network)


def assert_products(data, network):
    """Both operators, and the product of one vector, against the dense matrices."""

    def rows(operator):
        product, flat, _ = flat_operator(operator(data, network), network)
        return jax.vmap(product)(jnp.eye(flat.size))

    @jax.jit
    def products():
        vector = px.dynamics.gauss_newton_vector_product(data, network, network)
        operators = px.dynamics.hessian_operator, px.dynamics.gauss_newton_operator
        return *map(rows, operators), vector

    by_hessian, by_gauss_newton, vector = products()
    assert_same(by_hessian, hessian(data, network))
    matrix = gauss_newton(data, network)
    assert_same(by_gauss_newton, matrix)
    assert jax.tree.structure(vector) == jax.tree.structure(network)
    assert_same(flat_of(vector), np.asarray(matrix) @ flat_of(network))


def test_gauss_newton_products_need_data():
    task = px.problems.poisson_1d(num_points=4)
    network = px.TwoLayer([[1.0]], [0.0], [1.0], activation="tanh")
    with pytest.raises(TypeError, match="must be a Problem, data with a loss"):
        px.dynamics.gauss_newton_vector_product(task, network, network)
