import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from plateaux.networks import (
    ACTIVATIONS,
    FIRST_LAYERS,
    INITIALISERS,
    SCHEMES,
    first_layer,
    law_of,
    mlp,
)
from plateaux.networks.schemes import he, xavier

KEY = jax.random.key(5)
N, D, MANY = 50, 3, 4000
NODES, AREAS = np.polynomial.legendre.leggauss(300)
each = pytest.mark.parametrize("name", FIRST_LAYERS)


def layer(name, key=KEY, fan_in=D, fan_out=N, **options):
    drawn = FIRST_LAYERS[name](key, fan_in=fan_in, fan_out=fan_out, **options)
    return tuple(map(np.asarray, drawn))


def elu(z):
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


PHI = {  # name -> (activation on the host, law)
    "tanh": (np.tanh, "steps"),
    "relu": (lambda z: np.maximum(z, 0), "ramps"),
    "elu": (elu, "ramps"),
    "cos": (np.cos, "waves"),
    "sin": (np.sin, "waves"),
}


def features(phi, w, b):
    """The features at Gauss points of [−1, 1], by the roots of their weights."""
    return phi(NODES[:, None] * w.T + b) * np.sqrt(AREAS / 2)[:, None]


def epsilon_rank(phi, w, b, eps=1e-6):
    """Eigenvalues of the Gram matrix above ε times the largest: of no scale."""
    squares = np.linalg.svd(features(phi, w, b), compute_uv=False) ** 2
    return int(np.sum(squares > eps * squares[0]))


# --- all first layers --------------------------------------------------------------


@each
@pytest.mark.parametrize(("fan_in", "fan_out"), [(1, 1), (D, 5)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_shapes_and_dtypes(name, fan_in, fan_out, dtype):
    size = {"fan_in": fan_in, "fan_out": fan_out}
    drawn = jax.eval_shape(lambda: FIRST_LAYERS[name](KEY, **size, dtype=dtype))
    assert [a.shape for a in drawn] == [(fan_out, fan_in), (fan_out,)]
    assert {a.dtype for a in drawn} == {jnp.dtype(dtype)}


@each
def test_one_key_in_both_precisions(name):
    single, double = (layer(name, fan_out=5, dtype=d) for d in ("float32", "float64"))
    for a, b in zip(single, double, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)


@each
def test_different_keys_differ(name):
    other = layer(name, key=jax.random.key(6), fan_out=5)
    assert np.any(other[0] != layer(name, fan_out=5)[0])


@each
def test_two_layer_networks_share_the_draws(name):
    net = INITIALISERS[name](KEY, width=5, in_dim=D, scale=2.0)
    count = 3 if name == "uniform_kinks" else 2
    keys = jax.random.split(KEY, count)
    outer = he if name == "uniform_kinks" else xavier
    c, _ = outer(keys[1], fan_in=5, fan_out=1)
    np.testing.assert_array_equal(net.c, 2 * c[0])
    if name != "uniform_kinks":
        w, b = layer(name, key=keys[0], fan_out=5)
        np.testing.assert_array_equal(net.w, 2 * w)
        np.testing.assert_array_equal(net.b, 2 * b)


@each
def test_two_layer_networks_hand_on_all_options(name):
    options = inspect.signature(FIRST_LAYERS[name]).parameters
    changes = {"gamma": 3.0, "law": "waves", "sigma": 2.0, "scales": (3.0,)}
    changes |= {"patches": 2, "radius": 0.5, "lo": -3.0, "hi": 2.0}
    one = INITIALISERS[name](KEY, width=5, in_dim=D)
    for key, value in changes.items():
        if key in options:
            other = INITIALISERS[name](KEY, width=5, in_dim=D, **{key: value})
            assert np.any(other.w != one.w) or np.any(other.b != one.b), key


def test_options_may_be_traced():
    def draw(gamma, sigma, scales, radius, lo):
        size = {"fan_in": D, "fan_out": 5}
        return (
            FIRST_LAYERS["structured"](KEY, **size, gamma=gamma, lo=lo),
            FIRST_LAYERS["random_fourier"](KEY, **size, sigma=sigma),
            FIRST_LAYERS["multi_scale"](KEY, **size, scales=scales),
            FIRST_LAYERS["local_features"](KEY, **size, radius=radius, lo=lo),
        )

    shapes = jax.eval_shape(draw, 2.0, 1.0, jnp.ones(2), 0.5, -2.0)
    assert {a.shape for a in jax.tree.leaves(shapes)} == {(5, D), (5,)}


# --- structured --------------------------------------------------------------------


@pytest.mark.parametrize("name", PHI)
@pytest.mark.parametrize("seed", [0, 1])
def test_structured_starts_with_a_higher_epsilon_rank_than_xavier(name, seed):
    phi, law = PHI[name]
    how = {"key": jax.random.key(seed), "fan_in": 1, "fan_out": N}
    plain = tuple(map(np.asarray, xavier(**how)))
    assert epsilon_rank(phi, *plain) <= 3
    # Measured: tanh 36, relu 22, elu 17, cos and sin 16.
    assert epsilon_rank(phi, *layer("structured", **how, law=law)) >= 15


def test_epsilon_ranks_of_steps_are_those_of_the_table():
    # Note R5: γ = 40 at ε = 1e-3, γ = 2 and 10 at ε = 1e-6, Gram matrix over [−1, 1].
    for gamma, eps, rank in ((40.0, 1e-3, 50), (2.0, 1e-6, 10), (10.0, 1e-6, 34)):
        w, b = layer("structured", fan_in=1, gamma=gamma)
        gram = 2 * np.linalg.svd(features(np.tanh, w, b), compute_uv=False) ** 2
        assert int(np.sum(gram > eps)) == rank


@pytest.mark.parametrize("n", [8, 9])
def test_ramps_are_shared_by_both_directions_and_none_is_dead(n):
    w, b = layer("structured", fan_in=1, fan_out=n, law="ramps", gamma=4.0, hi=5.0)
    np.testing.assert_array_equal(np.abs(w), np.full((n, 1), 4.0))
    assert abs(np.sum(np.sign(w))) == n % 2
    kinks = -1 + 6 * (np.arange(n) + 0.5) / n
    np.testing.assert_allclose(-b / w[:, 0], kinks, rtol=1e-14, atol=1e-14)


def test_ramps_in_more_dimensions():
    lo, hi = np.array([0.0, 1.0, 2.0]), np.array([1.0, 5.0, 3.0])
    w, b = layer("structured", law="ramps", gamma=4.0, lo=lo, hi=hi)
    np.testing.assert_allclose(np.linalg.norm(w, axis=1), 4.0, rtol=1e-14)
    np.testing.assert_array_equal(np.diff(np.sign(w @ (hi - lo))) != 0, True)
    xi = lo + (hi - lo) * (np.arange(N)[:, None] + 0.5) / N
    np.testing.assert_allclose(np.sum(w * xi, axis=1) + b, 0, atol=1e-13)


@pytest.mark.parametrize("phi", [np.sin, np.cos])
def test_waves_are_orthogonal_where_frequencies_fit_the_interval(phi):
    n, lo, hi = 12, 2.0, 5.0
    how = {"fan_in": 1, "fan_out": n, "law": "waves", "lo": lo, "hi": hi}
    w, b = layer("structured", **how, gamma=np.pi * n / (hi - lo))
    # The features on [lo, hi], seen from the nodes of [−1, 1].
    a = features(phi, w * (hi - lo) / 2, b + w[:, 0] * (lo + hi) / 2)
    np.testing.assert_allclose(a.T @ a, np.eye(n) / 2, atol=1e-13)


def test_waves_in_more_dimensions():
    w, b = layer("structured", law="waves", gamma=7.0, lo=0.0, hi=[1.0, 2.0, 3.0])
    i = np.arange(1, N + 1)
    np.testing.assert_allclose(np.linalg.norm(w, axis=1), 7.0 * i / N, rtol=1e-14)
    phase = w @ [0.5, 1.0, 1.5] + b
    np.testing.assert_allclose(phase, np.where(i % 2, 0, np.pi / 2), atol=1e-14)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_law_of_an_activation_is_what_the_function_does(name):
    phi, z = ACTIVATIONS[name], jnp.linspace(-4.0, 4.0, 9)
    unbounded = abs(float(phi(jnp.array(1e6)))) > 1e3
    periodic = bool(jnp.allclose(phi(z + 2 * jnp.pi), phi(z))) and name != "step"
    law = "waves" if periodic else "ramps" if unbounded else "steps"
    assert law_of(name) == law_of(phi) == law


# --- the random ones ---------------------------------------------------------------


def test_uniform_kinks_are_uniform_and_independent_of_the_weights():
    w, b = layer("uniform_kinks", fan_in=1, fan_out=MANY, lo=2.0, hi=5.0)
    kinks = -b / w[:, 0]
    assert scipy.stats.kstest(kinks, scipy.stats.uniform(2, 3).cdf).pvalue > 1e-6
    law = scipy.stats.norm(scale=np.sqrt(2))
    assert scipy.stats.kstest(w[:, 0], law.cdf).pvalue > 1e-6
    assert abs(np.corrcoef(w[:, 0], kinks)[0, 1]) < 5 / np.sqrt(MANY)


@pytest.mark.parametrize("phi", [np.cos, np.sin])
def test_random_fourier_features_have_the_gaussian_kernel_in_the_mean(phi):
    sigma, x = 1.7, np.array([0.3, -0.2])
    w, b = layer("random_fourier", fan_in=2, fan_out=20_000, sigma=sigma)
    for y in (x, np.array([0.0, 0.5]), np.array([2.0, 2.0])):
        products = phi(w @ x + b) * phi(w @ y + b)
        kernel = np.exp(-(sigma**2) * np.sum((x - y) ** 2) / 2) / 2
        # Five standard errors, |product| ≤ 1 with a variance of at most 1/4.
        assert abs(products.mean() - kernel) < 5 * 0.5 / np.sqrt(products.size)
    assert scipy.stats.kstest(w[:, 0] / sigma, "norm").pvalue > 1e-6
    assert scipy.stats.kstest(b, scipy.stats.uniform(0, 2 * np.pi).cdf).pvalue > 1e-6


def test_multi_scale_multiplies_equal_shares_and_moves_no_kink():
    scales = (1.0, 3.0, 10.0)
    w, b = layer("multi_scale", fan_out=8, scales=scales, lo=0.0)
    one_w, one_b = layer("uniform_kinks", fan_out=8, lo=0.0)
    shares = np.repeat(scales, [3, 3, 2])
    np.testing.assert_allclose(w, shares[:, None] * one_w, rtol=1e-15)
    np.testing.assert_allclose(b, shares * one_b, rtol=1e-15)


def test_fewer_units_than_scales_or_patches_leave_some_out():
    w, _ = layer("multi_scale", fan_out=5, scales=10.0 ** np.arange(10))
    one, _ = layer("uniform_kinks", fan_out=5)
    np.testing.assert_allclose(w / one, 100.0 ** np.arange(5)[:, None] * np.ones(D))
    # A million patches: the table of them is never made.
    assert np.all(np.isfinite(layer("local_features", fan_out=5, patches=100)[0]))


def test_local_features_are_those_of_the_cube_on_their_own_patch():
    lo, hi, patches, share = np.array([0.0, 2.0]), np.array([3.0, 10.0]), (3, 2), 500
    how = {"fan_in": 2, "fan_out": 6 * share, "lo": lo, "hi": hi, "patches": patches}
    w, b = layer("local_features", **how, radius=0.4)
    # Half-sides (1/2, 2); the last input's patches come one after another.
    centres = [(x, y) for x in (0.5, 1.5, 2.5) for y in (4.0, 8.0)]
    unit_w = w * np.array([0.5, 2.0])
    unit_b = np.sum(w * np.repeat(centres, share, axis=0), axis=1) + b
    law = scipy.stats.uniform(-0.4, 0.8)
    for draws in (*unit_w.T, unit_b):
        assert scipy.stats.kstest(draws, law.cdf).pvalue > 1e-6
        for mine in np.split(draws, 6):
            assert scipy.stats.kstest(mine, law.cdf).pvalue > 1e-6
    triples = np.corrcoef([*unit_w.T, unit_b])[np.triu_indices(3, 1)]
    assert np.all(np.abs(triples) < 5 / np.sqrt(6 * share))


# --- by name, and in deep networks -------------------------------------------------


def test_lookup():
    assert first_layer("structured") is FIRST_LAYERS["structured"]
    assert first_layer("orthogonal", activation="relu") is SCHEMES["orthogonal"]
    assert first_layer(he) is he


HOW = {"widths": (5, 4), "in_dim": D, "readout_bias": True, "initialiser": "pytorch"}


@pytest.mark.parametrize("name", ["structured", "multi_scale", "orthogonal"])
def test_a_first_layer_leaves_the_other_layers_alone(name):
    plain, net = mlp(KEY, **HOW), mlp(KEY, **HOW, first_layer=name, scale=2.0)
    draw = first_layer(name, activation="relu")
    w, b = draw(jax.random.split(KEY, 3)[0], fan_in=D, fan_out=5)
    np.testing.assert_array_equal(net.weights[0], 2 * w)
    np.testing.assert_array_equal(net.biases[0], 2 * b)
    rest = lambda net: (net.weights[1:], net.biases[1:], net.readout, net.readout_bias)
    for a, b in zip(*map(jax.tree.leaves, (rest(plain), rest(net))), strict=True):
        np.testing.assert_array_equal(2 * a, b)


def test_the_structured_first_layer_takes_the_law_of_the_activation():
    size = {"fan_in": D, "fan_out": 5}
    for activation, law in (("erf", "steps"), ("gelu", "ramps"), ("sin", "waves")):
        net = mlp(KEY, **HOW, activation=activation, first_layer="structured")
        w, b = FIRST_LAYERS["structured"](jax.random.split(KEY, 3)[0], **size, law=law)
        np.testing.assert_array_equal(net.weights[0], w)
        np.testing.assert_array_equal(net.biases[0], b)


def test_options_of_the_first_layer_go_before_and_the_law_of_biases_does_not():
    options = {"gamma": 3.0, "law": "steps"}
    how = HOW | {"bias": "zero", "first_layer": "structured"}
    net = mlp(KEY, **how, first_layer_options=options)
    size = {"fan_in": D, "fan_out": 5}
    w, b = FIRST_LAYERS["structured"](jax.random.split(KEY, 3)[0], **size, **options)
    np.testing.assert_array_equal(net.weights[0], w)
    np.testing.assert_array_equal(net.biases[0], b)
    assert not np.any(net.biases[1])
    drawn = mlp(
        KEY, **how | {"first_layer": "he"}, first_layer_options={"bias": "normal"}
    )
    assert np.all(drawn.biases[0] != 0)
    jax.eval_shape(lambda g: mlp(KEY, **how, first_layer_options={"gamma": g}), 2.0)


# --- refusals ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("structured", {"law": "step"}, ValueError, "did you mean 'steps'"),
        ("structured", {"gamma": -1.0}, ValueError, "`gamma` must be positive"),
        ("structured", {"lo": 1.0}, ValueError, "`lo` must lie below `hi`"),
        ("uniform_kinks", {"hi": -2.0}, ValueError, "`lo` must lie below `hi`"),
        ("random_fourier", {"sigma": 0.0}, ValueError, "`sigma` must be positive"),
        (
            "multi_scale",
            {"scales": (1.0, 0.0)},
            ValueError,
            "`scales` must be positive",
        ),
        ("multi_scale", {"scales": ()}, ValueError, r"at least one number, .* \(0,\)"),
        ("multi_scale", {"scales": 2.0}, ValueError, r"at least one number, .* \(\)"),
        ("local_features", {"radius": 0.0}, ValueError, "`radius` must be positive"),
        ("local_features", {"patches": 0}, ValueError, "`patches` must be at least 1"),
        ("local_features", {"patches": 2.0}, TypeError, "`patches` must be an integer"),
        (
            "local_features",
            {"patches": (2, 2)},
            ValueError,
            "per input, 3, but holds 2",
        ),
        ("local_features", {"patches": (2, 0, 1)}, ValueError, r"`patches\[1\]` must"),
    ],
)
def test_refusals(name, options, error, message):
    with pytest.raises(error, match=message):
        layer(name, **options)


@each
def test_common_refusals(name):
    with pytest.raises(ValueError, match="`fan_in` must be at least 1, but is 0"):
        layer(name, fan_in=0)
    with pytest.raises(ValueError, match="`fan_out` must be at least 1, but is -1"):
        layer(name, fan_out=-1)
    with pytest.raises(TypeError, match="`dtype` must be float32 or float64"):
        layer(name, dtype="int32")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first_layer": "structurd"}, "did you mean 'structured'"),
        (
            {"first_layer": "structured", "first_layer_options": {"gama": 1.0}},
            "option of the first layer 'structured' .* did you mean 'gamma'",
        ),
        (
            {"first_layer": "he", "first_layer_options": {"fan_in": 1}},
            "must be one of bias, but is 'fan_in'",
        ),
        (
            {"first_layer_options": {"gamma": 1.0}},
            "must be left out unless `first_layer` is given, but holds gamma",
        ),
    ],
)
def test_refused_first_layers_of_deep_networks(options, message):
    with pytest.raises(ValueError, match=message):
        mlp(KEY, **HOW, **options)
