import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from plateaux.networks import SCHEMES, scheme
from plateaux.networks.schemes import BIASES, small

IN, OUT = 70, 300
SIGMA2 = {  # name -> (variance of a weight, its law)
    "he": (2 / IN, "normal"),
    "he_uniform": (2 / IN, "uniform"),
    "xavier": (2 / (IN + OUT), "normal"),
    "xavier_uniform": (2 / (IN + OUT), "uniform"),
    "lecun": (1 / IN, "normal"),
    "lecun_uniform": (1 / IN, "uniform"),
    "pytorch": (1 / (3 * IN), "uniform"),
    "small": (OUT**-2.0, "normal"),
}
LAWS = {
    "normal": scipy.stats.norm(),
    "uniform": scipy.stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)),
}


def layer(name, fan_in=IN, fan_out=OUT, **options):
    drawn = SCHEMES[name](jax.random.key(11), fan_in=fan_in, fan_out=fan_out, **options)
    return tuple(map(np.asarray, drawn))


def test_the_table_is_complete():
    assert {*SIGMA2, "orthogonal"} == set(SCHEMES)


@pytest.mark.parametrize("name", SIGMA2)
def test_law_of_weights_and_biases(name):
    variance, law = SIGMA2[name]
    w, b = layer(name, bias=law)
    for draws in (w, b):
        unit = draws.ravel() / np.sqrt(variance)
        # 21000 and 300 draws; Kolmogorov-Smirnov at p = 1e-6 (5 standard errors),
        # which a wrong variance of 10 % fails on the weights.
        assert scipy.stats.kstest(unit, LAWS[law].cdf).pvalue > 1e-6
        se = np.sqrt((2 if law == "normal" else 0.8) / unit.size)
        assert abs(unit.var() - 1) < 5 * se


@pytest.mark.parametrize("name", [k for k, v in SIGMA2.items() if v[1] == "uniform"])
def test_uniform_weights_stay_inside_their_bound(name):
    bound = np.sqrt(3 * SIGMA2[name][0])
    largest = np.abs(layer(name)[0]).max()
    assert 0.999 * bound < largest <= bound * (1 + 1e-15)


def test_pytorch_bound_is_one_over_root_fan_in():
    w, b = layer("pytorch", fan_in=16)
    for draws in (w, b):
        assert 0.245 < np.abs(draws).max() <= 0.25 * (1 + 1e-15)


@pytest.mark.parametrize("name", SCHEMES)
def test_default_biases(name):
    _, b = layer(name)
    assert np.any(b) == (name in ("pytorch", "small"))


@pytest.mark.parametrize("bias", BIASES)
def test_biases_have_the_variance_of_the_weights(bias):
    _, b = layer("orthogonal", bias=bias)
    assert np.any(b) == (bias != "zero")
    if bias != "zero":
        ratio = b.var() * max(IN, OUT)
        assert abs(ratio - 1) < 5 * np.sqrt(2 / b.size)


@pytest.mark.parametrize("bias", ["normal", "uniform"])
def test_biases_are_independent_of_the_weights(bias):
    w, b = layer("lecun" if bias == "normal" else "lecun_uniform", bias=bias)
    # One key used twice would repeat the first row or column, or the first numbers.
    for numbers in (w[:, 0], w.ravel()[:OUT]):
        assert abs(np.corrcoef(numbers, b)[0, 1]) < 5 / np.sqrt(OUT)


@pytest.mark.parametrize(("fan_in", "fan_out"), [(7, 3), (3, 7), (4, 4), (1, 5)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_orthogonal_is_orthogonal_and_uniform(fan_in, fan_out, dtype):
    fans = dict(fan_in=fan_in, fan_out=fan_out, dtype=dtype)
    q, gaussian = layer("orthogonal", **fans)[0], layer("lecun", **fans)[0]
    assert q.shape == (fan_out, fan_in)
    if fan_out < fan_in:
        q, gaussian = q.T, gaussian.T
    tol = 16 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(q.T @ q, np.eye(q.shape[1]), atol=tol)
    # Uniform: the Q of a Gaussian matrix whose R has a positive diagonal (Mezzadri).
    r = q.T @ gaussian
    np.testing.assert_allclose(r, np.triu(r), atol=tol)
    assert np.all(np.diagonal(r) > 0)


def test_small_takes_width_and_exponent():
    key, fans = jax.random.key(0), {"fan_in": 7, "fan_out": 20}
    w, b = small(key, **fans)
    for m, alpha in ((20, 2.0), (100, 0.5)):
        v, a = small(key, **fans, m=m, alpha=alpha)
        np.testing.assert_allclose(v, w * 20 * m**-alpha, rtol=1e-14)
        np.testing.assert_allclose(a, b * 20 * m**-alpha, rtol=1e-14)


@pytest.mark.parametrize("name", SCHEMES)
def test_one_key_one_layer_in_both_precisions(name):
    single, double = (
        layer(name, bias="normal", dtype=d) for d in (jnp.float32, jnp.float64)
    )
    for a, b in zip(single, double, strict=True):
        assert (a.dtype, b.dtype) == (np.float32, np.float64)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_lookup():
    assert scheme("he") is SCHEMES["he"]
    assert scheme(small) is small


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"fan_in": 0}, ValueError, "`fan_in` must be at least 1, but is 0"),
        ({"fan_out": -1}, ValueError, "`fan_out` must be at least 1, but is -1"),
        ({"bias": "normals"}, ValueError, "law of the biases .* did you mean 'normal'"),
        ({"dtype": "float16"}, TypeError, "must be float32 or float64, but is float16"),
        ({"dtype": "double!"}, TypeError, "must be float32 or float64, but is double!"),
        ({"alpha": float("nan")}, ValueError, "`alpha` must be finite"),
    ],
)
def test_refusals(options, error, message):
    with pytest.raises(error, match=message):
        small(jax.random.key(0), **{"fan_in": 2, "fan_out": 2} | options)


def test_unknown_scheme():
    with pytest.raises(ValueError, match="is 'leCun'; did you mean 'lecun'"):
        scheme("leCun")
