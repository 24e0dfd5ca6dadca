"""Curvature of linear chains: C3 and C4 of the theory note."""

import jax
import numpy as np
import pytest

import plateaux as px
from plateaux.diagnostics.curvature import ChainCurvature, chain_curvature, hessian

X = np.array([[0.5], [-1.0], [2.0]])
DATA = px.Problem(X, np.array([1.0, 0.3, -0.7]), weights=np.array([1.0, 2.0, 0.5]))
UNIT = px.Problem([[1.0]], [1.0])
logarithms = jax.jit(chain_curvature)


@jax.jit
def both_ways(problem, chain):
    gradient = jax.grad(lambda c: px.loss(problem, c))(chain).weights
    return chain_curvature(problem, chain), hessian(problem, chain), gradient


def assert_equals_dense(problem, chain):
    found, matrix, gradient = both_ways(problem, chain)
    found = ChainCurvature(*map(np.asarray, found))
    values, slope = np.linalg.eigvalsh(matrix), np.linalg.norm(gradient)
    top, bottom = values[-1], values[0]
    radius = max(abs(top), abs(bottom))
    ends = [
        found.sign_largest * np.exp(found.log_largest),
        found.sign_smallest * np.exp(found.log_smallest),
    ]
    np.testing.assert_allclose(ends, [top, bottom], rtol=0, atol=1e-13 * radius)
    np.testing.assert_allclose(np.exp(found.log_gradient), slope, rtol=1e-11)
    np.testing.assert_allclose(np.exp(found.log_radius), radius, rtol=1e-12)


@pytest.mark.parametrize(
    ("depth", "residual_scale"),
    [
        (1, None),
        (2, None),
        (3, None),
        pytest.param(8, None, marks=pytest.mark.slow),
        (1, -0.4),
        pytest.param(2, -0.4, marks=pytest.mark.slow),
        pytest.param(3, -0.4, marks=pytest.mark.slow),
        (8, -0.4),
    ],
)
def test_logarithms_equal_the_matrix(depth, residual_scale):
    for weights in np.random.default_rng(depth).normal(size=(4, depth)):
        chain = px.networks.Chain(weights, residual_scale=residual_scale)
        assert_equals_dense(DATA, chain)


@pytest.mark.parametrize(
    "weights",
    [
        [0.0, 2.0, -3.0],
        [0.0],
        [0.0, 0.0],
        [0.0, 5.0, 0.0, -2.0],
        [0.0, 0.0, 0.0],
        [0.7, 0.7, 0.7],
        [-1.0, 1.0, 1.0, 1.0],
    ],
)
def test_zero_and_equal_weights(weights):
    assert_equals_dense(DATA, px.networks.Chain(weights))


def test_targets_of_zero_and_exact_fits():
    zero = px.Problem(X, np.zeros(3), weights=DATA.weights)
    assert_equals_dense(zero, px.networks.Chain([0.3, -2.0, 1.0]))
    found = logarithms(UNIT, px.networks.Chain([0.5, 2.0]))
    assert float(found.log_gradient) == -np.inf
    np.testing.assert_allclose(np.exp(found.log_radius), 4.25, rtol=1e-14)


@pytest.mark.parametrize(("weight", "depth"), [(0.01, 1000), (30.0, 1000)])
def test_beyond_the_range_of_floats(weight, depth):
    """Equal weights: λ = P w⁻² (2P − 1)(L − 1) + …, in logarithms."""
    found = logarithms(UNIT, px.networks.Chain(np.full(depth, weight)))
    log_p, log_w = depth * np.log(weight), np.log(weight)
    if weight < 1:  # H = −P w⁻² (1 1ᵀ − I) up to a share of P
        slope, sizes = log_p - log_w, (0, np.log(depth - 1))
        logs = np.array(sizes) + log_p - 2 * log_w
    else:  # H = P² w⁻² (2 · 1 1ᵀ − I)
        slope, sizes = 2 * log_p - log_w, (np.log(2 * depth - 1), 0)
        logs = np.array(sizes) + 2 * (log_p - log_w)
    expected = ChainCurvature(
        slope + np.log(depth) / 2, max(logs), logs[0], 1.0, logs[1], -1.0
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_only_linear_chains_have_it():
    with pytest.raises(TypeError, match="linear Chain, but are a Problem with Squared"):
        chain_curvature(UNIT, px.networks.Chain([1.0, 2.0], activation="relu"))


# --- C4: medians of 2000 draws --------------------------------------------------------

# initialiser -> depth -> log ρ and log|g| of III.3
TABLE = {
    "lecun": {
        4: (0.52, -0.50),
        8: (-0.46, -2.23),
        16: (-4.10, -6.68),
        32: (-12.6, -15.9),
        64: (-31.5, -35.5),
    },
    "lecun_uniform": {
        4: (0.99, -0.17),
        8: (0.44, -1.00),
        16: (-1.47, -3.72),
        32: (-7.36, -10.3),
        64: (-20.5, -24.2),
    },
}
DRAWS = 2000


def draws(initialiser, depth):
    make = lambda key: px.networks.chain(key, depth=depth, initialiser=initialiser)
    keys = jax.random.split(jax.random.key(depth), DRAWS)
    return jax.jit(jax.vmap(lambda key: chain_curvature(UNIT, make(key))))(keys)


@pytest.mark.parametrize(
    ("initialiser", "depths"),
    [
        ("lecun", (4, 16)),
        ("lecun_uniform", (16,)),
        pytest.param("lecun", (8, 32, 64), marks=pytest.mark.slow),
        pytest.param("lecun_uniform", (4, 8, 32, 64), marks=pytest.mark.slow),
    ],
)
def test_medians_are_those_of_the_table(initialiser, depths):
    ratios = {}
    for depth in depths:
        log_radius, log_gradient = TABLE[initialiser][depth]
        found = ChainCurvature(*map(np.asarray, draws(initialiser, depth)))
        # Two medians of 2000 draws, ours and the note's, each with a standard error of
        # 1.25 σ/√2000; σ of the logarithms is about √Var L, Var = π²/8 or 1.
        error = 1.25 * np.sqrt(2 * 1.3 * (depth + 2) / DRAWS)
        for values, expected in (
            (found.log_radius, log_radius),
            (found.log_gradient, log_gradient),
        ):
            assert abs(np.median(values) - expected) < 3.5 * error + 0.06  # its digits
        negative = np.mean(found.sign_smallest < 0)
        assert negative >= (0.9 if depth < 32 else 0.999)
        if depth >= 16:
            share = np.median(np.exp(found.log_smallest - found.log_radius))
            assert 0.6 < share <= 1
        ratio = np.median(np.exp(found.log_gradient - found.log_radius))
        ratios[depth] = ratio * depth
    # "median(|g|/ρ) ≈ 1.3/L (Gaussian), 1.8/L (uniform, L ≥ 16)"
    law = {"lecun": 1.3, "lecun_uniform": 1.8}[initialiser]
    constants = [ratios[depth] for depth in depths if depth >= 16]
    np.testing.assert_allclose(constants, law, rtol=0.15)
