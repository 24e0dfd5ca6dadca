import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.networks import (
    MLP,
    SCHEMES,
    TwoLayer,
    features,
    mlp,
    normalise,
    outputs,
    preactivations,
)

from ..variants import most_slow

rng = np.random.default_rng(5)
W = [rng.normal(size=s) for s in [(4, 3), (4, 4), (4, 4)]]
B = [rng.normal(size=4) for _ in W]
C = rng.normal(size=4)
CC, CB = rng.normal(size=(2, 4)), rng.normal(size=2)
G, S = ([rng.normal(size=4) for _ in W] for _ in range(2))
X = rng.normal(size=(6, 3))


def relu(z):
    return np.maximum(z, 0)


def layernorm(a, eps):
    return (a - a.mean()) / np.sqrt(a.var() + eps)


def forward(x, kind="plain", phi=relu, s=1.0, eps=0.0, gains=None, shifts=None):
    """Independent reference: pre-activations and the last units."""
    h, zs = x, []
    for i, (w, b) in enumerate(zip(W, B, strict=True)):
        z = w @ h + b
        if kind == "normalised":
            z = layernorm(z, eps)
            z = z if gains is None else z * gains[i] + shifts[i]
        h = h + s * phi(z) if kind == "residual" and i else phi(z)
        zs.append(z)
    return zs, h


def check(net, **how):
    for x in X:
        zs, h = forward(x, **how)
        for z, expected in zip(net.hidden(jnp.asarray(x)), zs, strict=True):
            np.testing.assert_allclose(z, expected, rtol=1e-12, atol=1e-13)
        f = net(jnp.asarray(x))
        np.testing.assert_allclose(f, C @ h, rtol=1e-12, atol=1e-13)


def test_plain():
    check(MLP(W, B, C))
    check(MLP(W, B, C, activation="tanh"), phi=np.tanh)


def test_residual():
    check(MLP(W, B, C, kind="residual"), kind="residual", s=1 / np.sqrt(3))
    check(MLP(W, B, C, kind="residual", residual_scale=0.3), kind="residual", s=0.3)


def test_normalised():
    check(MLP(W, B, C, kind="normalised"), kind="normalised", eps=1e-5)
    net = MLP(W, B, C, kind="normalised", eps=0.5, gains=G, shifts=S)
    check(net, kind="normalised", eps=0.5, gains=G, shifts=S)


E = rng.normal(size=(4, 3))
SQUARE = [rng.normal(size=(4, 4)) for _ in W]


@pytest.mark.parametrize("kind", ["plain", "residual"])
def test_embedding(kind):
    net = MLP(SQUARE, B, C, kind=kind, residual_scale=None, embedding=E)
    h = E @ X.T
    for w, b in zip(SQUARE, B, strict=True):
        phi = relu(w @ h + b[:, None])
        h = h + phi / np.sqrt(3) if kind == "residual" else phi
    np.testing.assert_allclose(outputs(net, X), C @ h, rtol=1e-12)
    assert net.in_dim == 3


@pytest.mark.parametrize("kind", ["normalised", "residual"])
@pytest.mark.parametrize("over", ["layer", "batch"])
def test_normalised_over_units_or_data(kind, over):
    axis = {"layer": 0, "batch": 1}[over]
    how = {"gains": G, "shifts": S, "eps": 1e-3, "normalisation": over}
    net = MLP(SQUARE, B, C, kind=kind, embedding=E, **how)
    h = E @ X.T
    for w, b, g, s in zip(SQUARE, B, G, S, strict=True):
        a = w @ h + b[:, None]
        mean, var = a.mean(axis, keepdims=True), a.var(axis, keepdims=True)
        z = (a - mean) / np.sqrt(var + 1e-3) * g[:, None] + s[:, None]
        h = h + relu(z) / np.sqrt(3) if kind == "residual" else relu(z)
    np.testing.assert_allclose(outputs(net, X), C @ h, rtol=1e-11)
    np.testing.assert_allclose(preactivations(net, X)[-1], z, rtol=1e-11)
    np.testing.assert_allclose(features(net, X)[-1], h.T, rtol=1e-11)


BATCH = MLP(W, B, C, kind="normalised", normalisation="batch", activation="tanh")


def test_batch_normalised_trains_with_the_gradient_of_its_loss():
    problem = px.Problem(X, np.sin(X[:, 0]))
    step = lambda net, h: eqx.tree_at(lambda n: n.weights[1], net, W[1] + h * V)
    V = rng.normal(size=(4, 4))
    look = jax.jit(lambda net: px.dynamics.evaluate_unwatched(problem, net)[:2])
    gradient = look(BATCH)[1]
    up, down = (look(step(BATCH, h))[0] for h in (1e-6, -1e-6))
    slope = np.sum(gradient.weights[1] * V)
    np.testing.assert_allclose(slope, (up - down) / 2e-6, rtol=1e-7)
    run = px.descend(problem, BATCH, px.gradient_descent(0.1), num_steps=50)
    assert run.losses[-1] < 0.5 * run.losses[0]


def test_batch_normalised_descent_tends_to_its_flow():
    problem = px.Problem(X, np.sin(X[:, 0]))
    run = px.descend(problem, BATCH, px.gradient_descent(0.1), num_steps=50)
    flow = px.flow(problem, BATCH, t1=5.0)
    # descent with a tenth of the step size is nearer to the flow
    fine = px.descend(problem, BATCH, px.gradient_descent(0.01), num_steps=500)
    errors = [abs(float(r.losses[-1] - flow.losses[-1])) for r in (run, fine)]
    assert errors[1] < 0.2 * errors[0]


def test_batch_normalised_needs_a_data_set():
    with pytest.raises(ValueError, match="must be given a data set, .* one datum"):
        BATCH(jnp.asarray(X[0]))
    problem, kinked = px.Problem(X, X[:, 0]), MLP(W, B, C, kind="normalised", **HOW)
    with pytest.raises(ValueError, match="must not normalise over the data for exact"):
        px.flow(problem, kinked, t1=1.0)


HOW = {"normalisation": "batch"}


def test_vector_output_and_its_bias():
    f = outputs(MLP(W, B, CC, CB), X)
    expected = [CC @ forward(x)[1] + CB for x in X]
    np.testing.assert_allclose(f, expected, rtol=1e-12)


def test_scalar_output_bias():
    x = jnp.asarray(X[0])
    assert float(MLP(W, B, C, 2.5)(x) - MLP(W, B, C)(x)) == pytest.approx(2.5)


def test_without_biases_is_with_zero_biases():
    zeros = [np.zeros(4)] * 3
    np.testing.assert_array_equal(
        outputs(MLP(W, None, C), X), outputs(MLP(W, zeros, C), X)
    )
    assert len(jax.tree.leaves(MLP(W, None, C))) == 4


@pytest.mark.parametrize("kind", ["plain", "residual"])
def test_one_hidden_layer_is_the_two_layer_network(kind):
    deep, shallow = MLP(W[:1], B[:1], C, kind=kind), TwoLayer(W[0], B[0], C)
    np.testing.assert_allclose(outputs(deep, X), outputs(shallow, X), rtol=1e-13)


def test_sizes_also_of_a_batch():
    for readout, out_dim in ((C, None), (CC, 2)):
        net = MLP(W, B, readout)
        batch = jax.vmap(lambda s, r=readout: MLP([s * w for w in W], B, r))(
            jnp.arange(1.0, 4.0)
        )
        for n in (net, batch):
            assert (n.in_dim, n.out_dim, n.depth, n.widths) == (3, out_dim, 3, (4,) * 3)


def test_normalise_by_hand_and_at_a_constant():
    np.testing.assert_allclose(
        normalise(jnp.array([1.0, 3.0, 5.0]), eps=1.0),
        np.array([-2, 0, 2]) / np.sqrt(8 / 3 + 1),
    )
    jacobian = jax.jit(jax.jacobian(lambda a: normalise(a, eps=1e-5)))(jnp.ones(3))
    expected = (np.eye(3) - 1 / 3) / np.sqrt(1e-5)
    np.testing.assert_allclose(jacobian, expected, rtol=1e-12, atol=1e-10)


def test_normalised_gradient_is_finite_where_all_weights_are_zero():
    net = MLP([0 * w for w in W], [0 * b for b in B], C, kind="normalised")
    grads = jax.jit(jax.grad(lambda net: jnp.sum(outputs(net, X) ** 2)))(net)
    assert all(bool(jnp.all(jnp.isfinite(g))) for g in jax.tree.leaves(grads))


def test_layer_norm_ignores_the_scale_of_its_weights():
    # Up to ε: exact invariance as ε → 0.
    a = MLP(W, B, C, kind="normalised", eps=1e-14)
    b = MLP([3 * w for w in W], [3 * b for b in B], C, kind="normalised", eps=1e-14)
    np.testing.assert_allclose(outputs(a, X), outputs(b, X), rtol=1e-10)


# --- drawing -----------------------------------------------------------------------


SOME = ["he", "orthogonal", "pytorch"]


# Schemes share all but their draws.
@pytest.mark.parametrize("name", most_slow(SCHEMES, SOME))
def test_every_layer_is_drawn_by_the_scheme(name):
    key = jax.random.key(3)
    net = mlp(key, widths=(5, 4), in_dim=3, initialiser=name, readout_bias=True)
    keys = jax.random.split(key, 3)
    fans = [(3, 5), (5, 4), (4, 1)]
    drawn = [
        SCHEMES[name](k, fan_in=i, fan_out=o)
        for k, (i, o) in zip(keys, fans, strict=True)
    ]
    for layer in range(2):
        np.testing.assert_array_equal(net.weights[layer], drawn[layer][0])
        np.testing.assert_array_equal(net.biases[layer], drawn[layer][1])
    np.testing.assert_array_equal(net.readout, drawn[2][0][0])
    np.testing.assert_array_equal(net.readout_bias, drawn[2][1][0])


@pytest.mark.parametrize("name", most_slow(SOME, ["pytorch"]))
def test_many_equal_layers_are_drawn_as_few_are(name):
    key = jax.random.key(3)
    net = mlp(key, widths=(5,) * 6, in_dim=3, initialiser=name, hidden_scale=0.5)
    for layer, own in enumerate(jax.random.split(key, 7)[:6]):
        w, b = SCHEMES[name](own, fan_in=5 if layer else 3, fan_out=5)
        np.testing.assert_array_equal(net.weights[layer], 0.5 * w)
        np.testing.assert_array_equal(net.biases[layer], 0.5 * b)


def test_scale_multiplies_all_drawn_numbers():
    key = jax.random.key(1)
    how = dict(widths=(5, 4), in_dim=3, initialiser="pytorch", readout_bias=True)
    one, scaled = mlp(key, **how), mlp(key, **how, scale=2.0)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(b, 2 * a), one, scaled)
    jax.eval_shape(lambda s: mlp(key, **how, scale=s), 1.0)


def test_own_first_and_last_layers_leave_the_others_alone():
    key, sizes = jax.random.key(3), {"widths": (4, 4, 4), "in_dim": 4}
    plain = mlp(key, **sizes)
    own = mlp(
        key, **sizes, last_layer="lecun", embedding="orthogonal", hidden_scale=3.0
    )
    for ours, theirs in zip(own.weights, plain.weights, strict=True):
        np.testing.assert_allclose(ours, 3 * theirs, rtol=1e-15)
    # lecun has half the variance of he
    np.testing.assert_allclose(own.readout, plain.readout / np.sqrt(2), rtol=1e-15)
    np.testing.assert_allclose(own.embedding @ own.embedding.T, np.eye(4), atol=1e-6)
    assert mlp(key, widths=(4, 4), in_dim=2, embedding="he").embedding.shape == (4, 2)
    alike = mlp(key, **sizes, embedding="he")
    assert not any(np.any(alike.embedding == w) for w in alike.weights)


def test_layers_are_independent():
    net = mlp(jax.random.key(0), widths=(50, 50), in_dim=50, bias="normal")
    draws = [np.ravel(a) for a in (*net.weights, np.resize(net.readout, (50, 50)))]
    correlation = np.corrcoef(draws)[np.triu_indices(3, 1)]
    assert np.all(np.abs(correlation) < 5 / 50)  # 5 standard errors, 2500 pairs


def test_learnt_normalisation_starts_as_none():
    key, how = jax.random.key(0), dict(widths=(4, 4), in_dim=3, kind="normalised")
    plain, learnt = mlp(key, **how), mlp(key, **how, learn_normalisation=True)
    np.testing.assert_array_equal(outputs(plain, X), outputs(learnt, X))
    assert len(jax.tree.leaves(learnt)) == len(jax.tree.leaves(plain)) + 4


def test_own_scheme():
    ones = lambda key, *, fan_in, fan_out, dtype: (
        jnp.ones((fan_out, fan_in), dtype),
        jnp.zeros(fan_out, dtype),
    )
    net = mlp(jax.random.key(0), widths=(2,), in_dim=3, initialiser=ones)
    assert float(net(jnp.ones(3))) == 6.0


# --- refusals ----------------------------------------------------------------------

ints = W[0].astype(int)


@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        (([], [], C), {}, ValueError, "`weights` must hold at least one layer"),
        ((W[0], B, C), {}, ValueError, r"`weights\[0\]` must have shape \(out, in\)"),
        (([W[0][:0]], B, C), {}, ValueError, r"at least 1, but has shape \(0, 3\)"),
        (([ints], B[:1], C), {}, TypeError, r"`weights\[0\]` must hold floating-point"),
        (
            (W[::2][::-1], B[:2], C),
            {},
            ValueError,
            r"`weights\[1\]` must have 4 columns",
        ),
        ((W, B[:2], C), {}, ValueError, "`biases` must hold one .* 3, but holds 2"),
        ((W, [*B[:2], CB], C), {}, ValueError, r"`biases\[2\]` must have shape \(4,\)"),
        ((W, B, CB), {}, ValueError, r"`readout` must have shape \(4,\) .* \(2,\)"),
        ((W, B, CC[:0]), {}, ValueError, r"`readout` must have .* shape \(0, 4\)"),
        ((W, B, C, CB), {}, ValueError, r"`readout_bias` must have shape \(\)"),
        ((W, B, C.astype("f4")), {}, TypeError, "`readout` must have the dtype of"),
        ((W, B, C), {"kind": "residul"}, ValueError, "did you mean 'residual'"),
        ((W, B, C), {"activation": "Tanh"}, ValueError, "did you mean 'tanh'"),
        ((W, B, C), {"gains": G}, ValueError, "`gains` and `shifts` must be None"),
        ((W, B, C), {"residual_scale": 1.0}, ValueError, "the kind is 'plain'"),
        (
            (W, B, C),
            {"kind": "residual", "residual_scale": float("inf")},
            ValueError,
            "`residual_scale` must be finite, but is inf",
        ),
        ((W, B, C), {"embedding": E[:3, :0]}, ValueError, r"shape \(3, d\), .* \(3, 0"),
        ((W, B, C), {"normalisation": "batch"}, ValueError, "say kind='normalised'"),
        (
            (W, B, C),
            {"kind": "normalised", "normalisation": "unit"},
            ValueError,
            "normalisation must be one of batch, layer",
        ),
        (
            (W, B, C),
            {"kind": "residual", "embedding": np.eye(3)},
            ValueError,
            r"the embedding, but has \(3, 4, 4, 4\)",
        ),
        (
            (W, B, C),
            {"kind": "normalised", "eps": 0.0},
            ValueError,
            "`eps` must be positive, but is 0.0",
        ),
        (
            (W, B, C),
            {"kind": "normalised", "gains": G[:1]},
            ValueError,
            "`gains` must hold one vector a hidden layer, 3, but holds 1",
        ),
    ],
)
def test_refusals(args, options, error, message):
    with pytest.raises(error, match=message):
        MLP(*args, **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"widths": ()}, ValueError, r"`widths` must be a non-empty .* is \(\)"),
        ({"widths": 5}, ValueError, "`widths` must be a non-empty .* is 5"),
        ({"widths": (4, 0)}, ValueError, r"`widths\[1\]` must be at least 1, but is 0"),
        ({"widths": (4.0,)}, TypeError, r"`widths\[0\]` must be an integer"),
        ({"in_dim": 0}, ValueError, "`in_dim` must be at least 1, but is 0"),
        ({"out_dim": 0}, ValueError, "`out_dim` must be at least 1, but is 0"),
        ({"scale": -1.0}, ValueError, "`scale` must be positive, but is -1.0"),
        ({"initialiser": "xavierr"}, ValueError, "did you mean 'xavier'"),
        ({"bias": "none"}, ValueError, "law of the biases must be one of"),
        ({"kind": "residual", "widths": (4, 5)}, ValueError, r"one width .* \(4, 5\)"),
        ({"kind": "normalised", "widths": (1,)}, ValueError, "at least 2 units"),
        ({"learn_normalisation": True}, ValueError, "`gains` and `shifts`"),
        ({"dtype": jnp.int32}, TypeError, "`dtype` must be float32 or float64"),
    ],
)
def test_refused_draws(options, error, message):
    with pytest.raises(error, match=message):
        mlp(jax.random.key(0), **{"widths": (4, 4), "in_dim": 3} | options)
