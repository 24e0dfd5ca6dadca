import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from plateaux import networks
from plateaux.networks import INITIALISERS, SCHEMES, TwoLayer, imbalance, outputs

from ..registry import INITIALISERS as REGISTERED

N, D, MANY = 20, 3, 4000
KEY = jax.random.key(7)
CLASSICAL = [*SCHEMES]
each = pytest.mark.parametrize("name", REGISTERED)


def draw(name, key=KEY, width=N, in_dim=D, **options):
    return INITIALISERS[name](key, width=width, in_dim=in_dim, **options)


def host(name, **options):
    """The network as NumPy arrays."""
    return jax.tree.map(np.asarray, draw(name, **options))


def wide(name, **options):
    """A network of many neurons, for statistics over them, as NumPy arrays."""
    return host(name, width=MANY, **options)


def same(a, b, **tolerance):
    jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v, **tolerance), a, b)


# --- all initialisers --------------------------------------------------------------


@each
def test_shapes_affine_and_activation(name):
    net = draw(name, activation="erf")
    assert (net.w.shape, net.b.shape, net.c.shape) == ((N, D), (N,), (N,))
    assert net.p is None
    assert net.activation is networks.activation("erf")
    affine = draw(name, affine=True)
    assert affine.p is not None
    assert affine.p.shape == (D + 1,)
    assert not np.any(affine.p[:D])
    assert np.any(affine.p[D:]) == (name == "pytorch")


@each
def test_scale_multiplies_all_parameters_and_may_be_traced(name):
    scaled = draw(name, affine=True, scale=3.0)
    one = draw(name, affine=True)
    same(scaled, jax.tree.map(lambda a: 3 * a, one), rtol=1e-14, atol=1e-15)
    traced = jax.eval_shape(lambda s: draw(name, affine=True, scale=s), 1.0)
    assert jax.tree.map(jnp.shape, traced) == jax.tree.map(jnp.shape, one)


@each
def test_one_key_one_network_in_both_precisions(name):
    single, double = (draw(name, dtype=d) for d in (jnp.float32, jnp.float64))
    assert {a.dtype for a in jax.tree.leaves(single)} == {jnp.dtype("float32")}
    assert {a.dtype for a in jax.tree.leaves(double)} == {jnp.dtype("float64")}
    same(single, double, rtol=1e-5, atol=2e-6)


def test_the_default_dtype_follows_the_mode_and_the_draws_do_not():
    assert draw("he").w.dtype == jnp.float64
    with jax.enable_x64(False):
        narrow = draw("he")
        message = "`dtype` must be float32 while 64-bit mode is off, but is float64"
        with pytest.raises(ValueError, match=message):
            draw("he", dtype="float64")
    assert narrow.w.dtype == jnp.float32
    same(narrow, draw("he", dtype=jnp.float32), rtol=1e-6)


@each
def test_parts_are_independent(name):
    net = wide(name)
    c, w = np.sign(net.c), np.sign(net.w[:, 0])
    # Signs, because some parts have a deterministic size: 5 standard errors.
    for mean in (np.mean(c * w), np.mean(c), np.mean(w)):
        assert abs(mean) < 5 / np.sqrt(MANY)


@each
def test_different_keys_differ(name):
    a, b = draw(name), draw(name, key=jax.random.key(8))
    assert np.any(a.w != b.w)
    assert np.any(a.c != b.c)


# --- the classical schemes ---------------------------------------------------------


@pytest.mark.parametrize("name", CLASSICAL)
def test_classical_layers_are_those_of_the_scheme(name):
    hidden, outer = jax.random.split(KEY)
    net, layer = draw(name), SCHEMES[name]
    w, b = layer(hidden, fan_in=D, fan_out=N)
    c, _ = layer(outer, fan_in=N, fan_out=1)
    np.testing.assert_array_equal(net.w, w)
    np.testing.assert_array_equal(net.b, b)
    np.testing.assert_array_equal(net.c, c[0])
    assert np.any(net.b) == (name in ("pytorch", "small"))


def test_pytorch_intercept_is_the_bias_of_the_output_layer():
    _, outer = jax.random.split(KEY)
    _, bias = SCHEMES["pytorch"](outer, fan_in=N, fan_out=1)
    net = draw("pytorch", affine=True, scale=2.0)
    np.testing.assert_array_equal(net.p[D:], 2 * bias)
    assert 0 < abs(float(bias[0])) <= 1 / np.sqrt(N)


def test_small_uses_the_width_in_all_parameters():
    # d > n: the width, not the larger fan, sets the size.
    net, unit = (draw("small", width=4, in_dim=9, alpha=a) for a in (1.5, 0.0))
    same(net, jax.tree.map(lambda a: 4**-1.5 * a, unit), rtol=1e-14)
    lecun = draw("lecun", width=4, in_dim=9, bias="normal")
    np.testing.assert_allclose(unit.w, 3 * lecun.w, rtol=1e-14)
    np.testing.assert_allclose(unit.b, 3 * lecun.b, rtol=1e-14)
    np.testing.assert_allclose(unit.c, 2 * lecun.c, rtol=1e-14)


@pytest.mark.parametrize("name", ["he", "lecun_uniform", "orthogonal", "balanced"])
def test_zero_biases_put_all_kinks_at_the_origin(name):
    assert not np.any(draw(name, in_dim=1).b)
    assert np.all(draw(name, in_dim=1, bias="uniform").b != 0)


def test_normal_biases_of_he_give_cauchy_kinks():
    net = wide("he", bias="normal", in_dim=1)
    kinks = -net.b / net.w[:, 0]
    assert scipy.stats.kstest(kinks, scipy.stats.cauchy.cdf).pvalue > 1e-6


@pytest.mark.parametrize("name", ["he", "balanced"])
def test_size_of_the_output(name):
    # E f² = n E[c² φ²] = 2 where ‖x‖² = d, for ReLU, as the signs of c are random.
    net = wide(name)
    x = np.array([1.0, -1.0, 1.0])
    squares = MANY * (net.c * np.maximum(net.w @ x, 0)) ** 2
    assert abs(squares.mean() - 2) < 5 * squares.std() / np.sqrt(MANY)


# --- the designed ones -------------------------------------------------------------


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("bias", ["zero", "normal"])
def test_balanced_to_rounding(dtype, bias):
    net = draw("balanced", scale=0.3, bias=bias, dtype=dtype)
    bound = 8 * float(jnp.finfo(dtype).eps) * np.asarray(net.c) ** 2
    assert np.all(np.abs(imbalance(net)) <= bound)


@pytest.mark.parametrize(("lo", "hi"), [(-1.0, 1.0), (2.0, 5.0)])
def test_kinks_are_uniform_on_the_domain(lo, hi):
    net = wide("uniform_kinks", in_dim=1, lo=lo, hi=hi)
    kinks = -net.b / net.w[:, 0]
    uniform = scipy.stats.uniform(lo, hi - lo).cdf
    assert scipy.stats.kstest(kinks, uniform).pvalue > 1e-6


def test_every_kink_hyperplane_meets_the_box():
    lo, hi = np.array([0.0, -2.0, 5.0]), np.array([1.0, -1.0, 9.0])
    for name in ("uniform_kinks", "teacher", "structured"):
        net = wide(name, lo=lo, hi=hi)
        # Extremes of w·x + b over the box: its corners, coordinate by coordinate.
        a, b = net.w * lo[None, :], net.w * hi[None, :]
        low = np.sum(np.minimum(a, b), axis=1) + net.b
        high = np.sum(np.maximum(a, b), axis=1) + net.b
        assert np.all(low <= 1e-6)
        assert np.all(high >= -1e-6)


@pytest.mark.parametrize("gamma", [15.0, 40.0])
def test_structured_in_one_dimension(gamma):
    net = host("structured", in_dim=1, gamma=gamma, lo=0.0, hi=2.0)
    assert net.activation is networks.activation("tanh")
    np.testing.assert_array_equal(np.abs(net.w), np.full((N, 1), gamma))
    assert set(np.sign(np.ravel(net.w))) == {-1.0, 1.0}
    xi = np.linspace(0, 2, N)
    np.testing.assert_allclose(-net.b / net.w[:, 0], xi, rtol=1e-14)
    x = 0.3
    s = np.sign(net.w[:, 0])
    expected = np.sum(net.c * np.tanh(gamma * s * (x - xi)))
    assert float(net(jnp.array([x]))) == pytest.approx(expected, rel=1e-12)


def test_structured_in_more_dimensions():
    lo, hi = np.array([0.0, 1.0, 2.0]), np.array([1.0, 5.0, 3.0])
    net = host("structured", gamma=4.0, lo=lo, hi=hi)
    np.testing.assert_allclose(np.linalg.norm(net.w, axis=1), 4.0, rtol=1e-14)
    xi = np.linspace(lo, hi, N)
    np.testing.assert_allclose(np.sum(net.w * xi, axis=1) + net.b, 0, atol=1e-13)


def test_structured_single_neuron_sits_in_the_middle():
    net = draw("structured", width=1, in_dim=1, lo=0.0, hi=3.0)
    assert float(-net.b[0] / net.w[0, 0]) == pytest.approx(1.5)


@pytest.mark.parametrize("base", ["pytorch", "he"])
def test_zero_bias_keeps_the_weights_of_its_base(base):
    net, full = draw("zero_bias", base=base, affine=True), draw(base)
    np.testing.assert_array_equal(net.w, full.w)
    np.testing.assert_array_equal(net.c, full.c)
    assert not np.any(net.b)
    assert not np.any(net.p)


# --- teachers ----------------------------------------------------------------------

GIVEN = TwoLayer(
    w=np.array([[1.0, -2.0, 0.5], [0.3, 0.4, -1.0]]),
    b=np.array([0.1, -0.2]),
    c=np.array([2.0, -3.0]),
    p=np.array([1.0, 2.0, 3.0, 4.0]),
    activation="tanh",
)
X = np.random.default_rng(3).normal(size=(5, D))


def test_random_teacher_has_unit_neurons():
    net = draw("teacher")
    np.testing.assert_allclose(np.linalg.norm(net.w, axis=1), 1.0, rtol=1e-14)
    assert set(np.asarray(net.c)) == {-1.0, 1.0}


def test_random_teacher_points_everywhere():
    # One coordinate of a uniform unit vector of R³ is uniform on [−1, 1].
    w = wide("teacher").w[:, 0]
    assert scipy.stats.kstest(w, scipy.stats.uniform(-1, 2).cdf).pvalue > 1e-6


@pytest.mark.parametrize("width", [2, N + 1])
def test_students_start_at_the_given_teacher(width):
    net = draw("teacher", width=width, network=GIVEN)
    assert net.width == width
    np.testing.assert_allclose(outputs(net, X), outputs(GIVEN, X), rtol=1e-13)


def test_scale_and_noise_of_a_given_teacher():
    scaled = draw("teacher", width=2, network=GIVEN, scale=2.0)
    same(scaled, jax.tree.map(lambda a: 2 * a, GIVEN), rtol=1e-15)
    noisy, clean = (wide("teacher", network=GIVEN, noise=s) for s in (0.1, 0.0))
    for part in "wbc":
        noise = np.ravel(getattr(noisy, part) - getattr(clean, part))
        assert abs(noise.std() - 0.1) < 5 * 0.1 / np.sqrt(2 * noise.size)
        assert abs(noise.mean()) < 5 * 0.1 / np.sqrt(noise.size)


def test_a_teacher_without_affine_part_may_get_one():
    bare = TwoLayer(GIVEN.w, GIVEN.b, GIVEN.c)
    assert draw("teacher", network=bare).p is None
    np.testing.assert_array_equal(draw("teacher", network=bare, affine=True).p, 0.0)


# --- refusals ----------------------------------------------------------------------


@each
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "`width` must be at least 1, but is 0"),
        ({"in_dim": -2}, "`in_dim` must be at least 1, but is -2"),
        ({"scale": -1.0}, "`scale` must be positive, but is -1.0"),
        ({"scale": 0.0}, "`scale` must be positive, but is 0.0"),
        ({"activation": "geluu"}, "must be one of .* did you mean 'gelu'"),
    ],
)
def test_common_refusals(name, options, message):
    with pytest.raises(ValueError, match=message):
        draw(name, **options)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("he", {"bias": "gauss"}, ValueError, "law of the biases must be one of"),
        ("he", {"dtype": "int32"}, TypeError, "must be float32 or float64"),
        ("small", {"alpha": float("inf")}, ValueError, "`alpha` must be finite"),
        ("structured", {"gamma": 0.0}, ValueError, "`gamma` must be positive"),
        ("zero_bias", {"base": "xavir"}, ValueError, "did you mean 'xavier'"),
        ("teacher", {"network": 3.0}, TypeError, "must be a TwoLayer .* is a float"),
        (
            "teacher",
            {"network": GIVEN, "width": 1},
            ValueError,
            "at most 1 neurons .* but has 3 inputs and 2 neurons",
        ),
        (
            "teacher",
            {"network": GIVEN, "in_dim": 2},
            ValueError,
            "must have 2 inputs .* but has 3 inputs",
        ),
        ("teacher", {"noise": -0.1}, ValueError, "`noise` must be at least 0"),
    ],
)
def test_own_refusals(name, options, error, message):
    with pytest.raises(error, match=message):
        draw(name, **options)


@pytest.mark.parametrize("name", ["uniform_kinks", "structured", "teacher"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lo": 1.0, "hi": 1.0}, "`lo` must lie below `hi` .* is 1.0 and `hi` is 1.0"),
        ({"lo": [0.0, 0.0, 2.0]}, "`lo` must lie below `hi` in every input"),
        ({"hi": float("inf")}, "`hi` must be finite"),
        ({"hi": [1.0, 2.0]}, r"`hi` must be a number or have shape \(3,\)"),
    ],
)
def test_refused_domains(name, options, message):
    with pytest.raises(ValueError, match=message):
        draw(name, **options)


def test_unknown_initialiser():
    with pytest.raises(
        ValueError, match="is 'uniform_kink'; did you mean 'uniform_kin"
    ):
        networks.initialiser("uniform_kink")


def test_lookup():
    assert networks.initialiser("he") is networks.he
    own = lambda key, *, width, in_dim: None
    assert networks.initialiser(own) is own
