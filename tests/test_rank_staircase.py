"""The listed pairs of loss and ε-rank of the replacement experiment (notes, II.5)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import plateaux as px
from plateaux.experiments import shelf

from .experiment_files import load, quickly

study = load("rank_staircase")
EXPECTED = shelf.expected("rank_staircase")["full"]["numbers"]
ADAM = optax.adam(1e-3)
start = functools.cache(quickly(study.start, static_argnums=0))


def pairs(network, optimizer, listed):
    """Losses and terminal ranks at the listed steps, the start first."""
    run = study.train(network, optimizer, max(listed), listed, saves=8)
    found = study.numbers(run, listed)
    assert found["bound_holds"]
    return np.array(found["losses"]), np.array(found["ranks"])


def test_gradient_descent_climbs_slowly():
    losses, ranks = pairs(start("xavier"), None, (1000, 2000, 3000))
    np.testing.assert_allclose(losses, [0.405, 0.271, 0.098, 0.087], atol=5e-4)
    assert ranks[:, 0].tolist() == [1, 1, 2, 3]


def test_adam_starts_to_climb():
    losses, ranks = pairs(start("xavier"), ADAM, (500,))
    np.testing.assert_allclose(losses, [0.405, 0.116], atol=5e-4)
    assert ranks[:, 0].tolist() == [1, 3]
    assert ranks[0, 1] == 2
    losses, ranks = pairs(start("uniform"), ADAM, (500,))
    np.testing.assert_allclose(losses[1], 4.9e-2, atol=5e-4)
    assert ranks[0].tolist() == [3, 5]


STRUCTURED = {5.0: (4.3e-2, None), 15.0: (8.2e-3, (22, 40)), 40.0: (2.9e-4, (35, 50))}


@pytest.mark.parametrize("gamma", STRUCTURED)
def test_structured_first_layers_skip_the_stairs(gamma):
    # no weak dtypes: the program of the other starts
    strong = lambda leaf: jnp.asarray(np.asarray(leaf))
    network = jax.tree.map(strong, study.structured(gamma))
    losses, ranks = pairs(network, ADAM, (500,))
    last, first = STRUCTURED[gamma]
    np.testing.assert_allclose(losses[1], last, rtol=0.02)  # two digits are listed
    assert first is None or tuple(ranks[0]) == first


@pytest.mark.slow
def test_gradient_descent_climbs_no_further():
    losses, ranks = pairs(study.start("xavier"), None, (40_000,))
    np.testing.assert_allclose(losses[1], 0.073, atol=5e-4)
    assert ranks[1, 0] == 3


@pytest.mark.slow
def test_adam_from_uniform_weights_to_the_end():
    losses, ranks = pairs(study.start("uniform"), ADAM, (5000,))
    # Rounding, amplified over 5000 steps of Adam.
    np.testing.assert_allclose(losses[1], 5.7e-5, rtol=0.1)
    assert np.max(np.abs(ranks[1] - [27, 35])) <= 1


@pytest.mark.slow
def test_adam_from_xavier_weights_within_the_spread_of_its_roundings():
    """Starts that differ by 1e-13 spread over what the notes list of one of them."""
    start, listed = study.start("xavier"), (500, 1000, 3000, 5000, 10_000)

    def perturbed(key):
        leaves, tree = jax.tree.flatten(start)
        keys = jax.random.split(key, len(leaves))
        move = lambda leaf, k: leaf + 1e-13 * jax.random.normal(k, leaf.shape)
        return jax.tree.unflatten(tree, list(map(move, leaves, keys)))

    train = lambda network: px.descend(
        study.problem(),
        network,
        ADAM,
        num_steps=listed[-1],
        save=px.at([float(s) for s in listed]),
        record={"spectrum": study.RECORD["spectra"]},
    )
    starts = jax.vmap(perturbed)(jax.random.split(jax.random.key(1), 8))
    runs = jax.jit(jax.vmap(train))(starts)
    losses = np.log10(np.asarray(runs.losses))[:, 1:]
    first, last = runs.saved["spectrum"]
    ranks = np.asarray(px.diagnostics.epsilon_rank(last, study.EPSILONS))[:, 1:]
    noted = np.log10([1.2e-1, 6.0e-2, 1.2e-2, 2.8e-3, 7e-5])
    noted_ranks = np.array([[3, 6], [8, 11], [16, 20], [20, 28], [27, 34]])
    # Two digits of the losses are listed; before they part there is no spread.
    assert np.all(losses.min(0) <= noted + 0.02)
    assert np.all(losses.max(0) >= noted - 0.02)
    assert np.all(ranks.min(0) <= noted_ranks)
    assert np.all(ranks.max(0) >= noted_ranks)
    assert np.ptp(losses[:, 0]) < 1e-3
    assert np.ptp(losses[:, 1]) > 0.05
    # The later layer has the higher rank.
    of_first = px.diagnostics.epsilon_rank(first, study.EPSILONS)[:, -1]
    assert np.all(np.max(np.asarray(of_first), axis=0) <= [6, 9])
    assert np.all(ranks[:, -1] >= 3 * np.asarray(of_first))


def test_expected_numbers_are_those_of_the_notes():
    descent = EXPECTED["gradient descent, Xavier"]
    np.testing.assert_allclose(descent["losses"][-1], 0.073, atol=5e-4)
    assert [r[0] for r in descent["ranks"]] == [1, 1, 2, 3, 3]
    assert EXPECTED["Adam, uniform"]["ranks"][-1] == [27, 35]


def test_weights_are_drawn_as_noted():
    keys = jax.random.split(jax.random.PRNGKey(0), 3)
    w = jax.random.normal(keys[1], (1, 50)) * jnp.sqrt(2 / 51)
    np.testing.assert_allclose(study.start("xavier").weights[0], w.T, rtol=1e-15)
