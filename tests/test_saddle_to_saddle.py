"""What the experiment on deep linear networks computes beside the library."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px

from .closeness import lane
from .experiment_files import load, quickly

saddles = load("saddle_to_saddle")


@pytest.fixture(scope="module")
def data():
    return saddles.problem()


def weights_of(network):
    return [np.asarray(w) for w in (*network.weights, network.readout)]


def shaped(run, times, losses):
    """A run with times and losses of our own."""
    parts = jnp.asarray(times), jnp.asarray(losses)
    return eqx.tree_at(lambda r: (r.times, r.losses), run, parts)


def test_inputs_are_white_and_targets_have_the_modes(data):
    x, y = np.asarray(data.x), np.asarray(data.y)
    np.testing.assert_allclose(x.T @ x / len(x), np.eye(5), atol=1e-14)
    modes = np.linalg.svd(y.T @ x / len(x), compute_uv=False)
    np.testing.assert_allclose(modes, [4, 2, 1, 0, 0], atol=1e-14)


def test_levels_are_losses_of_the_best_networks_of_each_rank(data):
    x, y = np.asarray(data.x), np.asarray(data.y)
    left, modes, right = np.linalg.svd(y.T @ x / len(x))
    best = [(left[:, :r] * modes[:r]) @ right[:r] for r in range(4)]
    losses = [np.mean(np.sum((y - x @ a.T) ** 2, axis=1)) / 2 for a in best]
    np.testing.assert_allclose(saddles.levels(), losses, atol=1e-13)


@pytest.mark.parametrize("depth", [2, 4])
def test_aligned_networks_are_balanced_and_have_the_strength_asked_for(data, depth):
    modes = px.dynamics.reduced.linear_modes(data, depth=depth, start=0.1)
    weights = weights_of(saddles.aligned(modes, depth, 0.1))
    assert len(weights) == depth
    for inner, outer in zip(weights, weights[1:], strict=False):
        np.testing.assert_allclose(outer.T @ outer, inner @ inner.T, atol=1e-14)
    product = np.linalg.multi_dot(weights[::-1])
    wanted = 0.1 * np.asarray(modes.left) @ np.asarray(modes.right).T
    np.testing.assert_allclose(product, wanted, atol=1e-14)


def test_two_aligned_matrices_follow_the_law(data):
    modes = px.dynamics.reduced.linear_modes(data, depth=2, start=1e-2)
    network = saddles.aligned(modes, 2, 1e-2)
    run = px.flow(data, network, t1=6.0, rtol=1e-7, save=px.log_spaced(20))
    law = modes.loss(run.times)
    np.testing.assert_allclose(run.losses, law, atol=1e-4)  # of the flow's tolerance
    assert float(law[0]) > 10
    assert float(law[-1]) < 0.01


def test_random_starts_are_small_and_differ(data):
    networks = quickly(lambda: saddles.draw(3, 50))()
    assert networks.biases is None
    inner = np.asarray(networks.weights[1])
    assert inner.shape == (50, 6, 6)
    # 1800 draws of LeCun's weights: 5 standard errors
    wanted = saddles.SCALE[3] ** 2 / 6
    np.testing.assert_allclose(np.var(inner), wanted, rtol=5 * (2 / 1800) ** 0.5)
    one = lane(networks, 0)
    loss = px.problems.loss(data, one)
    np.testing.assert_allclose(loss, saddles.levels()[0], rtol=1e-3)


def test_a_staircase_stands_on_its_treads():
    run = px.descend(
        px.Problem([[1.0]], [1.0]),
        px.networks.Chain([0.1, 0.1]),
        px.gradient_descent(0.1),
        num_steps=400,
        save=px.log_spaced(400),
    )
    times = np.append(0.0, np.geomspace(0.01, 100, 399))
    falls = 1 / (1 + (times / 0.3) ** 8), 1 / (1 + (times / 10) ** 8)
    found = saddles.standing(shaped(run, times, 0.5 + 8 * falls[0] + 2 * falls[1]))
    np.testing.assert_allclose(found, [10.5, 2.5, 0.5], rtol=1e-2)
    assert saddles.stand_at(found) == [True, True, True]


def test_standing_is_within_three_percent():
    assert saddles.stand_at(np.array([10.2, 2.58])) == [True, False, False]
    assert saddles.stand_at(np.array([0.4, 2.45])) == [False, True, False]
    assert saddles.stand_at(np.array([2.6]), tolerance=0.05) == [False, True, False]
