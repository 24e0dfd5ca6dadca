"""Staircases, spectra, bounds and ridges show what they are given."""

from types import SimpleNamespace

import numpy as np
import pytest

from plateaux import plot
from plateaux.plot._axes import power

from ..statistics.test_staircases import lane

TIMES = np.array([0.0, 0.3, 2.0, 30.0, 400.0])
LOSSES = np.array([4.0, 3.9, 1.0, 0.9, 0.1])
RANKS = np.array([[1, 2], [1, 3], [-1, 3], [4, 5], [5, 5]])
INF, NAN = np.inf, np.nan


def found(**changed):
    """A staircase of four treads, one running, and two unused rows."""
    treads = {
        "end": np.array([0.3, 2.0, 30.0, 400.0, INF, INF]),
        "censored": np.array([False, False, False, True, False, False]),
        "count": np.array(4),
    }
    return SimpleNamespace(
        treads=SimpleNamespace(**(treads | changed)),
        rank=np.array([1, 2, 4, 5, -1, -1]),
        matched=np.array([True, False, True, False, False, False]),
    )


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_loss_and_rank_are_drawn_on_axes_of_their_own(ax):
    plot.rank_staircase(TIMES, LOSSES, RANKS[:, 1], ax=ax)
    twin = ax.figure.axes[-1]
    (loss,), (rank,) = ax.lines, twin.lines
    np.testing.assert_array_equal(loss.get_xydata(), np.column_stack([TIMES, LOSSES]))
    np.testing.assert_array_equal(rank.get_ydata(), RANKS[:, 1])
    np.testing.assert_array_equal(rank.get_xdata(), TIMES)
    assert rank.get_drawstyle() == "steps-post"
    assert (ax.get_yscale(), twin.get_yscale()) == ("log", "linear")
    assert (ax.get_xscale(), twin.get_xscale()) == ("symlog", "symlog")
    np.testing.assert_allclose(twin.get_xlim(), (0.0, 400.0))
    np.testing.assert_allclose(ax.get_xlim(), (0.0, 400.0))
    assert (ax.get_ylabel(), twin.get_ylabel()) == ("loss", "ε-rank")
    assert twin.yaxis.label.get_color() == rank.get_color() != loss.get_color()
    assert legend(ax) == ["loss", "ε-rank"]


def test_ranks_of_several_thresholds_are_told_apart_and_unknown_ones_are_gaps(ax):
    plot.rank_staircase(TIMES, LOSSES, RANKS, labels=["coarse", "fine"], ax=ax)
    coarse, fine = ax.figure.axes[-1].lines
    np.testing.assert_array_equal(coarse.get_ydata(), [1, 1, NAN, 4, 5])
    np.testing.assert_array_equal(fine.get_ydata(), RANKS[:, 1])
    assert coarse.get_color() != fine.get_color()
    assert legend(ax) == ["loss", "coarse", "fine"]


def test_names_of_several_ranks_are_numbered_where_none_are_given(ax):
    plot.rank_staircase(TIMES, LOSSES, RANKS, ax=ax)
    assert legend(ax) == ["loss", "ε-rank 1", "ε-rank 2"]


def test_steps_are_disks_full_where_the_loss_drops(ax):
    plot.rank_staircase(TIMES, LOSSES, RANKS[:, 1], treads=found(), ax=ax)
    full, empty = ax.figure.axes[-1].lines[1:]
    np.testing.assert_array_equal(full.get_xydata(), [[0.3, 1], [30.0, 4]])
    np.testing.assert_array_equal(empty.get_xydata(), [[2.0, 2]])
    assert full.get_markerfacecolor() == "black"
    assert empty.get_markerfacecolor() == "white"
    assert legend(ax)[2:] == ["step, loss drops", "step, no drop"]


def test_what_the_library_finds_can_be_drawn(ax):
    ranks = np.array([1, 1, 1, 5, 5])
    steps = lane([(2.0, 1, False, True), (400.0, 5, True, False)], -0.5)
    plot.rank_staircase(TIMES, LOSSES, ranks, treads=steps, ax=ax)
    (step,) = ax.figure.axes[-1].lines[1:]
    np.testing.assert_allclose(step.get_xydata(), [[2.0, 1]])


def test_a_loss_that_diverged_is_cut(ax):
    plot.rank_staircase(TIMES, [*LOSSES[:3], INF, NAN], RANKS, ax=ax)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), LOSSES[:3])
    np.testing.assert_allclose(ax.get_xlim(), (0.0, 400.0))


def test_ranks_have_whole_numbers_for_ticks(ax):
    plot.rank_staircase(TIMES, LOSSES, [1, 1, 1, 1, 2], ax=ax)
    twin = ax.figure.axes[-1]
    low, high = twin.get_ylim()
    ticks = [tick for tick in twin.get_yticks() if low <= tick <= high]
    assert ticks == [1, 2]


EIGENVALUES = np.array(
    [[2.0, 0.0, 0.0], [2.0, 1e-301, 0.0], [2.5, 1e-9, 0.0], [3.0, 1e-3, -1e-20]]
)


def test_every_eigenvalue_is_a_line_coloured_by_its_index(ax):
    plot.spectrum_waterfall(TIMES[:4], EIGENVALUES, epsilon=[1e-3, 2e-5], ax=ax)
    *lines, coarse, fine = ax.lines
    expected = [[2.0, 2.0, 2.5, 3.0], [NAN, NAN, 1e-9, 1e-3], [NAN] * 4]
    for line, values in zip(lines, expected, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), TIMES[:4])
        np.testing.assert_array_equal(line.get_ydata(), values)
    bright = [sum(line.get_color()[:3]) for line in lines]
    assert bright == sorted(set(bright))
    levels = [line.get_ydata()[0] for line in (coarse, fine)]
    assert levels == [1e-3, 2e-5]
    assert {line.get_linestyle() for line in (coarse, fine)} == {"--", "-."}
    assert legend(ax) == ["ε = 10⁻³", "ε = 2·10⁻⁵"]
    assert ax.get_yscale() == "log"
    assert ax.get_ylabel() == "eigenvalue λ"
    bar = ax.figure.axes[1]
    assert bar.get_ylabel() == "index i"
    assert bar.get_ylim() == (1, 3)


def test_a_spectrum_can_be_a_line_over_the_index(ax):
    values = EIGENVALUES[2:]
    args = {"epsilon": 0.1, "by_index": True, "time_unit": "steps"}
    plot.spectrum_waterfall([3.0, 9.0], values, **args, ax=ax)
    early, late, level = ax.lines
    np.testing.assert_array_equal(early.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(early.get_ydata(), [2.5, 1e-9, NAN])
    np.testing.assert_array_equal(late.get_ydata(), [3.0, 1e-3, NAN])
    assert early.get_color() != late.get_color()
    np.testing.assert_array_equal(level.get_ydata(), [0.1, 0.1])
    assert ax.get_xlabel() == "index i"
    assert ax.get_xscale() == "linear"
    assert ax.figure.axes[1].get_ylabel() == "steps"


@pytest.mark.parametrize("values", [np.ones((4, 1)), np.zeros((4, 2))])
def test_one_eigenvalue_or_zeros_are_drawn(values, ax):
    plot.spectrum_waterfall(TIMES[:4], values, ax=ax)
    assert ax.get_legend() is None
    assert ax.get_yscale() == ("log" if values.any() else "linear")


ERROR = np.array([1.0, 0.9, 0.5, 0.2, 0.1])
BOUNDS = np.array([[0.9, -0.1], [0.0, -0.2], [0.3, 0.4], [-0.1, NAN], [0.05, 0.01]])


def test_bounds_are_drawn_below_the_error_with_gaps_where_they_say_nothing(ax):
    plot.error_bounds(TIMES, ERROR, BOUNDS, epsilon=[1e-6, 0.05], ax=ax)
    error, first, second = ax.lines
    np.testing.assert_array_equal(error.get_xydata(), np.column_stack([TIMES, ERROR]))
    np.testing.assert_array_equal(first.get_ydata(), [0.9, NAN, 0.3, NAN, 0.05])
    np.testing.assert_array_equal(second.get_ydata(), [NAN, NAN, 0.4, NAN, 0.01])
    assert first.get_color() != second.get_color()
    names = ["error", "bound, ε = 10⁻⁶", "bound, ε = 0.05", "gap to the best bound"]
    assert legend(ax) == names
    assert ax.get_yscale() == "log"
    assert ax.get_ylabel() == "error ‖f − u‖"


def test_the_area_is_between_the_error_and_the_best_bound(ax):
    plot.error_bounds([1.0, 2.0], [1.0, 0.8], [[0.5, 0.7], [0.2, -1.0]], ax=ax)
    (area,) = ax.collections
    corners = {tuple(corner) for corner in area.get_paths()[0].vertices}
    assert corners == {(1.0, 0.7), (1.0, 1.0), (2.0, 0.2), (2.0, 0.8)}
    assert legend(ax)[1:3] == ["bound 1", "bound 2"]


def test_bounds_that_never_say_anything_leave_the_error(ax):
    plot.error_bounds(TIMES, ERROR, -ERROR, ax=ax)
    assert np.isnan(ax.lines[1].get_ydata()).all()
    assert ax.collections[0].get_paths() == []
    assert legend(ax)[1] == "bound"


def test_a_ridge_is_the_histogram_of_its_row(ax):
    rows = [np.array([2, 2, 2, 4]), np.array([7, 6, 7, -1, 6, 9]), np.array([-1])]
    plot.rank_ridges(rows, ["start", "end", "never"], ax=ax)
    first, _, second, _ = ax.patches
    heights, edges, base = first.get_data()
    np.testing.assert_array_equal(edges, [1.5, 2.5, 3.5, 4.5])
    shares = (heights - base) / (heights - base).max()
    np.testing.assert_allclose(shares, [1, 0, 1 / 3], atol=1e-12)
    assert base == 2
    heights, edges, base = second.get_data()
    np.testing.assert_array_equal(edges, [5.5, 6.5, 7.5, 8.5, 9.5])
    shares = (heights - base) / (heights - base).max()
    np.testing.assert_allclose(shares, [1, 1, 0, 0.5], atol=1e-12)
    assert base == 1
    assert heights.max() < 2
    assert first.get_data().values.max() - 2 == heights.max() - 1
    medians = [line.get_xdata()[0] for line in ax.lines]
    assert medians == [2, 7]
    named = [label.get_text() for label in ax.get_yticklabels()]
    assert dict(zip(ax.get_yticks(), named, strict=True)) == {
        **{2: "start", 1: "end", 0: "never"}
    }
    assert ax.get_xlabel() == "ε-rank"
    assert legend(ax) == ["median"]


def test_names_of_powers_of_ten():
    numbers = [1e-6, 3.2e-5, 0.05, 1.0, 250.0, 1e-10, 2e4, 9.9999e-4]
    told = ["10⁻⁶", "3.2·10⁻⁵", "0.05", "1", "250", "10⁻¹⁰", "2·10⁴", "10⁻³"]
    assert [power(number) for number in numbers] == told


@pytest.mark.parametrize(
    ("draw", "match"),
    [
        (
            lambda: plot.rank_staircase(TIMES, LOSSES, RANKS[1:]),
            r"`ranks` must have one entry a time, 5, .* \(4, 2\)",
        ),
        (
            lambda: plot.rank_staircase(TIMES, LOSSES, RANKS[:, :, None]),
            r"`ranks` must have shape \(t,\), or \(t, e\) .* \(5, 2, 1\)",
        ),
        (
            lambda: plot.rank_staircase(TIMES, RANKS, RANKS),
            r"`losses` must be that of one run, .* \(5, 2\)",
        ),
        (
            lambda: plot.rank_staircase(TIMES, LOSSES, RANKS, labels=["one"]),
            r"`labels` must have one entry a line, 2, but is \['one'\]",
        ),
        (
            lambda: plot.rank_staircase(TIMES, LOSSES, RANKS, labels="ab"),
            "`labels` must have one entry a line, 2, but is 'ab'",
        ),
        (
            lambda: plot.rank_staircase(
                TIMES, LOSSES, RANKS, treads=found(count=np.array([4, 4, 2]))
            ),
            r"`treads` must be the staircase of one run, but is that of \(3,\) runs",
        ),
        (
            lambda: plot.spectrum_waterfall(TIMES, LOSSES),
            r"`eigenvalues` must have shape \(t, n\), .* \(5,\)",
        ),
        (
            lambda: plot.spectrum_waterfall(TIMES, np.ones((5, 0))),
            r"`eigenvalues` must have shape \(t, n\), .* \(5, 0\)",
        ),
        (
            lambda: plot.spectrum_waterfall(TIMES, np.ones((5, 2)), epsilon=[1, 0]),
            r"`epsilon` must hold thresholds above 0, .* \[1, 0\]",
        ),
        (
            lambda: plot.error_bounds(TIMES, BOUNDS, BOUNDS),
            r"`error` must be that of one run, .* \(5, 2\)",
        ),
        (
            lambda: plot.error_bounds(TIMES, ERROR, BOUNDS, epsilon=1e-3),
            "`epsilon` must have one entry a line, 2, but",
        ),
        (
            lambda: plot.rank_ridges([[1, 2]], ["one", "two"]),
            "`labels` must name every row .* has 2 names for 1 rows",
        ),
        (lambda: plot.rank_ridges([], []), "0 names for 0 rows"),
        (
            lambda: plot.rank_ridges([[1.5, 2.0]], ["one"]),
            r"one array of integers a row, .* shape \(2,\) and dtype float64",
        ),
        (
            lambda: plot.rank_ridges([[[1, 2]]], ["one"]),
            r"one array of integers a row, .* shape \(1, 2\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(draw, match, undrawn):
    with pytest.raises(ValueError, match=match):
        draw()
