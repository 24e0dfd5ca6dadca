"""What linear networks and chains conserve: along the flow, and how descent drifts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.diagnostics import balance_matrices, imbalance_rates, imbalances

from ..closeness import assert_close

RNG = np.random.default_rng(7)
X = RNG.normal(size=(6, 3))
PROBLEM = px.Problem(X, RNG.normal(size=(6, 2)), weights=RNG.uniform(0.5, 2, size=6))
LINE = px.Problem(X[:, :1], RNG.normal(size=6))


def linear(*, bias=True):
    rng = np.random.default_rng(8)
    sizes = (3, 4, 3)
    weights = [rng.normal(size=(o, i)) for i, o in zip(sizes, sizes[1:], strict=False)]
    biases = [rng.normal(size=o) for o in sizes[1:]] if bias else None
    return px.MLP(weights, biases, rng.normal(size=(2, 3)), activation="identity")


def chain(activation):
    return px.networks.Chain([0.8, -1.1, 0.5, 1.3], activation=activation)


def distance(before, after):
    pairs = zip(before, after, strict=True)
    return max(np.max(np.abs(np.asarray(a) - np.asarray(b))) for a, b in pairs)


matrices = jax.jit(balance_matrices)
of_units = jax.jit(imbalances)


@pytest.mark.parametrize("bias", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_linear_networks_keep_their_matrices(bias):
    network = linear(bias=bias)
    run = px.flow(PROBLEM, network, t1=2.0, rtol=1e-10)
    before, after = (matrices(PROBLEM, n) for n in (network, run.network))
    assert distance(network.weights, run.network.weights) > 0.1
    # 1e-8: the flow's own error, 1e-10 a step, in weights of size 1.
    assert distance(before, after) < 1e-8


def test_the_diagonals_are_the_imbalances():
    network = linear()
    found = matrices(PROBLEM, network)
    diagonals = tuple(map(np.diag, found))
    assert_close(diagonals, of_units(PROBLEM, network))
    w, following = np.asarray(network.weights[1]), np.asarray(network.readout)
    b = np.asarray(network.biases[1])
    by_hand = following.T @ following - w @ w.T - np.outer(b, b)
    np.testing.assert_allclose(found[1], by_hand, rtol=1e-13)


@pytest.mark.parametrize("activation", ["identity", "tanh"])
def test_differences_of_squares_of_a_chain(activation):
    """w_{l+1}² − w_l² is kept by the linear chain only, and the rates say how not."""
    net = chain(activation)
    squares = np.square(net.weights)
    found = np.concatenate(of_units(LINE, net))
    np.testing.assert_allclose(found, np.diff(squares), rtol=1e-14)
    run = px.flow(LINE, net, t1=3.0, rtol=1e-10)
    moved = distance(of_units(LINE, net), of_units(LINE, run.network))
    # 1e-8: the flow's own error, 1e-10 a step.
    assert moved < 1e-8 if activation == "identity" else moved > 1e-3

    @jax.jit
    def rates_two_ways(net):
        velocity = jax.tree.map(jnp.negative, px.dynamics.evaluate(LINE, net).gradient)
        rates = jax.jvp(lambda n: imbalances(LINE, n), (net,), (velocity,))[1]
        return rates, imbalance_rates(LINE, net)

    assert distance(*rates_two_ways(net)) < 1e-14


def test_descent_drifts_by_its_step_size():
    steps, drifts = np.array([4e-3, 2e-3, 1e-3]), []
    network = linear()
    options = {"save": px.at([0.5]), "record": {"matrices": balance_matrices}}
    for h in steps:
        run = px.descend(
            PROBLEM, network, px.gradient_descent(h), num_steps=600, **options
        )
        assert float(run.times[1]) == 0.5
        saved = [np.asarray(matrix) for matrix in run.saved["matrices"]]
        drifts.append(max(np.max(np.abs(matrix[1] - matrix[0])) for matrix in saved))
    slope = np.polyfit(np.log(steps), np.log(drifts), 1)[0]
    assert 0.9 < slope < 1.2


def test_others_are_refused():
    with pytest.raises(ValueError, match="'identity'"):
        balance_matrices(LINE, chain("tanh"))
    with pytest.raises(ValueError, match="without skips"):
        imbalances(LINE, px.networks.Chain([0.1, 0.2], residual_scale=1.0))
