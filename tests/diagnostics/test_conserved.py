"""Imbalances: the drift law against automatic differentiation and against steps."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.diagnostics import imbalance_changes, imbalance_rates, imbalances

RNG = np.random.default_rng(5)
X = RNG.normal(size=(7, 3))
Y = RNG.normal(size=7)
SIGNS = np.sign(Y)
MU = RNG.uniform(0.1, 2.0, size=7)
LABELS = np.eye(2)[RNG.integers(0, 2, size=7)]

PROBLEMS = {
    "squared": px.Problem(X, Y),
    "weighted": px.Problem(X, Y, weights=MU),
    "sum": px.Problem(X, Y, weights=MU, normalisation="sum"),
    "logistic": px.Problem(X, SIGNS, loss="logistic"),
    "exponential": px.Problem(X, SIGNS, loss="exponential", weights=MU),
}
CLASSES = px.Problem(X, LABELS, loss="cross_entropy", weights=MU)
MANY = px.Problem(X, np.stack([Y, SIGNS], axis=1))


def two_layer(activation, p=None):
    rng = np.random.default_rng(1)
    w, b, c = rng.normal(size=(5, 3)), rng.normal(size=5), rng.normal(size=5)
    return px.TwoLayer(w, b, c, p, activation=activation)


def deep(activation, *, bias=True, outputs=None, widths=(5, 4, 6), **kind):
    rng = np.random.default_rng(2)
    sizes = (3, *widths)
    weights = [rng.normal(size=(o, i)) for i, o in zip(sizes, sizes[1:], strict=False)]
    biases = [rng.normal(size=o) for o in widths] if bias else None
    shape = () if outputs is None else (outputs,)
    readout, last = rng.normal(size=(*shape, widths[-1])), rng.normal(size=shape)
    return px.MLP(
        weights, biases, readout, last if bias else None, activation=activation, **kind
    )


@eqx.filter_jit
def rates_two_ways(problem, network):
    """The rate along θ̇ = −∇L, and from automatic differentiation alone."""
    gradient = jax.grad(lambda n: px.loss(problem, n))(network)
    velocity = jax.tree.map(jnp.negative, gradient)
    expected = jax.jvp(lambda n: imbalances(problem, n), (network,), (velocity,))[1]
    return imbalance_rates(problem, network), expected


def check_identity(problem, network):
    rates, expected = rates_two_ways(problem, network)
    assert len(rates) == len(expected)
    for rate, other in zip(rates, expected, strict=True):
        assert rate.shape == other.shape
        scale = max(1.0, float(np.max(np.abs(other))))
        np.testing.assert_allclose(rate, other, rtol=0, atol=1e-13 * scale)
    return rates


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "activation",
    ["softplus", pytest.param("relu2", marks=SLOW), pytest.param("sin", marks=SLOW)]
    + ["elephant"],
)
def test_drift_for_any_activation(activation):
    (rates,) = check_identity(PROBLEMS["squared"], two_layer(activation))
    assert np.max(np.abs(rates)) > 1e-2


@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(
            problem, id=name, marks=SLOW if name in ("weighted", "exponential") else ()
        )
        for name, problem in PROBLEMS.items()
    ],
)
def test_drift_for_any_loss_and_weights(problem):
    (rates,) = check_identity(problem, two_layer("tanh"))
    assert np.min(np.abs(rates)) > 1e-4


@pytest.mark.parametrize(
    "activation",
    [
        "relu",
        pytest.param("leaky_relu", marks=SLOW),
        pytest.param("identity", marks=SLOW),
    ],
)
def test_homogeneous_activations_conserve(activation):
    for network in (two_layer(activation), deep(activation)):
        for rate in check_identity(PROBLEMS["weighted"], network):
            np.testing.assert_allclose(rate, 0, rtol=0, atol=1e-16)


def test_the_formula_term_by_term():
    """2 E[r a (σ(w·x̃) − σ'(w·x̃) w·x̃)] with loops, and an affine part in r."""
    network = two_layer("tanh", p=[0.3, -0.2, 0.5, 1.0])
    v = np.column_stack([network.w, network.b])
    x = np.concatenate([X, np.ones((7, 1))], axis=1)
    f = [
        sum(c * np.tanh(w @ row) for c, w in zip(network.c, v, strict=True))
        for row in x
    ]
    r = Y - np.array(f) - x @ np.asarray(network.p)
    expected = np.zeros(5)
    for i in range(5):
        for k in range(7):
            z = v[i] @ x[k]
            bend = np.tanh(z) - z / np.cosh(z) ** 2
            expected[i] += 2 * float(network.c[i]) * r[k] * bend / 7
    (rates,) = imbalance_rates(PROBLEMS["squared"], network)
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("problem", "outputs", "bias"),
    [
        pytest.param(PROBLEMS["weighted"], None, True, id="weighted"),
        pytest.param(PROBLEMS["weighted"], None, False, id="no bias", marks=SLOW),
        pytest.param(PROBLEMS["logistic"], None, True, id="logistic", marks=SLOW),
        pytest.param(PROBLEMS["logistic"], None, False, id="both", marks=SLOW),
        pytest.param(CLASSES, 2, True, id="classes", marks=SLOW),
        pytest.param(CLASSES, 2, False, id="classes, no bias"),
        pytest.param(MANY, 2, True, id="two outputs", marks=SLOW),
        pytest.param(MANY, 2, False, id="two outputs, no bias", marks=SLOW),
    ],
)
def test_drift_of_deep_networks(problem, outputs, bias):
    network = deep("tanh", bias=bias, outputs=outputs)
    rates = check_identity(problem, network)
    assert [r.shape for r in rates] == [(5,), (4,), (6,)]
    assert all(np.max(np.abs(r)) > 1e-3 for r in rates)


of_units = eqx.filter_jit(imbalances)


@pytest.mark.parametrize("bias", [True, False])
def test_sums_over_layers_are_norms_of_matrices(bias):
    network = deep("tanh", bias=bias)
    found = of_units(PROBLEMS["weighted"], network)
    squares = [float(np.sum(np.square(w))) for w in (*network.weights, network.readout)]
    for layer, units in enumerate(found):
        expected = squares[layer + 1] - squares[layer]
        if bias:
            expected -= float(np.sum(np.square(network.biases[layer])))
        np.testing.assert_allclose(np.sum(units), expected, rtol=1e-13)


def test_one_hidden_layer_is_the_two_layer_network():
    shallow = two_layer("tanh")
    same = px.MLP(
        [shallow.w], [shallow.b], shallow.c, kind="residual", activation="tanh"
    )
    for look in (imbalances, imbalance_rates):
        (one,), (other,) = (look(PROBLEMS["squared"], n) for n in (shallow, same))
        np.testing.assert_allclose(one, other, rtol=1e-14)
    (expected,) = imbalances(PROBLEMS["squared"], shallow)
    np.testing.assert_array_equal(px.networks.imbalance(shallow), expected)


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(two_layer("tanh"), id="tanh"),
        pytest.param(two_layer("relu"), id="relu", marks=SLOW),
        pytest.param(deep("tanh"), id="deep"),
        pytest.param(deep("tanh", bias=False), id="without biases", marks=SLOW),
    ],
)
def test_one_step_of_descent_changes_it_exactly(network):
    problem, h = PROBLEMS["weighted"], 0.1
    gradient = jax.jit(jax.grad(lambda n: px.loss(problem, n)))(network)
    step = lambda a, g: jnp.asarray(np.asarray(a) - h * np.asarray(g))
    after = jax.tree.map(step, network, gradient)
    for before, then, change in zip(
        of_units(problem, network),
        of_units(problem, after),
        imbalance_changes(problem, network, h),
        strict=True,
    ):
        moved = np.asarray(then) - np.asarray(before)
        np.testing.assert_allclose(moved, change, rtol=0, atol=1e-13)


def test_a_batch_gives_what_a_loop_gives():
    problem, copies = PROBLEMS["squared"], [1.0, 0.3, -2.0]
    times = lambda s: jax.tree.map(
        lambda a: jnp.asarray(s * np.asarray(a)), deep("tanh")
    )
    networks = [times(s) for s in copies]
    batch = jax.tree.map(lambda *rows: jnp.asarray(np.stack(rows)), *networks)
    found = jax.jit(jax.vmap(lambda n: imbalance_rates(problem, n)))(batch)
    for i, network in enumerate(networks):
        for layer, one in zip(found, imbalance_rates(problem, network), strict=True):
            row = np.asarray(layer)[i]
            np.testing.assert_allclose(row, one, rtol=1e-12, atol=1e-14)


def test_single_precision_stays():
    one = lambda leaf: jnp.asarray(np.asarray(leaf, np.float32))
    single = lambda tree: jax.tree.map(one, tree)
    problem, network = single(PROBLEMS["weighted"]), single(two_layer("tanh"))
    found = (
        *imbalance_rates(problem, network),
        *imbalance_changes(problem, network, 0.1),
    )
    assert {a.dtype for a in found} == {jnp.dtype("float32")}


NORMALISED = deep("tanh", kind="normalised")
RESIDUAL = deep("tanh", widths=(4, 4), kind="residual")


@pytest.mark.parametrize("look", [imbalances, imbalance_rates])
@pytest.mark.parametrize(
    ("network", "error", "message"),
    [
        (NORMALISED, ValueError, "TwoLayer or a plain MLP .* is a normalised MLP"),
        (RESIDUAL, ValueError, "TwoLayer or a plain MLP .* is a residual MLP"),
        ("tanh", TypeError, "`network` must be a network .* is a str"),
        (deep("tanh", outputs=2), ValueError, "as many outputs as the problem"),
    ],
)
def test_other_networks_are_refused(look, network, error, message):
    with pytest.raises(error, match=message):
        look(PROBLEMS["squared"], network)


def test_an_equation_is_refused():
    with pytest.raises(TypeError, match="`problem` must be a Problem, .* is a object"):
        imbalance_rates(object(), two_layer("tanh"))


@pytest.mark.parametrize("h", [0.0, -1.0, float("nan")])
def test_steps_are_positive(h):
    with pytest.raises(ValueError, match=f"`step_size` must be positive, but is {h}"):
        imbalance_changes(PROBLEMS["squared"], two_layer("tanh"), h)
