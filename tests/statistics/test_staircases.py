"""Numbers of a group of staircases against counting by hand."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.stages import Plateaus, Staircase

# Four lanes: treads (end − start, rank, censored), and whether steps are matched.
LANES = [
    [(1.0, 1, False, True), (2.0, 3, False, False), (7.0, 4, True, False)],
    [(3.0, 1, False, True), (7.0, 2, True, False)],
    [(10.0, 2, True, False)],
    [(4.0, 1, False, True), (6.0, 6, True, False)],
]
SPEARMAN = np.array([-0.9, -0.8, 0.0, -0.7])
LOSSES = np.array([[1.0, 0.1], [1.0, 0.2], [1.0, 0.9], [1.0, np.inf]])
OUTCOMES = ["completed"] * 3 + ["diverged"]


def lane(treads, spearman):
    """One staircase with a table of four rows."""
    pad = lambda place, empty: jnp.asarray(
        [tread[place] for tread in treads] + [empty] * (4 - len(treads))
    )
    count, rank = len(treads), pad(1, -1)
    height = [b[1] - a[1] for a, b in itertools.pairwise(treads)]
    table = Plateaus(
        *[pad(0, 0.0)] * 5,
        censored=pad(2, False),
        count=jnp.asarray(count),
        overflow=jnp.asarray(False),
        raw_count=jnp.asarray(count),
    )
    return Staircase(
        treads=table,
        rank=rank,
        height=jnp.asarray(height + [0] * (4 - len(height))),
        matched=pad(3, False),
        num_steps=jnp.asarray(count - 1),
        num_drops=jnp.asarray(1),
        spearman=jnp.asarray(spearman),
        saturation=jnp.asarray(1.0),
    )


def found():
    lanes = [lane(*of) for of in zip(LANES, SPEARMAN, strict=True)]
    return jax.tree.map(lambda *rows: jnp.asarray(np.stack(rows)), *lanes)


def test_numbers_are_those_of_the_pooled_lanes():
    summary = px.statistics.staircase_summary(found(), LOSSES, outcomes=OUTCOMES)
    assert summary.treads.pooled_lanes == 3
    assert summary.treads.pooled_plateaus == 6
    assert summary.treads.censored_plateaus == 3
    np.testing.assert_array_equal(summary.num_steps.estimate, [0, 1, 2])
    # Heights 2, 1 and 1; two of three steps are matched.
    np.testing.assert_array_equal(summary.height.estimate, [1, 1, 2])
    wilson = px.statistics.wilson(2, 3)
    assert summary.matched.estimate == wilson.estimate
    assert summary.matched.low == wilson.low
    np.testing.assert_array_equal(summary.spearman.estimate, [-0.9, -0.8, 0.0])
    np.testing.assert_array_equal(summary.last_rank.estimate, [2, 2, 4])
    # Waiting times 1, 2, 3 seen, 7, 7, 10 censored: half are over at 3.
    assert summary.treads.median_dwell.estimate == 3.0


def test_outcomes_are_pooled_as_asked():
    both = ("completed", "diverged")
    summary = px.statistics.staircase_summary(
        found(), LOSSES, outcomes=OUTCOMES, pool=both
    )
    assert summary.treads.pooled_lanes == 4
    np.testing.assert_array_equal(summary.last_rank.estimate, [2, 2, 4])
    np.testing.assert_array_equal(summary.height.estimate, [1, 1, 2])
    none = px.statistics.staircase_summary(
        found(), LOSSES, outcomes=OUTCOMES, pool=("stalled",)
    )
    assert none.matched is None
    assert none.last_rank is None


def test_lanes_without_a_step_have_no_heights():
    single = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[2:3]), found())
    summary = px.statistics.staircase_summary(
        single, LOSSES[2:3], outcomes=OUTCOMES[2:3]
    )
    assert summary.height is None
    assert summary.matched is None
    np.testing.assert_array_equal(summary.last_rank.estimate, [2, 2, 2])


def test_what_is_not_a_batch_of_staircases_is_refused():
    with pytest.raises(TypeError, match="but is a list"):
        px.statistics.staircase_summary([], LOSSES, outcomes=OUTCOMES)
    alone = lane(LANES[0], SPEARMAN[0])
    with pytest.raises(TypeError, match="staircases with 0 leading axes"):
        px.statistics.staircase_summary(alone, LOSSES, outcomes=OUTCOMES)
