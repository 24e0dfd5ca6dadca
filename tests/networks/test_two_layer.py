import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plateaux.networks import TwoLayer, imbalance, outputs, preactivations

W = np.array([[1.0, -2.0, 0.5], [0.3, 0.4, -1.0]])  # n = 2, d = 3
B = np.array([0.1, -0.2])
C = np.array([2.0, -3.0])
P = np.array([1.0, 2.0, 3.0, 4.0])
X = np.array([[1.0, 0.5, -1.0], [0.2, -0.3, 0.4], [-2.0, 1.0, 0.1], [0.0, -1.0, -2.0]])


@pytest.mark.parametrize("p", [None, P])
def test_output_is_the_formula(p):
    net = TwoLayer(W, B, C, p, activation="tanh")
    for x in X:
        expected = sum(C[i] * np.tanh(W[i] @ x + B[i]) for i in range(2))
        expected += 0 if p is None else p[:3] @ x + p[3]
        assert float(net(jnp.asarray(x))) == pytest.approx(expected, rel=1e-14)


def test_outputs_and_preactivations_take_a_data_set():
    net = TwoLayer(W, B, C)
    z = np.array([[w @ x + b for x in X] for w, b in zip(W, B, strict=True)])
    (pre,) = preactivations(net, jnp.asarray(X))
    np.testing.assert_allclose(pre, z, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(outputs(net, X), C @ np.maximum(z, 0), rtol=1e-13)


def test_sizes():
    net = TwoLayer(W, B, C)
    assert (net.in_dim, net.out_dim, net.width) == (3, None, 2)


def test_symmetries_leave_the_function_alone():
    x, order, s = jnp.asarray(X), [1, 0], np.array([2.0, 0.25])
    f = outputs(TwoLayer(W, B, C, P), x)
    permuted = TwoLayer(W[order], B[order], C[order], P)
    rescaled = TwoLayer(W * s[:, None], B * s, C / s, P)
    np.testing.assert_allclose(outputs(permuted, x), f, rtol=1e-14)
    np.testing.assert_allclose(outputs(rescaled, x), f, rtol=1e-14)


def test_imbalance():
    expected = [4 - (1 + 4 + 0.25) - 0.01, 9 - (0.09 + 0.16 + 1) - 0.04]
    np.testing.assert_allclose(imbalance(TwoLayer(W, B, C)), expected, rtol=1e-14)


def test_a_diverged_network_has_no_finite_output():
    net = TwoLayer(W, B * jnp.nan, C)
    assert bool(jnp.isnan(net(jnp.asarray(X[0]))))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"w": W.astype(int)}, TypeError, "`w` must hold floating-point .* int64"),
        ({"w": W[0]}, ValueError, r"`w` must have shape \(n, d\) .* shape \(3,\)"),
        ({"w": W[:0]}, ValueError, r"at least 1, but has shape \(0, 3\)"),
        ({"b": B[:1]}, ValueError, r"`b` must have shape \(2,\) .* has shape \(1,\)"),
        ({"c": C[:, None]}, ValueError, r"`c` must have shape \(2,\) .* \(2, 1\)"),
        ({"p": P[:3]}, ValueError, r"`p` must have shape \(4,\) .* has shape \(3,\)"),
        ({"c": C.astype(np.float32)}, TypeError, "`c` must have the dtype of `w`"),
        ({"activation": "sine"}, ValueError, "did you mean 'sin'"),
    ],
)
def test_refusals(change, error, message):
    with pytest.raises(error, match=message):
        TwoLayer(**{"w": W, "b": B, "c": C} | change)


@pytest.mark.parametrize("function", [outputs, preactivations])
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (X[:, 0], ValueError, r"`x` must have shape \(K, 3\).* has shape \(4,\)"),
        (X[:, :2], ValueError, r"`x` must have shape \(K, 3\).* has shape \(4, 2\)"),
        (X.astype(int), TypeError, "`x` must hold floating-point numbers"),
    ],
)
def test_refused_inputs(function, x, error, message):
    with pytest.raises(error, match=message):
        function(TwoLayer(W, B, C), x)


def test_refused_inputs_inside_vmap_over_networks():
    nets = jax.vmap(lambda s: TwoLayer(s * W, s * B, s * C))(jnp.arange(1.0, 4.0))
    assert (nets.in_dim, nets.width) == (3, 2)
    with pytest.raises(ValueError, match=r"`x` must have shape \(K, 3\)"):
        jax.vmap(lambda net: outputs(net, X[:, :1]))(nets)
