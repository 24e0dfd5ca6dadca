import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from plateaux.networks import ACTIVATIONS, Elephant, LeakyReLU, activation

from ..registry import ACTIVATIONS as REGISTERED

VALUES = {
    "relu": lambda z: np.maximum(z, 0),
    "relu2": lambda z: np.maximum(z, 0) ** 2,
    "relu3": lambda z: np.maximum(z, 0) ** 3,
    "leaky_relu": lambda z: np.maximum(z, 0.01 * z),
    "tanh": np.tanh,
    "softplus": lambda z: np.logaddexp(z, 0),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "gelu": lambda z: z * scipy.special.ndtr(z),
    "erf": scipy.special.erf,
    "sin": np.sin,
    "cos": np.cos,
    "elephant": lambda z: 1 / (1 + np.abs(z) ** 4),
    "step": lambda z: np.heaviside(z, 0.0),
    "identity": lambda z: z,
}
AT_ZERO = {  # name -> (value, derivative)
    "relu": (0.0, 0.0),
    "relu2": (0.0, 0.0),
    "relu3": (0.0, 0.0),
    "leaky_relu": (0.0, 0.01),
    "tanh": (0.0, 1.0),
    "softplus": (np.log(2.0), 0.5),
    "elu": (0.0, 1.0),
    "gelu": (0.0, 0.5),
    "erf": (0.0, 2 / np.sqrt(np.pi)),
    "sin": (0.0, 1.0),
    "cos": (1.0, 0.0),
    "elephant": (1.0, 0.0),
    "step": (0.0, 0.0),
    "identity": (0.0, 1.0),
}
Z = np.array([-30.0, -3.1, -1.0, -0.4, -1e-3, 0.0, 2e-3, 0.7, 1.0, 2.9, 30.0])
SMOOTH = Z[Z != 0]
each = pytest.mark.parametrize("name", REGISTERED)


def slopes(phi, z):
    return jax.jit(jax.vmap(jax.grad(phi)))(jnp.asarray(z))


def test_the_table_of_values_is_complete():
    assert set(VALUES) == set(AT_ZERO) == set(ACTIVATIONS)


H, TINY = 1e-6, 1e-12
FAR = SMOOTH[np.abs(SMOOTH) > 10 * H]
POINTS = {
    "Z": Z,
    "before": FAR - H,
    "after": FAR + H,
    "far": FAR,
    "sides": np.array([-TINY, TINY]),
    "smooth": SMOOTH,
    "thrice": 3 * SMOOTH,
}


@functools.cache
def looks(name):
    """Value, derivatives and those of autodiff at all points, in one program."""
    phi = ACTIVATIONS[name]

    @jax.jit
    def at(z):
        autodiff = [jax.vmap(f)(z) for f in (jax.grad(phi), jax.grad(jax.grad(phi)))]
        return phi(z), phi.derivative(z), phi.second_derivative(z), *autodiff

    found = np.stack(at(np.concatenate(list(POINTS.values()))))
    ends = np.cumsum([len(z) for z in POINTS.values()])[:-1]
    return dict(zip(POINTS, np.split(found, ends, axis=1), strict=True))


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values(name, dtype):
    z = Z.astype(dtype)
    single = dtype == np.float32
    value = jax.jit(ACTIVATIONS[name])(z) if single else looks(name)["Z"][0]
    assert value.dtype == dtype
    tol = 16 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(value, VALUES[name](z), rtol=tol, atol=tol)


@each
def test_derivative_is_that_of_autodiff(name):
    _, derivative, _, slopes, _ = looks(name)["Z"]
    np.testing.assert_allclose(derivative, slopes, rtol=1e-13, atol=1e-14)


@each
def test_second_derivative_is_that_of_autodiff(name):
    _, _, second, _, bends = looks(name)["Z"]
    np.testing.assert_allclose(second, bends, rtol=1e-12, atol=1e-14)
    single = jax.ShapeDtypeStruct((2,), jnp.float32)
    phi = ACTIVATIONS[name]
    for f in (phi, phi.derivative, phi.second_derivative):
        assert jax.eval_shape(f, single).dtype == jnp.float32


@each
def test_derivative_is_that_of_central_differences_away_from_kinks(name):
    at = looks(name)
    differences = (at["after"][0] - at["before"][0]) / (2 * H)
    # Truncation h² φ''' and rounding eps |φ|/h, |φ| ≤ 30.
    np.testing.assert_allclose(at["far"][1], differences, atol=1e-8)


@each
def test_convention_at_zero(name):
    value, derivative = AT_ZERO[name]
    found = looks(name)["Z"][:, list(Z).index(0.0)]
    assert found[0] == pytest.approx(value, abs=1e-15)
    assert found[1] == pytest.approx(derivative, abs=1e-15)
    assert found[3] == pytest.approx(derivative, abs=1e-15)


@each
def test_flags_say_what_the_function_does(name):
    phi, at = ACTIVATIONS[name], looks(name)
    jumps = np.abs(np.diff(at["sides"][:2], axis=1)) > 0.1
    assert phi.kinked == np.any(jumps)
    thrice = 3 * at["smooth"][0]
    assert phi.homogeneous == np.allclose(at["thrice"][0], thrice, rtol=1e-12)


@pytest.mark.parametrize(
    "name", ["relu", "leaky_relu", "elephant", "tanh", "elu", "gelu"]
)
def test_nan_stays_nan(name):
    assert bool(jnp.isnan(ACTIVATIONS[name](jnp.array(jnp.nan))))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_elephant_overflows_nowhere(dtype):
    phi = Elephant(a=0.5, d=8.0)
    tiny, huge = jnp.finfo(dtype).tiny, jnp.finfo(dtype).max
    z = jnp.array([-huge, -1e20, -tiny, 0.0, tiny, 1e20, huge], dtype)
    for slope in (slopes(phi, z), phi.derivative(z), phi.second_derivative(z)):
        assert slope.dtype == dtype
        np.testing.assert_allclose(slope, np.zeros(7), atol=1e-100)
    np.testing.assert_allclose(phi(z), [0, 0, 1, 1, 1, 0, 0], atol=1e-100)


def test_softplus_is_exact_and_has_all_derivatives():
    phi, z = ACTIVATIONS["softplus"], jnp.linspace(-40.0, 40.0, 4001)
    np.testing.assert_allclose(phi(z), np.logaddexp(z, 0), rtol=1e-15)
    third = jax.grad(phi.second_derivative)
    # The third derivative is odd, the fourth at 0 is −2 (1/4)².
    assert float(third(0.0)) == float(jax.grad(jax.grad(jax.grad(phi)))(0.0)) == 0.0
    assert float(jax.grad(third)(0.0)) == pytest.approx(-1 / 8)
    assert phi(jnp.array([-1e300, 1e300])).tolist() == [0.0, 1e300]


def test_elu_overflows_nowhere():
    z = jnp.array([-1e300, 1e300])
    for f, ends in (
        (activation("elu"), [-1.0, 1e300]),
        (activation("elu").derivative, [0.0, 1.0]),
        (jax.vmap(jax.grad(activation("elu"))), [0.0, 1.0]),
    ):
        np.testing.assert_array_equal(f(z), ends)


def test_elephant_shape():
    phi = Elephant(a=2.0, d=8.0)
    z = jnp.array([-2.0, 2.0, 1.0, 3.0])
    expected = 1 / (1 + np.array([1, 1, 0.5, 1.5]) ** 8)
    np.testing.assert_allclose(phi(z), expected, rtol=1e-14)
    # The steepest slope is about d/(4a) at |z| = a.
    np.testing.assert_allclose(phi.derivative(z)[:2], [1.0, -1.0], rtol=1e-14)
    curvature = slopes(jax.grad(phi), jnp.array([0.0, 1.0]))
    h = 1e-5
    difference = (phi.derivative(1.0 + h * z[2:3]) - phi.derivative(z[2:3] - h)) / 2 / h
    np.testing.assert_allclose(curvature, [0.0, float(difference[0])], rtol=1e-8)
    at = jnp.array([0.0, 1.0, 3.5])
    np.testing.assert_allclose(
        phi.second_derivative(at), slopes(jax.grad(phi), at), rtol=1e-12
    )


def test_leaky_slope():
    phi = LeakyReLU(slope=-1.0)
    np.testing.assert_array_equal(phi(jnp.array([-2.0, 3.0])), [2.0, 3.0])


def test_equal_activations_compile_once():
    traces = []

    def run(phi, z):
        traces.append(phi)
        return phi(z)

    run = jax.jit(run, static_argnums=0)
    for slope in (0.1, 0.1, 0.2):
        run(LeakyReLU(slope), jnp.ones(()))
    assert len(traces) == 2


def test_lookup():
    assert activation("gelu") is ACTIVATIONS["gelu"]
    mine = LeakyReLU(0.3)
    assert activation(mine) is mine


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: activation("rellu"),
            "must be one of .* is 'rellu'; did you mean 'relu'",
        ),
        (lambda: LeakyReLU(float("nan")), "`slope` must be finite, but is nan"),
        (lambda: Elephant(a=0.0), "`a` must be positive, but is 0.0"),
        (lambda: Elephant(d=1.0), "`d` must be above 1 and finite, but is 1.0"),
        (lambda: Elephant(d=float("inf")), "`d` must be above 1 and finite"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()
