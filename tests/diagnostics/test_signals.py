"""Signals against finite differences, loops in NumPy and closed forms of chains."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux import diagnostics as look
from plateaux.networks import Chain
from plateaux.statistics import chain_law

SLOW = pytest.mark.slow
signals = look.signals
RNG = np.random.default_rng(5)
X, MU = RNG.normal(size=(6, 3)), RNG.uniform(0.2, 2.0, size=6)
PROBLEM = px.Problem(X, RNG.normal(size=6), weights=MU)
VECTOR = px.Problem(X, RNG.normal(size=(6, 2)))
LINE = px.Problem(X[:, :1], RNG.normal(size=6), weights=MU)


def drawn(widths=(4, 4), bias=True, outputs=(), embedded=False, **options):
    """Drawn by NumPy; an embedding needs equal widths."""
    rng = np.random.default_rng(3)
    sizes = (widths[0] if embedded else 3, *widths)
    pairs = zip(sizes, widths, strict=False)
    weights = [rng.normal(size=(o, i)) * np.sqrt(2 / i) for i, o in pairs]
    biases = [rng.normal(size=o) if bias else np.zeros(o) for o in widths]
    readout = rng.normal(size=(*outputs, widths[-1]))
    last = rng.normal(size=outputs) if outputs else None
    if embedded:
        options["embedding"] = rng.normal(size=(widths[0], 3))
    return px.MLP(weights, biases, readout, last, **options)


TANH = {"activation": "tanh"}
SCALES = {"gains": [[1.2, 0.8, 1.0, 0.9]] * 2, "shifts": [[0.1, -0.2, 0.0, 0.3]] * 2}
NETWORKS = {
    "two layers": px.TwoLayer(
        *(RNG.normal(size=shape) for shape in ((5, 3), 5, 5)), RNG.normal(size=4)
    ),
    "plain": drawn(),
    "vector": drawn(outputs=(2,)),
    "residual": drawn(kind="residual", **TANH),
    "embedded": drawn(kind="residual", embedded=True),
    "layer": drawn(kind="normalised", **SCALES, **TANH),
    "batch": drawn(kind="normalised", normalisation="batch", **TANH),
}


def data_of(name):
    return VECTOR if name == "vector" else PROBLEM


def groups(network):
    """Parameters of every layer, spelled out."""
    if isinstance(network, px.TwoLayer):
        return [[network.w, network.b], [network.c, network.p]]
    first = [] if network.embedding is None else [[network.embedding]]
    rows = [list(pair) for pair in zip(network.weights, network.biases, strict=True)]
    for l, row in enumerate(rows):
        row += [] if network.gains is None else [network.gains[l], network.shifts[l]]
    last = [network.readout, network.readout_bias]
    return [*first, *rows, [part for part in last if part is not None]]


@eqx.filter_jit
def with_parts(problem, network):
    """The signals, and the parts that they are made of."""
    value, grad = eqx.filter_value_and_grad(lambda n: px.loss(problem, n))(network)
    hs = px.networks.features(network, problem.x)
    outputs = px.networks.outputs(network, problem.x)
    return look.signals(problem, network), value, grad, [*hs, outputs]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=SLOW if name in ("plain", "residual") else ())
        for name in NETWORKS
    ],
)
def test_gradients_and_forward_norms(name):
    network, problem = NETWORKS[name], data_of(name)
    found, value, grad, hs = with_parts(problem, network)
    norms = [
        math.sqrt(sum(float(np.sum(np.square(p))) for p in layer))
        for layer in groups(grad)
    ]
    np.testing.assert_allclose(np.exp(found.gradient), norms, rtol=1e-12)
    hs = [np.asarray(h).reshape(6, -1) for h in hs]
    if name == "embedded":
        hs = [X @ np.asarray(network.embedding).T, *hs]
    q = np.asarray(problem.sample_weights)
    rms = lambda h: math.sqrt(q @ np.sum(h**2, axis=1))
    expected = [rms(h) / rms(X) for h in hs]
    np.testing.assert_allclose(np.exp(found.forward), expected, rtol=1e-12)
    np.testing.assert_allclose(found.loss, value)
    assert not found.dead


def backward_by_hand(network, x, y, q):
    """Plain and residual MLPs with tanh or ReLU: the textbook recursion in NumPy."""
    phi, slope = (
        (np.tanh, lambda z: 1 - np.tanh(z) ** 2)
        if network.kind == "residual"
        else (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float))
    )
    h, zs = x, []
    skips = [network.kind == "residual" and l > 0 for l in range(network.depth)]
    for l in range(network.depth):
        zs.append(h @ network.weights[l].T + network.biases[l])
        h = h + network.residual_scale * phi(zs[-1]) if skips[l] else phi(zs[-1])
    error = q * (h @ network.readout - y)
    deltas, delta = [error], np.outer(error, network.readout)
    for l in reversed(range(network.depth)):
        deltas.insert(0, delta)
        inner = (delta * slope(zs[l])) @ network.weights[l]
        delta = delta + network.residual_scale * inner if skips[l] else inner
    return [np.linalg.norm(d) for d in deltas]


@pytest.mark.parametrize("name", ["plain", "residual"])
def test_backward_norms(name):
    network = jax.tree.map(np.asarray, NETWORKS[name])
    arrays = (np.asarray(PROBLEM.x), np.asarray(PROBLEM.y))
    expected = backward_by_hand(network, *arrays, np.asarray(PROBLEM.sample_weights))
    found = signals(PROBLEM, NETWORKS[name])
    np.testing.assert_allclose(np.exp(found.backward), expected, rtol=1e-12)


def test_backward_norm_of_a_batch_normalised_last_layer_is_the_readouts():
    network = NETWORKS["batch"]
    backward = np.asarray(with_parts(PROBLEM, network)[0].backward)
    expected = np.exp(backward[-1]) * np.linalg.norm(network.readout)
    np.testing.assert_allclose(np.exp(backward[-2]), expected, rtol=1e-12)
    assert np.all(np.isfinite(backward))


def test_backward_norm_of_an_embedding_is_a_difference_quotient():
    network = NETWORKS["embedded"]
    # A constant added to E x is a change of E where x has a constant column. All data
    # but the first have the weight 0.
    x = np.column_stack([X[:, :2], np.ones(6)])
    problem = px.Problem(x, PROBLEM.y, weights=np.eye(6)[0])
    found, _, grad, _ = with_parts(problem, network)
    expected = np.linalg.norm(np.asarray(grad.embedding)[:, 2])
    np.testing.assert_allclose(np.exp(found.backward[0]), expected, rtol=1e-12)


# --- chains -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "scale"),
    [
        pytest.param("identity", None, marks=SLOW),
        ("identity", 0.7),
        pytest.param("relu", None, marks=SLOW),
        ("tanh", None),
    ],
)
def test_chains_are_networks_of_width_one(activation, scale):
    weights = np.array([0.8, 1.7, 0.9, -1.2])
    network = Chain(weights, activation=activation, residual_scale=scale)
    found = signals(LINE, network)
    factors = weights if scale is None else 1 + scale * weights
    same = px.MLP(
        [[[w]] for w in factors[:3]], None, factors[3:], activation=activation
    )
    expected = signals(LINE, same)
    for name in ("loss", "forward", "backward"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    slopes = jax.jit(jax.grad(lambda net: px.loss(LINE, net)))(network).weights
    np.testing.assert_allclose(np.exp(found.gradient), np.abs(slopes), rtol=1e-12)
    assert not found.dead


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_closed_form_of_a_deep_chain_beyond_the_floats(dtype):
    problem = px.Problem(np.array([[2.0]], dtype), np.array([3.0], dtype))
    weights = RNG.uniform(0.1, 0.5, 1000).astype(dtype)
    found = signals(problem, Chain(weights))
    logs = np.log(np.asarray(weights, float))
    total = logs.sum()
    assert total < -1000
    error = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(found.forward, np.cumsum(logs), rtol=error)
    gradient = math.log(6) + total - logs  # |y − xΠ| xΠ/w_i with Π about 0
    np.testing.assert_allclose(found.gradient, gradient, rtol=error)
    backward = math.log(3) + total - np.cumsum(logs)
    np.testing.assert_allclose(found.backward, backward, rtol=error, atol=1e-3)
    assert found.gradient.dtype == dtype
    assert not found.dead


def test_what_is_dead():
    dead = Chain([1.0, 1.0, -1.0, 2.0, 1.0], activation="relu")
    problem = px.Problem([[1.0], [2.0]], [1.0, 1.0])
    found = signals(problem, dead)
    assert found.dead
    assert np.all(np.asarray(found.gradient) == -np.inf)
    np.testing.assert_array_equal(
        np.isfinite(found.forward), [True, True] + [False] * 3
    )
    inner = drawn(bias=False)
    negative = lambda w: jnp.asarray(-np.abs(w))
    killed = eqx.tree_at(lambda net: net.weights[1], inner, replace_fn=negative)
    found = signals(PROBLEM, killed)
    assert found.dead
    assert np.asarray(found.forward)[1] == -np.inf


def test_small_squares_do_not_underflow():
    single = lambda leaf: np.asarray(leaf, np.float32)
    network = jax.tree.map(lambda a: jnp.asarray(single(a)), drawn(bias=False))
    small = jax.tree.map(lambda a: jnp.asarray(single(a) * single(1e-9)), network)
    problem = px.Problem(single(PROBLEM.x), single(PROBLEM.y))
    ours, theirs = signals(problem, small), signals(problem, network)
    shift = math.log(1e-9) * np.array([1, 2, 3])
    np.testing.assert_allclose(
        ours.forward, np.asarray(theirs.forward) + shift, rtol=1e-5
    )


def test_a_batch_gives_what_a_loop_gives():
    chains = [Chain(row, activation="tanh") for row in RNG.normal(size=(3, 4))]
    batch = jax.tree.map(lambda *rows: jnp.asarray(np.stack(rows)), *chains)
    many = np.asarray(jax.vmap(lambda chain: signals(LINE, chain))(batch).gradient)
    for i, chain in enumerate(chains):
        one = signals(LINE, chain)
        np.testing.assert_allclose(many[i], one.gradient, rtol=1e-12)


def test_the_median_is_that_of_the_exact_law():
    problem = px.Problem([[1.0]], [1.0])
    draw = lambda key: look.signals(problem, px.networks.chain(key, depth=20))
    found = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(2), 4000))
    output = np.sort(np.asarray(found.forward)[:, -1])
    # The 4000 draws leave the median within 2.6 standard errors.
    share = np.mean(output <= chain_law(20).median)
    assert abs(share - 0.5) < 2.6 * 0.5 / math.sqrt(4000)


class Sum(px.networks.Network):
    activation: px.networks.Activation = px.networks.activation("tanh")
    weights: jax.Array = eqx.field(default_factory=lambda: jnp.ones(3))
    in_dim = 3
    out_dim = None

    def hidden(self, x):
        return (self.weights * x,)

    def __call__(self, x):
        return jnp.sum(self.weights * x)


def test_refusals():
    with pytest.raises(TypeError, match="must be a network such as"):
        look.signals(PROBLEM, 1.0)
    with pytest.raises(ValueError, match="as many inputs as the problem, 3"):
        look.signals(PROBLEM, Chain([1.0, 2.0]))
    with pytest.raises(TypeError, match="must be a TwoLayer, MLP or Chain, but is a S"):
        look.signals(PROBLEM, Sum())
