"""What every registered network, activation and initialiser promises."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plateaux.networks import outputs, preactivations

from ..closeness import assert_close, lane, stacked
from ..registry import ACTIVATIONS, IN_DIM, INITIALISERS, NETWORKS
from ..variants import most_slow

X = np.random.default_rng(1).normal(size=(6, IN_DIM))
SEEDS = (8, 5, 6)
network = pytest.mark.parametrize("name", NETWORKS)
dtypes = pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])


def draw(name, dtype):
    """Shapes and dtypes of what is drawn."""
    return jax.eval_shape(lambda: NETWORKS[name](jax.random.key(0), dtype))


@functools.cache
def build(name, seed=SEEDS[0]):
    """Filled by NumPy: draws by JAX are programs."""
    random = np.random.default_rng(seed)
    fill = lambda leaf: jnp.asarray(random.normal(size=leaf.shape))
    return jax.tree.map(fill, draw(name, jnp.float64))


def size(net, x):
    """A scalar that every parameter and every output enters, unevenly."""
    f = outputs(net, x)
    return jnp.sum((1 + jnp.arange(f.size, dtype=f.dtype)) * (f.ravel() - 0.3) ** 2)


def evaluate(net, x):
    value, grad = jax.value_and_grad(size)(net, x)
    return {"f": outputs(net, x), "z": preactivations(net, x), "s": value, "g": grad}


@functools.cache
def compiled(name):
    """`evaluate`, which fails if it is traced twice."""
    return eqx.filter_jit(eqx.debug.assert_max_traces(evaluate, max_traces=1))


@functools.cache
def run(name, seed=SEEDS[0]):
    return compiled(name)(build(name, seed), jnp.asarray(X))


@network
@dtypes
def test_network_keeps_dtype_and_shapes(name, dtype):
    net = draw(name, dtype)
    x = jax.ShapeDtypeStruct(X.shape, dtype)
    result = jax.eval_shape(evaluate, net, x) if dtype == jnp.float32 else run(name)
    shape = (6,) if net.out_dim is None else (6, net.out_dim)
    assert result["f"].shape == shape
    assert all(z.shape[1:] == (6,) for z in result["z"])
    for tree in (net, result):
        assert {a.dtype for a in jax.tree.leaves(tree)} == {jnp.dtype(dtype)}


@network
def test_network_compiled_is_eager(name):
    net, x, result = build(name), jnp.asarray(X), run(name)
    assert_close(result["f"], outputs(net, x), ulps=256)
    assert_close(result["z"], preactivations(net, x), ulps=256)


BATCHED = ("two_layer_affine", "mlp_vector", "mlp_embedded", "mlp_normalised")


@pytest.mark.parametrize("name", most_slow(NETWORKS, BATCHED))
def test_network_batch_is_loop(name):
    nets = stacked([build(name, seed=seed) for seed in SEEDS])
    results = jax.jit(jax.vmap(evaluate, (0, None)))(nets, jnp.asarray(X))
    for i, seed in enumerate(SEEDS):
        assert_close(lane(results, i), run(name, seed=seed), ulps=256)


@network
def test_network_gradient_is_central_differences_away_from_kinks(name):
    net, x, h = build(name), jnp.asarray(X), 1e-6
    result, random = run(name), np.random.default_rng(3)
    nearest = min(float(np.min(np.abs(z))) for z in result["z"])
    assert nearest > 1e3 * h
    direction = jax.tree.map(lambda a: random.normal(size=a.shape), net)
    to = lambda s: jax.tree.map(
        lambda a, v: jnp.asarray(np.asarray(a) + s * v), net, direction
    )
    below, above = (compiled(name)(to(s), x)["s"] for s in (-h, h))
    slope = sum(
        np.vdot(g, v)
        for g, v in zip(*map(jax.tree.leaves, (result["g"], direction)), strict=True)
    )
    np.testing.assert_allclose(slope, (above - below) / (2 * h), rtol=1e-7)


@network
def test_every_parameter_matters(name):
    assert all(np.any(np.asarray(g) != 0) for g in jax.tree.leaves(run(name)["g"]))


@network
def test_network_is_traced_once(name):
    first, second = (run(name, seed=seed)["s"] for seed in SEEDS[:2])
    assert first != second


@pytest.mark.parametrize(
    "dtype", [pytest.param(jnp.float32, marks=pytest.mark.slow), jnp.float64]
)
def test_activations_compiled_and_batched_are_eager(dtype):
    z = jnp.array([[-2.0, -0.3, 0.0], [0.4, 1.7, 5.0]], dtype)
    both = lambda z: {k: (phi(z), phi.derivative(z)) for k, phi in ACTIVATIONS.items()}
    eager = both(z)
    assert_close(jax.jit(both)(z), eager)
    assert_close(jax.jit(jax.vmap(jax.vmap(both)))(z), eager)
    assert {a.shape for a in jax.tree.leaves(eager)} == {z.shape}
    assert {a.dtype for a in jax.tree.leaves(eager)} == {z.dtype}


@pytest.mark.parametrize(
    "names",
    [("he",), pytest.param(INITIALISERS, marks=pytest.mark.slow)],
    ids=["some", "all"],
)
def test_initialisers_compiled_batch_is_eager_loop(names):
    def draw_all(key):
        how = dict(width=20, in_dim=IN_DIM, affine=True)
        return {name: INITIALISERS[name](key, **how) for name in names}

    # All in one program: compiling the random numbers is what takes time.
    batch = eqx.debug.assert_max_traces(jax.vmap(draw_all), max_traces=1)
    batch = eqx.filter_jit(batch)
    keys = jax.random.split(jax.random.key(2), 4)
    for pair in (keys[:2], keys[2:]):
        nets = batch(pair)
        for i, key in enumerate(pair):
            assert_close(lane(nets, i), draw_all(key))
