"""The problem: the value of its loss, its units of time, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plateaux.networks import TwoLayer
from plateaux.problems import Problem, check_match, loss, pointwise_losses

X = jnp.array([[-1.0, 0.5], [2.0, 1.0], [0.3, -0.7]])
Y = jnp.array([0.4, -1.0, 2.0])
MASSES = jnp.array([1.0, 0.5, 2.5])
NETWORK = TwoLayer(
    w=jnp.array([[1.0, -2.0], [0.5, 0.3]]),
    b=jnp.array([0.1, -0.2]),
    c=jnp.array([1.5, -0.7]),
)


def residuals():
    """Independent NumPy evaluation of f(x) − y."""
    w, b, c = np.asarray(NETWORK.w), np.asarray(NETWORK.b), np.asarray(NETWORK.c)
    return np.maximum(np.asarray(X) @ w.T + b, 0) @ c - np.asarray(Y)


# --- values ---


@pytest.mark.parametrize(
    ("normalisation", "weights", "expected"),
    [
        ("mean", None, lambda r: np.mean(r**2) / 2),
        ("sum", None, lambda r: np.sum(r**2) / 2),
        ("mean", MASSES, lambda r: np.average(r**2, weights=MASSES) / 2),
        ("sum", MASSES, lambda r: np.sum(np.asarray(MASSES) * r**2) / 2),
    ],
)
def test_squared_loss_in_all_normalisations(normalisation, weights, expected):
    problem = Problem(X, Y, weights=weights, normalisation=normalisation)
    value = loss(problem, NETWORK)
    assert value.shape == ()
    assert float(value) == pytest.approx(expected(residuals()), rel=1e-14)


def test_pointwise_losses_ignore_weights():
    problem = Problem(X, Y, weights=MASSES)
    np.testing.assert_allclose(
        pointwise_losses(problem, NETWORK), residuals() ** 2 / 2, rtol=1e-13
    )


def test_weight_two_is_a_datum_twice():
    twice = Problem(X[jnp.array([0, 1, 1, 2])], Y[jnp.array([0, 1, 1, 2])])
    weighted = Problem(X, Y, weights=jnp.array([1.0, 2.0, 1.0]))
    assert float(loss(twice, NETWORK)) == pytest.approx(float(loss(weighted, NETWORK)))


def test_logistic_loss_is_averaged():
    labels = jnp.array([1.0, -1.0, 1.0])
    f = residuals() + np.asarray(Y)
    expected = np.mean(np.log1p(np.exp(-np.asarray(labels) * f)))
    value = loss(Problem(X, labels, loss="logistic"), NETWORK)
    assert float(value) == pytest.approx(expected, rel=1e-14)


def test_loss_is_traceable_in_the_problem_and_the_network():
    problem = Problem(X, Y, weights=MASSES)
    jitted = jax.jit(loss)(problem, NETWORK)
    assert float(jitted) == pytest.approx(float(loss(problem, NETWORK)), rel=1e-14)
    shifted = jax.vmap(lambda s: loss(Problem(X, Y + s), NETWORK))(jnp.arange(3.0))
    for s, value in enumerate(shifted):
        expected = np.mean((residuals() - s) ** 2) / 2
        assert float(value) == pytest.approx(expected, rel=1e-13)


def test_dimensions():
    problem = Problem(X, jnp.stack([Y, Y, Y, 2 * Y], axis=1))
    assert (problem.num_data, problem.in_dim, problem.out_dim) == (3, 2, 4)
    assert Problem(X, Y).out_dim is None


def test_data_may_be_numpy_arrays_or_lists_of_floats():
    problem = Problem(np.asarray(X), [0.5, 1.0, 2.0])
    np.testing.assert_array_equal(problem.x, X)
    assert problem.y.dtype == X.dtype


@pytest.mark.parametrize(
    ("options", "unit"),
    [
        ({}, "flow time of L = Σ ½ r² / K"),
        ({"normalisation": "sum"}, "flow time of L = Σ ½ r²"),
        ({"weights": MASSES}, "flow time of L = Σ μ ½ r² / Σ μ"),
        ({"weights": MASSES, "normalisation": "sum"}, "flow time of L = Σ μ ½ r²"),
    ],
)
def test_time_unit_in_words(options, unit):
    assert Problem(X, Y, **options).time_unit == unit


def test_time_unit_names_the_loss():
    problem = Problem(X, jnp.ones(3), loss="exponential")
    assert problem.time_unit == "flow time of L = Σ exp(−y f) / K"


# --- refusals of data ---


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X[:, 0], Y, r"shape \(K, d\).*has shape \(3,\); one input is .*x\[:, None\]"),
        (X[:0], Y[:0], r"at least one datum.*has shape \(0, 2\)"),
        (X[:, :0], Y, r"at least one datum and one input.*has shape \(3, 0\)"),
        (X, Y[:2], r"one row per row of `x`, shape \(3,\) .*but has shape \(2,\)"),
        (X, jnp.ones((3, 0)), r"one row per row of `x`.*but has shape \(3, 0\)"),
        (X, jnp.ones((3, 1, 1)), r"but has shape \(3, 1, 1\)"),
        (X.at[1, 0].set(jnp.nan), Y, "`x` must be finite, but 1 of its 6 entries"),
        (X, Y.at[2].set(jnp.inf), "`y` must be finite, but 1 of its 3 entries"),
    ],
)
def test_bad_values_are_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        Problem(x, y)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (jnp.arange(6).reshape(3, 2), Y, "`x` must hold floating.*but has dtype int64"),
        (X, np.arange(3), "`y` must hold floating.*but has dtype int64"),
        (X, np.array(["a", "b", "c"]), "`y` must hold floating.*but has dtype <U1"),
        (X, Y.astype(jnp.float32), "one dtype, but have float64 and float32"),
    ],
)
def test_bad_dtypes_are_refused(x, y, message):
    with pytest.raises(TypeError, match=message):
        Problem(x, y)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (jnp.ones(2), r"`weights` must have shape \(3,\).*but has shape \(2,\)"),
        (jnp.ones(3, jnp.float32), "dtype float64, but has shape .* and dtype float32"),
        (jnp.array([1.0, -0.5, 2.0]), "non-negative.*smallest entry is -0.5"),
        (jnp.zeros(3), "not all zero.*largest is 0.0"),
        (jnp.array([1.0, jnp.nan, 1.0]), "`weights` must be finite, but 1 of its 3"),
    ],
)
def test_bad_weights_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        Problem(X, Y, weights=weights)


def test_unknown_normalisation_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="but is 'average'; did you mean 'mean'"):
        Problem(X, Y, normalisation="average")


# --- refusals of networks ---


def test_a_matching_network_passes():
    check_match(Problem(X, Y), NETWORK)


def test_mismatched_networks_are_refused():
    three = TwoLayer(w=jnp.ones((2, 3)), b=jnp.ones(2), c=jnp.ones(2))
    with pytest.raises(ValueError, match="many inputs as the problem, 2, but has 3"):
        check_match(Problem(X, Y), three)
    with pytest.raises(ValueError, match="outputs as the problem, 4, but has a scalar"):
        check_match(Problem(X, jnp.ones((3, 4))), NETWORK)


def test_a_network_of_another_precision_is_refused():
    single = jax.tree.map(lambda a: a.astype(jnp.float32), NETWORK)
    with pytest.raises(TypeError, match="dtype, float64, but has float32"):
        check_match(Problem(X, Y), single)


@pytest.mark.parametrize("lanes", [2, 3, 4])
def test_a_batch_of_networks_is_refused_outside_vmap(lanes):
    nets = jax.tree.map(lambda a: jnp.stack([a] * lanes), NETWORK)
    with pytest.raises(ValueError, match="for many networks at once use jax.vmap"):
        check_match(Problem(X, Y), nets)
    jax.vmap(lambda network: check_match(Problem(X, Y), network))(nets)


class Column(TwoLayer):
    """A two-layer network that forgets to drop its output axis."""

    def __call__(self, x):
        return super().__call__(x)[None]


def test_a_network_of_another_output_shape_is_refused():
    column = Column(w=NETWORK.w, b=NETWORK.b, c=NETWORK.c)
    with pytest.raises(ValueError, match=r"output of shape \(\) .*but gives \(1,\)"):
        check_match(Problem(X, Y), column)
