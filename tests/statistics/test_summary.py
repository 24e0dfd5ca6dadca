import numpy as np
import pytest

from plateaux.statistics import (
    kaplan_meier,
    plateau_summary,
    probability_below,
    quantile_band,
    wilson,
)

INF = np.inf


def group(**changes):
    """Five lanes, three table rows; the last lane diverged."""
    arrays = {
        "dwell": np.array(
            [[1.0, 5.0, 0.0], [2.0, 0.0, 0.0], [0.0] * 3, [3.0, 2.0, 4.0], [9.0, 9, 9]]
        ),
        "censored": np.array(
            [[False, True, True], [False] * 3, [True] * 3, [False, False, True]]
            + [[False] * 3]
        ),
        "count": np.array([2, 1, 0, 3, 3]),
        "losses": np.array(
            [[1.0, 0.5], [1.0, 0.2], [1.0, 0.9], [1.0, 0.1], [1.0, INF]]
        ),
        "outcomes": np.array(["completed"] * 4 + ["diverged"]),
        "overflow": np.array([False, False, False, True, True]),
        "dead": np.array([False, False, True, False, False]),
    }
    return arrays | changes


def test_numbers_of_a_small_group():
    summary = plateau_summary(**group())
    assert summary.lanes == 5
    assert summary.outcomes == {"completed": 4, "diverged": 1}
    assert summary.pooled_lanes == 4
    assert summary.num_plateaus_mean == 1.5
    assert summary.num_plateaus.estimate.tolist() == [0.0, 1.0, 2.0]
    assert summary.overflowed == 1
    assert (summary.pooled_plateaus, summary.censored_plateaus) == (6, 2)
    assert summary.dead == wilson(1, 5)
    assert summary.final_loss.estimate.tolist() == [0.2, 0.5, 0.9]


def test_dwells_pool_the_used_rows_of_the_pooled_lanes():
    expected = kaplan_meier(
        [1.0, 5.0, 2.0, 3.0, 2.0, 4.0], [False, True, False, False, False, True]
    )
    dwell = plateau_summary(**group()).dwell
    for ours, theirs in zip(dwell, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_other_outcomes_enter_only_when_named():
    both = plateau_summary(**group(), pool=("completed", "diverged"))
    assert both.pooled_lanes == 5
    assert both.dwell.end == 9.0
    assert both.num_plateaus_mean == 9 / 5


def test_confidence_reaches_every_interval():
    wide = plateau_summary(**group(), confidence=0.99)
    assert wide.dwell.confidence == 0.99
    assert wide.dead == wilson(1, 5, confidence=0.99)
    np.testing.assert_array_equal(
        wide.final_loss.high,
        quantile_band([0.5, 0.2, 0.9, 0.1, INF], [0.25, 0.5, 0.75], confidence=0.99)[2],
    )


def test_a_group_without_pooled_lanes_says_none():
    summary = plateau_summary(**group(outcomes=np.array(["diverged"] * 5)))
    assert summary.pooled_lanes == 0
    assert summary.num_plateaus is None
    assert summary.num_plateaus_mean is None
    assert summary.dwell is None
    assert summary.median_dwell is None
    assert summary.final_loss.estimate.size == 3


def test_no_plateau_at_all():
    summary = plateau_summary(**group(count=np.zeros(5, int), dead=None))
    assert summary.num_plateaus_mean == 0.0
    assert summary.dwell is None
    assert summary.dead is None


def test_probability_below_counts_every_lane():
    losses = np.array([[1.0, 0.4, 0.6], [1.0, 0.7, 0.4], [1.0, INF, INF], [0.3] * 3])
    times = np.array([0.0, 1.0, 2.0])
    assert probability_below(losses, times, level=0.5, by=1.5) == wilson(2, 4)
    assert probability_below(losses, times, level=0.5, by=2.0) == wilson(3, 4)
    assert probability_below(losses, times, level=0.3, by=2.0) == wilson(0, 4)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (
            {"count": np.array([2, 1, 0, 3, 4])},
            ValueError,
            "size of the table, 3, .* 4",
        ),
        ({"count": np.array([2.0] * 5)}, TypeError, "`count` must hold integers"),
        ({"count": np.array([1, 2])}, ValueError, r"`count` must have shape \(5,\)"),
        ({"losses": np.ones((4, 2))}, ValueError, r"`outcomes` must have shape \(4,\)"),
        ({"losses": np.ones((0, 2))}, ValueError, r"`losses` must have shape \(B, t\)"),
        ({"losses": np.full((5, 2), np.nan)}, ValueError, "`losses` must not hold NaN"),
        ({"outcomes": np.zeros(5, int)}, TypeError, "one word a lane, .* int64"),
        ({"overflow": np.zeros(5, int)}, TypeError, "`overflow` must hold Booleans"),
        ({"dead": np.zeros(4, bool)}, ValueError, r"`dead` must have shape \(5,\)"),
        (
            {"censored": np.zeros((5, 2), bool)},
            ValueError,
            "`censored` must have shape",
        ),
    ],
)
def test_bad_groups_are_refused(change, error, match):
    with pytest.raises(error, match=match):
        plateau_summary(**group(**change))


def test_lanes_of_table_and_losses_must_agree():
    bad = group(losses=np.ones((4, 2)), outcomes=np.array(["completed"] * 4))
    with pytest.raises(ValueError, match="have 5 and 4 rows"):
        plateau_summary(**bad)


@pytest.mark.parametrize("by", [-1.0, 3.0])
def test_a_time_outside_of_the_run_is_refused(by):
    with pytest.raises(ValueError, match=r"within the saved times, 0.0 to 2.0"):
        probability_below(np.ones((2, 2)), np.array([0.0, 2.0]), level=0.5, by=by)
