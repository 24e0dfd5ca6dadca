import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.networks import Chain, chain, log_output, outputs, preactivations

rng = np.random.default_rng(3)
W = rng.normal(size=6)
X = np.array([[-1.5], [0.0], [2.0]])


def forward(x, phi):
    """Independent reference: pre-activations, the last of them the output."""
    zs = [W[0] * x]
    for w in W[1:]:
        zs.append(w * phi(zs[-1]))
    return np.array(zs)


PHIS = {
    "identity": lambda z: z,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
}


@pytest.mark.parametrize("name", PHIS)
def test_forward(name):
    net = Chain(W, activation=name)
    zs = forward(X[:, 0], PHIS[name])
    np.testing.assert_allclose(outputs(net, X), zs[-1], rtol=1e-13)
    ours = np.concatenate(preactivations(net, X))
    np.testing.assert_allclose(ours, zs[:-1], rtol=1e-13)
    assert (net.depth, net.in_dim, net.out_dim) == (6, 1, None)


@pytest.mark.parametrize("name", ["identity", "relu", "leaky_relu"])
@pytest.mark.parametrize("weights", [W, np.abs(W), np.abs(W) * [1, 1, 0, 1, 1, 1]])
def test_log_output_is_the_output(name, weights):
    net = Chain(weights, activation=name)
    sign, log = log_output(net, X)
    np.testing.assert_allclose(sign * np.exp(log), outputs(net, X), rtol=1e-13)
    assert np.isneginf(log[1])
    assert sign[1] == 0


def test_residual_chain():
    net = Chain(W, residual_scale=0.3)
    np.testing.assert_allclose(outputs(net, X), X[:, 0] * np.prod(1 + 0.3 * W))
    sign, log = log_output(net, X)
    np.testing.assert_allclose(sign * np.exp(log), outputs(net, X), rtol=1e-13)


def test_a_thousand_layers_leave_the_floats_but_not_the_logarithm():
    net = chain(jax.random.key(1), depth=1000, scale=0.1)
    assert outputs(net, X)[2] == 0
    sign, log = log_output(net, X[2:])
    expected = np.log(2) + np.sum(np.log(np.abs(net.weights)))
    np.testing.assert_allclose(log, [expected], rtol=1e-13)
    assert sign[0] == np.prod(np.sign(net.weights))


@pytest.mark.parametrize("name", ["identity", "relu"])
def test_gradient_is_the_product_of_the_other_weights_also_at_zero(name):
    problem = px.Problem([[2.0]], [1.0])
    for weights in (np.abs(W), np.abs(W) * [1, 0, 1, 1, 1, 1] + 0.0):
        if name == "relu" and 0 in weights:
            continue  # a kink
        others = [np.prod(np.delete(weights, i)) for i in range(6)]
        error = 2 * np.prod(weights) - 1
        gradient = px.dynamics.evaluate(problem, Chain(weights, activation=name))
        expected = 2 * error * np.array(others)
        np.testing.assert_allclose(gradient.gradient.weights, expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("initialiser", "variance"),
    [("lecun_uniform", 1), ("xavier", 1), ("he", 2), ("small", 1)],
)
def test_draws_have_the_variance_of_width_one(initialiser, variance):
    weights = chain(jax.random.key(2), depth=4000, initialiser=initialiser).weights
    # four standard errors of the variance of a normal law
    error = 4 * variance * np.sqrt(2 / 4000)
    np.testing.assert_allclose(np.var(weights), variance, atol=error)
    assert len(np.unique(weights)) > 3990


def test_default_draws_are_uniform_of_variance_one():
    weights = np.asarray(chain(jax.random.key(0), depth=2000).weights)
    quantiles = np.quantile(weights / np.sqrt(3), [0.25, 0.5, 0.75])
    # four standard errors of a median of 2000 draws
    np.testing.assert_allclose(quantiles, [-0.5, 0, 0.5], atol=4 / np.sqrt(2000))
    assert np.max(np.abs(weights)) <= np.sqrt(3)


def test_a_chain_trains_and_flows():
    problem = px.Problem([[1.0]], [1.0])
    net = Chain([0.5, 0.5, 0.5])
    run = px.flow(problem, net, t1=20.0)
    assert run.losses[-1] < 1e-12
    networks = jax.vmap(Chain)(jnp.array([[0.5, 0.5], [2.0, 0.1]]))
    one = lambda net: px.descend(
        problem, net, px.gradient_descent(0.1), num_steps=300
    ).losses[-1]
    assert np.all(jax.vmap(one)(networks) < 1e-12)


@pytest.mark.parametrize(
    ("weights", "options", "error", "message"),
    [
        ([1, 2], {}, TypeError, "`weights` must hold floating-point"),
        (np.zeros(0), {}, ValueError, r"`weights` must have shape \(L,\) .* \(0,\)"),
        (W[None], {}, ValueError, r"shape \(1, 6\); for many chains at once use"),
        ([1.0], {"activation": "relu"}, ValueError, "at least 2 weights"),
        (W, {"activation": "rely"}, ValueError, "did you mean 'relu'"),
        (W, {"residual_scale": np.inf}, ValueError, "must be finite, but is inf"),
        (
            W,
            {"residual_scale": 1.0, "activation": "tanh"},
            ValueError,
            "`residual_scale` must be None unless the activation is 'identity'",
        ),
    ],
)
def test_refusals(weights, options, error, message):
    with pytest.raises(error, match=message):
        Chain(weights, **options)


def test_logarithms_of_other_networks_are_refused():
    with pytest.raises(ValueError, match="homogeneous activation, such as 'identity'"):
        log_output(Chain(W, activation="tanh"), X)
    with pytest.raises(ValueError, match=r"`x` must have shape \(K, 1\)"):
        log_output(Chain(W), X[0])
    with pytest.raises(ValueError, match="`depth` must be at least 1, but is 0"):
        chain(jax.random.key(0), depth=0)
