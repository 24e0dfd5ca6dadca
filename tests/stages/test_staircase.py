"""Treads, steps and drops of hand-made staircases; Spearman against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import plateaux as px

from ..closeness import lane
from .test_multistage import made_up

TIMES = np.concatenate([[0.0], np.geomspace(1.0, 1000.0, 61)])  # factor 1.122


def run_of(losses):
    """A trajectory with given losses."""
    return made_up(TIMES, losses)


def ranks_of(*pieces):
    """Ranks by (until, rank) in order."""
    ranks = np.full(TIMES.size, pieces[-1][1])
    for until, value in reversed(pieces[:-1]):
        ranks[TIMES < until] = value
    return ranks


FLAT = np.ones(TIMES.size)


def staircase(*arguments, **options):
    """In NumPy, whose operations compile nothing."""
    found = px.stages.staircase(*arguments, **options)
    return jax.tree.map(np.asarray, found)


def test_treads_are_long_and_steps_lead_between_them():
    # Rank 1, an excursion to 2, 1 again, up by way of 2 (short) to 4, to the end.
    ranks = ranks_of((10.0, 1), (13.0, 2), (50.0, 1), (60.0, 2), (2000.0, 4))
    found = staircase(run_of(FLAT), ranks)
    saved = lambda time: TIMES[np.searchsorted(TIMES, time) - 1]  # last before
    assert found.treads.count == 2
    assert found.rank[:3].tolist() == [1, 4, -1]
    assert found.height[:2].tolist() == [3, 0]
    np.testing.assert_allclose(found.treads.start[0], 0.0)
    np.testing.assert_allclose(found.treads.end[0], saved(50.0))
    np.testing.assert_allclose(found.treads.start[1], TIMES[TIMES >= 60.0][0])
    assert found.treads.censored[:2].tolist() == [False, True]
    assert found.num_steps == 1
    assert found.treads.raw_count == 5
    assert float(found.saturation) == TIMES[TIMES >= 60.0][0]
    # By a factor of 1.05 the excursions are treads as well.
    fine = staircase(run_of(FLAT), ranks, min_ratio=1.05)
    assert fine.rank[:6].tolist() == [1, 2, 1, 2, 4, -1]
    assert fine.height[:5].tolist() == [1, -1, 1, 2, 0]
    assert fine.num_steps == 4


def test_a_last_rank_that_has_not_lasted_is_where_the_last_step_leads():
    ranks = ranks_of((100.0, 3), (950.0, 5), (2000.0, 6))
    found = staircase(run_of(FLAT), ranks)
    assert found.rank[:3].tolist() == [3, 5, -1]
    assert found.height[:2].tolist() == [2, 1]
    assert not found.treads.censored[1]


def test_one_rank_throughout_is_one_censored_tread():
    found = staircase(run_of(FLAT), np.full(TIMES.size, 7))
    assert found.treads.count == 1
    assert bool(found.treads.censored[0])
    assert found.num_steps == 0
    assert float(found.spearman) == 0
    assert float(found.treads.dwell[0]) == 1000.0


def test_steps_are_matched_with_drops_of_the_loss():
    ranks = ranks_of((10.0, 1), (100.0, 2), (2000.0, 3))
    # One drop, by the first step only.
    losses = np.where(TIMES < 10.0, 1.0, 0.2)
    found = staircase(run_of(losses), ranks)
    assert found.matched[:3].tolist() == [True, False, False]
    assert found.num_drops == 1
    # Two drops: one of them in the middle of a tread.
    losses = losses * np.where(TIMES < 30.0, 1.0, 0.2)
    found = staircase(run_of(losses), ranks)
    assert found.matched[:3].tolist() == [True, False, False]
    assert found.num_drops == 2
    # A slow fall is no drop: slope −0.4.
    slow = np.maximum(TIMES, 1.0) ** -0.4
    assert px.stages.staircase(run_of(slow), ranks).num_drops == 0
    assert px.stages.staircase(run_of(slow), ranks, threshold=0.3).num_drops == 1


def test_spearman_is_that_of_scipy_up_to_saturation():
    rng = np.random.default_rng(0)
    ranks = np.sort(rng.integers(0, 6, TIMES.size))
    losses = np.exp(rng.normal(size=TIMES.size) - ranks / 2)
    found = staircase(run_of(losses), ranks)
    top = int(np.argmax(ranks))
    part = slice(1, top + 1)
    exact = scipy.stats.spearmanr(np.log(losses[part]), ranks[part]).statistic
    np.testing.assert_allclose(found.spearman, exact, rtol=1e-12)
    assert found.saturation == TIMES[top]


def test_a_run_that_ended_early_is_looked_at_up_to_there():
    ranks = ranks_of((10.0, 1), (100.0, 2), (2000.0, 9))
    losses = np.where(TIMES < 50.0, 1.0, np.inf)
    found = staircase(run_of(losses), ranks)
    assert found.rank[:3].tolist() == [1, 2, -1]
    assert found.treads.censored[:2].tolist() == [False, True]
    assert float(found.treads.end[1]) == TIMES[TIMES < 50.0][-1]


def test_more_treads_than_rows_are_said():
    ranks = ranks_of((10.0, 1), (100.0, 2), (2000.0, 3))
    found = staircase(run_of(FLAT), ranks, max_treads=2)
    assert bool(found.treads.overflow)
    assert found.rank.tolist() == [1, 2]


def test_batches_are_loops():
    rng = np.random.default_rng(1)
    ranks = np.cumsum(rng.random((3, TIMES.size)) < 0.1, axis=1)
    losses = np.exp(-np.cumsum(rng.random((3, TIMES.size)), axis=1))
    runs = [run_of(row) for row in losses]
    together = jax.tree.map(lambda *rows: jnp.asarray(np.stack(rows)), *runs)
    found = jax.vmap(px.stages.staircase)(together, jnp.asarray(ranks))
    found = jax.tree.map(np.asarray, found)
    for i in range(3):
        alone = px.stages.staircase(runs[i], ranks[i])
        one = lane(found, i)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-13), one, alone
        )


@pytest.mark.parametrize(
    ("ranks", "options", "error", "message"),
    [
        (np.ones(TIMES.size), {}, TypeError, "must hold integers"),
        (np.ones(3, int), {}, ValueError, r"shape \(62,\) of the saved times"),
        (np.ones(62, int), {"max_treads": 0}, ValueError, "`max_treads` must be"),
        (np.ones(62, int), {"min_ratio": 0.5}, ValueError, "`min_ratio` must be"),
        (np.ones(62, int), {"threshold": 0.0}, ValueError, "`threshold` must be"),
    ],
)
def test_bad_requests_are_refused(ranks, options, error, message):
    with pytest.raises(error, match=message):
        px.stages.staircase(run_of(FLAT), ranks, **options)
