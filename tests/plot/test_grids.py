"""Risk tables, heat maps and outcomes: every number at its place."""

import numpy as np
import pytest
from matplotlib.colors import LogNorm, to_hex

from plateaux import plot
from plateaux.statistics import kaplan_meier

SCALES, STEPS = ("scale", [0.1, 0.5, 2.0]), ("step size", [1, 3])
VALUES = np.array([[1.0, 2.0], [30.0, np.nan], [500.0, np.inf]])  # rows: scales


def words(ax):
    """Text at its place, in data units."""
    return {text.get_position(): text.get_text() for text in ax.texts}


def survival(ax):
    """Two curves with their risk table; the texts of the table after its heading."""
    durations = {"a": [1.0, 2.0, 20.0, 300.0], "b": [5.0, 5.0]}
    curves = {
        name: kaplan_meier(values, [False] * (len(values) - 1) + [True])
        for name, values in durations.items()
    }
    times = [0.0, 1.0, 10.0, 100.0]
    counts = {
        name: [sum(v >= t for v in values) for t in times]
        for name, values in durations.items()
    }
    assert counts == {"a": [4, 4, 2, 1], "b": [2, 2, 0, 0]}
    reordered = {"b": counts["b"], "a": counts["a"]}
    plot.survival_curves(curves, at_risk=(times, reordered), ax=ax)
    assert ax.texts[0].get_text() == "number at risk"
    return times, ax.texts[1:]


def test_numbers_at_risk_stand_below_their_ticks(ax):
    times, table = survival(ax)
    ax.figure.canvas.draw()
    assert [text.get_text() for text in table] == [*"4421", *"2200"]
    np.testing.assert_array_equal(ax.get_xticks(), times)
    ticks = [label.get_window_extent() for label in ax.get_xticklabels()]
    for texts in (table[:4], table[4:]):
        for text, tick in zip(texts, ticks, strict=True):
            box = text.get_window_extent()
            assert abs((box.x0 + box.x1) - (tick.x0 + tick.x1)) < 12
            assert box.y1 < tick.y0
    label = ax.xaxis.label.get_window_extent()
    assert not any(label.overlaps(text.get_window_extent()) for text in table)


def test_a_piece_of_line_says_whose_row_it_is(ax):
    _, table = survival(ax)
    ax.figure.canvas.draw()
    pieces = [line for line in ax.lines if not line.get_clip_on()][-2:]
    curves = [line for line in ax.lines if line.get_label() in ("a", "b")]
    for piece, curve, first in zip(pieces, curves, table[::4], strict=True):
        assert piece.get_color() == curve.get_color()
        box, number = piece.get_window_extent(), first.get_window_extent()
        assert box.x1 < number.x0
        assert number.y0 < box.y0 < number.y1


def test_ticks_that_are_no_powers_of_ten_are_labelled(ax):
    curve = kaplan_meier([1.0, 4.0], [False, False])
    plot.survival_curves({"a": curve}, at_risk=([0.0, 2.5], {"a": [2, 1]}), ax=ax)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "2.5"]


def test_cells_are_where_their_settings_are(ax):
    plot.heat_map(VALUES, SCALES, STEPS, ax=ax)
    assert words(ax) == {
        (0.5, 0.5): "1",
        (1.5, 0.5): "2",
        (0.5, 1.5): "30",
        (1.5, 1.5): "none",
        (0.5, 2.5): "500",
        (1.5, 2.5): "∞",
    }
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step size", "scale")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["0.1", "0.5", "2"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1", "3"]
    np.testing.assert_array_equal(ax.get_yticks(), [0.5, 1.5, 2.5])
    shown = ax.collections[0].get_array()
    expected = np.ma.masked_invalid([[1, 2], [30, np.nan], [500, 500]])
    np.testing.assert_array_equal(shown.filled(-1), expected.filled(-1))


def test_a_cell_without_a_value_is_hatched(ax):
    plot.heat_map(VALUES, SCALES, STEPS, missing="no lane", ax=ax)
    (hatched,) = [patch for patch in ax.patches if patch.get_hatch()]
    assert hatched.get_xy() == (1, 1)
    assert words(ax)[1.5, 1.5] == "no lane"


def test_colours_can_follow_the_logarithm(ax):
    plot.heat_map(VALUES, SCALES, STEPS, log=True, ax=ax)
    scale = ax.collections[0].norm
    assert isinstance(scale, LogNorm)
    assert (scale.vmin, scale.vmax) == (1.0, 500.0)


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        ([[0.0, 0.0]], (0, 1)),
        ([[7.0, 7.0]], (6, 8)),
        ([[np.nan, np.nan]], (0, 1)),
        ([[-1.0, 3.0]], (-1, 3)),
    ],
)
def test_a_colour_scale_without_a_range_or_logarithm(values, limits, ax):
    plot.heat_map(values, ("a", [1]), ("b", ["x", "y"]), log=values[0][0] == 0, ax=ax)
    scale = ax.collections[0].norm
    assert (scale.vmin, scale.vmax) == limits


def test_limits_can_be_given(ax):
    plot.heat_map([[0.2, 0.9]], ("a", [1]), ("b", [1, 2]), limits=(0, 1), ax=ax)
    scale = ax.collections[0].norm
    assert (scale.vmin, scale.vmax) == (0, 1)


def test_words_are_dark_on_bright_cells(ax):
    plot.heat_map([[0.0, 1.0]], ("a", [1]), ("b", [1, 2]), ax=ax)
    assert [text.get_color() for text in ax.texts] == ["white", "black"]


def test_bars_are_shares_and_words_are_counts(ax):
    counts = {
        "small": {"completed": 3, "diverged": 1},
        "large": {"stalled": 5, "completed": 5, "out_of_steps": 0},
        "none yet": {},
    }
    plot.outcomes(counts, ax=ax)
    assert [text.get_text() for text in ax.texts] == [
        "3 completed, 1 diverged",
        "5 completed, 5 stalled",
        "no run",
    ]
    bars = np.array([[bar.get_x(), bar.get_width()] for bar in ax.patches])
    bars = bars.reshape(-1, 3, 2)  # outcome, group
    np.testing.assert_allclose(bars[0, :, 1], [0.75, 0.5, 0.0])
    np.testing.assert_allclose(bars[1, :2], [[0.75, 0.25], [0.5, 0.0]])
    np.testing.assert_allclose(bars[2, :2], [[1.0, 0.0], [0.5, 0.5]])
    colors = {to_hex(group.patches[0].get_facecolor()) for group in ax.containers}
    assert len(colors) == 4
    assert [t.get_text() for t in ax.get_yticklabels()] == list(counts)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first on top


def test_losses_without_a_bound_are_losses(ax):
    plot.distribution({"a": [0.2, 0.1, np.inf, 0.4]}, ax=ax)
    line = ax.lines[0]
    np.testing.assert_allclose(line.get_xdata(), [0.1, 0.1, 0.2, 0.4, 0.48])
    np.testing.assert_allclose(line.get_ydata(), [0.0, 0.25, 0.5, 0.75, 0.75])
    assert ax.get_xlabel() == "final loss"
    assert len(ax.lines) == 1


def test_a_bound_out_of_view_is_not_named(ax):
    plot.distribution({"a": [500.0, 900.0]}, 1.0, ax=ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a"]


@pytest.mark.parametrize(
    "losses", [[0.09, 0.2], [0.02, 0.5], [1.0, 1.0], [1e-6, 1e3], [90.0, 2000.0]]
)
def test_ticks_of_losses_are_read_apart(losses, ax):
    plot.distribution({"a": losses}, ax=ax)
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    ticks = zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
    boxes = [t.get_window_extent() for x, t in ticks if low <= x <= high]
    boxes.sort(key=lambda box: box.x0)
    assert len(boxes) >= 2
    assert not any(a.overlaps(b) for a, b in zip(boxes, boxes[1:], strict=False))
