"""Many trainings in a queue: the same numbers as one at a time, whoever is beside."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px

from ..closeness import lane

SIZES = dict(
    num_steps=30, patience=4, tol=1e-3, save=px.log_spaced(8), method="gauss_newton"
)


@pytest.fixture(scope="module")
def problem():
    return px.problems.sine(num_data=25)


@pytest.fixture(scope="module")
def starts():
    draw = lambda key: px.networks.unit_kinks(key, width=4, in_dim=1, affine=True)
    return jax.vmap(draw)(jax.random.split(jax.random.key(1), 7))


@pytest.fixture(scope="module")
def keys():
    return jax.random.split(jax.random.key(2), 7)


@pytest.fixture(scope="module")
def seven(problem, starts, keys):
    return px.anls_many(problem, starts, keys=keys, lanes=3, **SIZES)


def test_a_queue_of_lanes_is_a_loop_over_networks(problem, starts, keys, seven):
    ends = np.asarray(seven.stats.num_steps)
    assert len(set(ends.tolist())) > 2  # they end after different numbers of steps
    for i in range(7):
        one = jax.tree.map(lambda a, i=i: a[i], starts)
        alone = px.anls(problem, one, key=keys[i], **SIZES)
        assert int(alone.stats.num_steps) == ends[i]
        # another batch shape rounds otherwise, and steps of nearly singular patterns
        # magnify it (4e-6 seen); other lanes are off by tenths
        np.testing.assert_allclose(seven.losses[i], alone.losses, rtol=1e-4)
        np.testing.assert_array_equal(seven.moves[i], alone.moves)
        assert bool(lane(seven, i).outcome == alone.outcome)


def test_lanes_do_not_notice_their_neighbours(problem, starts, keys, seven):
    order = jnp.array([6, 5, 4, 3, 2, 1, 0])
    turned = jax.tree.map(lambda a: a[order], starts)
    runs = px.anls_many(problem, turned, keys=keys[order], lanes=3, **SIZES)
    np.testing.assert_array_equal(runs.losses[order], seven.losses)
    np.testing.assert_array_equal(runs.network.w[order], seven.network.w)


def test_every_network_has_its_own_key(problem, starts, keys):
    """The joint method draws candidates: another key, another run."""
    sizes = SIZES | {"method": "joint", "num_steps": 6}
    runs = px.anls_many(problem, starts, keys=keys, lanes=7, **sizes)
    same = px.anls_many(problem, starts, keys=keys, lanes=7, **sizes)
    other = px.anls_many(problem, starts, lanes=7, **sizes)
    np.testing.assert_array_equal(runs.losses, same.losses)
    assert not np.array_equal(runs.losses, other.losses)


def test_progress_counts_finished_networks(problem, starts):
    seen = []
    call = lambda done, total: seen.append((done, total))
    px.anls_many(problem, starts, lanes=3, progress=call, **SIZES)
    assert seen[-1] == (7, 7)


def test_bad_input_is_refused(problem, starts, keys):
    with pytest.raises(ValueError, match=r"`keys` must have one key for each of the 7"):
        px.anls_many(problem, starts, keys=keys[:3], **SIZES)
    with pytest.raises(TypeError, match=r"`keys` must be keys made by jax.random.key"):
        px.anls_many(problem, starts, keys=jnp.zeros((7, 2)), **SIZES)
    one = lane(starts, 0)
    with pytest.raises(ValueError, match="`networks` must have one leading axis"):
        px.anls_many(problem, one, **SIZES)
    with pytest.raises(ValueError, match="`lanes` must be at least 1"):
        px.anls_many(problem, starts, lanes=0, **SIZES)
