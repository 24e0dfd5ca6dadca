"""Closed-form second derivatives of the loss against automatic differentiation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import plateaux as px
from plateaux.dynamics import evaluate
from plateaux.dynamics.curvature_operators import flat_operator
from plateaux.dynamics.hessian import (
    gauss_newton as _gauss_newton,
    hessian as _hessian,
    hessian_vector_product as _hessian_vector_product,
)

from ..registry import ACTIVATIONS, NETWORKS
from .test_gradient import problem

gauss_newton = eqx.filter_jit(_gauss_newton)
hessian = eqx.filter_jit(_hessian)
hessian_vector_product = eqx.filter_jit(_hessian_vector_product)


def parameters(network):
    return ravel_pytree(eqx.filter(network, eqx.is_inexact_array))


def automatic(data, network):
    """jax.hessian of the loss."""
    static = eqx.filter(network, eqx.is_inexact_array, inverse=True)
    flat, unravel = parameters(network)
    value = lambda v: px.loss(data, eqx.combine(unravel(v), static))
    return jax.jit(jax.hessian(value))(flat)


def assert_same(actual, expected):
    assert actual.dtype == expected.dtype
    scale = float(jnp.max(jnp.abs(expected)))
    np.testing.assert_allclose(actual, expected, atol=1e-12 * scale)


@pytest.fixture
def net(key):
    def build(name, *, affine=False):
        return px.networks.he(
            key, width=5, in_dim=3, bias="normal", affine=affine, activation=name
        )

    return build


CASES = [(name, affine, "squared") for name in ACTIVATIONS for affine in (False, True)]
CASES += [("softplus", True, "logistic"), ("tanh", False, "exponential")]


@pytest.mark.parametrize(("name", "affine", "loss"), CASES)
def test_closed_form_equals_autodiff(name, affine, loss, net, key):
    network, data = net(name, affine=affine), problem(key, loss)
    if affine:
        network = eqx.tree_at(lambda n: n.p, network, jnp.array([0.3, -0.2, 0.5, 0.1]))
    assert_same(hessian(data, network), automatic(data, network))


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("name", ["softplus", "relu"])
def test_product_equals_matrix_times_vector(name, affine, net, key):
    network, data = net(name, affine=affine), problem(key, "logistic", "sum")
    flat, unravel = parameters(network)
    direction = jax.random.normal(key, flat.shape)
    static = eqx.filter(network, eqx.is_inexact_array, inverse=True)
    vector = eqx.combine(unravel(direction), static)
    product = hessian_vector_product(data, network, vector)
    assert jax.tree.structure(product) == jax.tree.structure(network)
    assert_same(parameters(product)[0], automatic(data, network) @ direction)


def test_sum_is_the_mean_times_total_weight(net, key):
    network = net("tanh")
    mean, total = problem(key, "squared", "mean"), problem(key, "squared", "sum")
    weight = jnp.sum(mean.weights)
    assert_same(hessian(total, network), weight * hessian(mean, network))


@pytest.mark.parametrize("name", ["mlp", "mlp_vector"])
def test_other_networks(name, key):
    network = NETWORKS[name](key, jnp.float64, activation="tanh")
    kx, ky = jax.random.split(key)
    shape = () if network.out_dim is None else (network.out_dim,)
    data = px.Problem(jax.random.normal(kx, (7, 3)), jax.random.normal(ky, (7, *shape)))
    matrix = hessian(data, network)
    assert_same(matrix, automatic(data, network))
    column = hessian_vector_product(data, network, network)
    assert_same(parameters(column)[0], matrix @ parameters(network)[0])


def test_hessian_at_a_kink_is_that_of_the_cell():
    """φ'' = 0 at the kink, φ' as the gradient has it: differences to the off side."""
    data = px.Problem(jnp.array([[1.0], [2.0]]), jnp.array([1.0, 5.0]))
    network = px.TwoLayer(w=[[1.0]], b=[-1.0], c=[1.0])  # z = 0 and 1
    h = 1e-6
    moved = eqx.tree_at(lambda n: n.b, network, network.b - h)
    gradients = [parameters(evaluate(data, n).gradient)[0] for n in (network, moved)]
    column = (gradients[0] - gradients[1]) / h
    # One-sided differences err by h/2 times third derivatives of order 1.
    np.testing.assert_allclose(hessian(data, network)[1], column, atol=1e-5)


def test_batch_equals_loop(key):
    draw = lambda k: px.networks.he(k, width=4, in_dim=3, activation="softplus")
    networks = jax.jit(jax.vmap(draw))(jax.random.split(key, 2))
    data = problem(key)
    batch = jax.vmap(lambda n: hessian(data, n))(networks)
    for i in range(2):
        one = jax.tree.map(lambda leaf, i=i: leaf[i], networks)
        assert_same(batch[i], hessian(data, one))


def test_single_precision_is_kept(net, key):
    data, network = problem(key), net("tanh")
    single = lambda tree: jax.tree.map(lambda a: a.astype(jnp.float32), tree)
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
    [("relu", True, "squared"), ("tanh", False, "squared"), ("erf", True, "logistic")],
)
def test_gauss_newton_is_the_hessian_of_linearised_outputs(
    name, affine, loss, net, key
):
    network, data = net(name, affine=affine), problem(key, loss)
    assert_same(gauss_newton(data, network), linearised(data, network))


@pytest.mark.parametrize("out_dim", [None, 3])
def test_gauss_newton_of_deep_networks(out_dim, key):
    x = jax.random.normal(key, (12, 2))
    y = jax.nn.one_hot(jnp.arange(12) % 3, 3) if out_dim else x[:, 0]
    data = px.Problem(x, y, loss="cross_entropy" if out_dim else "squared")
    network = px.networks.mlp(
        key, in_dim=2, widths=(4, 3), out_dim=out_dim, activation="tanh"
    )
    assert_same(gauss_newton(data, network), linearised(data, network))


def test_gauss_newton_is_the_hessian_of_an_exact_fit(net, key):
    network = net("tanh")
    x = jax.random.normal(key, (20, 3))
    data = px.Problem(x, px.outputs(network, x))
    assert_same(gauss_newton(data, network), hessian(data, network))


@pytest.mark.parametrize(
    ("name", "affine", "loss", "in_dim"),
    [
        ("relu", True, "squared", 3),
        ("tanh", False, "logistic", 3),
        ("softplus", True, "squared", 12),  # beyond the blocks of small inputs
    ],
)
def test_operators_equal_the_matrices(name, affine, loss, in_dim, key):
    network = px.networks.he(
        key, width=4, in_dim=in_dim, bias="normal", affine=affine, activation=name
    )
    kx, ky = jax.random.split(key)
    y = jnp.sign(jax.random.normal(ky, (7,)))
    data = px.Problem(jax.random.normal(kx, (7, in_dim)), y, loss=loss)
    assert_products(data, network)


@pytest.mark.parametrize("name", ["mlp_vector", "mlp_normalised"])
def test_operators_of_deep_networks(name, key):
    network = NETWORKS[name](key, jnp.float64, activation="tanh")
    x = jax.random.normal(key, (7, 3))
    y, loss = x[:, 0], "squared"
    if network.out_dim is not None:
        y, loss = jax.nn.one_hot(jnp.arange(7) % 2, 2), "cross_entropy"
    assert_products(px.Problem(x, y, loss=loss), network)


def assert_products(data, network):
    """Both operators, and the product of one vector, against the dense matrices."""
    pairs = [
        (px.dynamics.hessian_operator, hessian),
        (px.dynamics.gauss_newton_operator, gauss_newton),
    ]
    for operator, matrix in pairs:
        product, flat, _ = flat_operator(operator(data, network), network)
        rows = jax.jit(jax.vmap(product))(jnp.eye(flat.size))
        assert_same(rows, matrix(data, network))
    vector = px.dynamics.gauss_newton_vector_product(data, network, network)
    assert jax.tree.structure(vector) == jax.tree.structure(network)
    assert_same(parameters(vector)[0], gauss_newton(data, network) @ flat)


def test_gauss_newton_products_need_data():
    problem = px.problems.poisson_1d(num_points=4)
    network = px.TwoLayer([[1.0]], [0.0], [1.0], activation="tanh")
    with pytest.raises(TypeError, match="must be a Problem, data with a loss"):
        px.dynamics.gauss_newton_vector_product(problem, network, network)
