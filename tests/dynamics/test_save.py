"""Schedules of saved steps."""

import numpy as np
import pytest

import plateaux as px


@pytest.mark.parametrize(
    ("num", "num_steps"), [(200, 20_000), (7, 1000), (2, 50), (5, 5)]
)
def test_log_spaced_gives_exactly_so_many_distinct_steps(num, num_steps):
    steps = px.log_spaced(num).steps(num_steps, None)
    assert len(steps) == num
    assert steps[0] == 0
    assert steps[-1] == num_steps
    assert np.all(np.diff(steps) > 0)


def test_log_spaced_saves_every_step_if_there_are_fewer_than_asked():
    assert np.array_equal(px.log_spaced(100).steps(10, None), np.arange(11))


def test_log_spaced_is_geometric_where_integers_allow():
    steps = px.log_spaced(50).steps(10**9, None)[10:]
    ratios = np.diff(np.log(steps))
    assert np.ptp(ratios) < 2 / steps[0]


def test_every_includes_both_ends():
    assert px.every(4).steps(8, None).tolist() == [0, 4, 8]
    assert px.every(5).steps(8, None).tolist() == [0, 5, 8]
    assert px.every(50).steps(8, None).tolist() == [0, 8]


def test_at_rounds_times_to_steps():
    assert px.at([0.26, 1.0]).steps(10, 0.25).tolist() == [0, 1, 4, 10]
    assert px.at([3, 4]).steps(10, None).tolist() == [0, 3, 4, 10]


@pytest.mark.parametrize("times", [[1.0, 1.0], [2.0, 1.0], [-1.0, 1.0], [], [np.nan]])
def test_times_must_increase(times):
    with pytest.raises(ValueError, match="Argument `times` must"):
        px.at(times)


def test_times_beyond_the_run_are_refused():
    with pytest.raises(ValueError, match="must end by the end of the run, step 10"):
        px.at([11.0]).steps(10, 1.0)


@pytest.mark.parametrize("make", [px.log_spaced, px.every])
def test_counts_must_be_positive_integers(make):
    with pytest.raises(ValueError, match="must be at least"):
        make(0)
    with pytest.raises(TypeError, match="must be an integer"):
        make(2.5)
