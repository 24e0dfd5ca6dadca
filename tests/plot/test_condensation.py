"""Stages, condensation maps, amplitudes and portraits show what they are given."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from plateaux import plot

from ..variants import most_slow

TIMES = np.array([0.0, 0.3, 2.0, 30.0, 400.0])
LOSSES = np.array([4.0, 3.9, 1.0, 0.9, 0.1])


def stages(**changed):
    found = {"t10": 0.4, "t90": 1.5, "entry": 2.5, "exit": 50.0}
    return SimpleNamespace(**(found | {"linear_loss": 0.95} | changed))


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def spans(ax):
    boxes = [patch.get_extents() for patch in ax.patches]
    boxes = [box.transformed(ax.transData.inverted()) for box in boxes]
    return np.array([[box.x0, box.x1] for box in boxes])


def test_stages_are_shaded_where_they_are(ax):
    plot.loss_stages(TIMES, LOSSES, stages(), ax=ax)
    expected = [[0.0, 0.4], [0.4, 1.5], [2.5, 50.0]]
    np.testing.assert_allclose(spans(ax), expected, rtol=1e-9, atol=1e-9)
    names = ["initial plateau", "initial descent", "secondary plateau"]
    assert legend(ax) == [*names, "best affine predictor"]
    line, level = ax.lines
    np.testing.assert_array_equal(line.get_xydata(), np.column_stack([TIMES, LOSSES]))
    np.testing.assert_array_equal(level.get_ydata(), [0.95, 0.95])
    assert len({patch.get_facecolor()[:3] for patch in ax.patches}) == 3
    assert ax.get_xlim() == (0.0, 400.0)
    assert ax.get_yscale() == "log"


@pytest.mark.parametrize("never", [np.inf, np.nan])
def test_a_stage_that_did_not_end_is_hatched_to_the_end(never, ax):
    plot.loss_stages(TIMES, LOSSES, stages(exit=never), ax=ax)
    np.testing.assert_allclose(spans(ax)[-1], [2.5, 400.0], rtol=1e-9)
    assert [patch.get_hatch() for patch in ax.patches] == [None, None, "///"]
    assert legend(ax)[2] == "secondary plateau, still running"


def test_stages_that_did_not_begin_are_not_drawn(ax):
    late = dict.fromkeys(("t10", "t90", "entry", "exit"), np.inf)
    plot.loss_stages(TIMES, LOSSES, stages(**late, linear_loss=np.nan), ax=ax)
    np.testing.assert_allclose(spans(ax), [[0.0, 400.0]], atol=1e-9)
    assert legend(ax) == ["initial plateau, still running"]
    assert len(ax.lines) == 1


def test_a_loss_that_diverged_is_cut(ax):
    plot.loss_stages(TIMES, [*LOSSES[:3], np.inf, np.nan], stages(), ax=ax)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), LOSSES[:3])


SIMILARITY = np.array([[1.0, 0.2, -0.9], [0.2, 1.0, -0.4], [-0.9, -0.4, 1.0]])


def test_rows_and_columns_are_in_order(ax):
    order = [2, 0, 1]
    plot.condensation_map(SIMILARITY, order, ax=ax)
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array(), SIMILARITY[order][:, order])
    assert image.get_clim() == (-1, 1)
    red, _, blue, _ = image.to_rgba(1.0)
    assert red > blue
    red, _, blue, _ = image.to_rgba(-1.0)
    assert blue > red
    assert ax.get_xlabel() == ax.get_ylabel() == "neuron, in order of direction"
    assert ax.figure.axes[1].get_ylabel() == "cosine of input weights"


def test_a_map_in_the_neurons_own_order(ax):
    plot.condensation_map(SIMILARITY, ax=ax)
    np.testing.assert_array_equal(ax.images[0].get_array(), SIMILARITY)
    assert ax.get_xlabel() == "neuron"


AMPLITUDES = np.array(
    [[0.1, 0.2, 0.1, 0.1], [0.1, 0.1, 0.2, 1.0], [0.1, 0.1, 0.1, 10.0]]
)


def test_a_column_is_the_histogram_of_its_time(ax):
    plot.amplitude_map([0.0, 1.0, 5.0], AMPLITUDES, bins=4, ax=ax)
    (mesh,) = ax.collections
    corners = mesh.get_coordinates()
    edges = np.geomspace(0.1, 10, 5)
    np.testing.assert_allclose(corners[:, 0, 1], edges, rtol=1e-5)
    np.testing.assert_array_equal(corners[0, :, 0], [0.0, 1.0, 5.0])
    shares = mesh.get_array().filled(0)
    # Below 0.316 both 0.1 and 0.2; 1.0 is the middle edge, or rounds to either side.
    np.testing.assert_array_equal(shares[0], [1.0, 0.75])
    np.testing.assert_array_equal(shares.sum(axis=0), [1.0, 1.0])
    assert mesh.get_array().mask.sum() == 5
    largest, median = ax.lines
    np.testing.assert_array_equal(largest.get_ydata(), [0.2, 1.0, 10.0])
    np.testing.assert_allclose(median.get_ydata(), [0.1, 0.15, 0.1])
    assert (mesh.norm.vmin, mesh.norm.vmax) == (0.25, 1.0)
    assert legend(ax) == ["largest", "median"]
    assert ax.get_ylim()[0] < 0.1
    assert ax.get_ylim()[1] > 10


def test_amplitudes_all_alike_or_zero_are_drawn(ax):
    plot.amplitude_map([0.0, 1.0], [[0.0, 2.0], [0.0, 2.0]], ax=ax)
    assert ax.collections[0].get_array().compressed().tolist() == [0.5]
    plot.amplitude_map([0.0, 1.0], [[3.0], [3.0]], ax=ax)


def test_every_neuron_is_a_dot_at_every_time_and_a_path(ax):
    rng = np.random.default_rng(0)
    outer, along = 0.01 * rng.normal(size=(2, 3, 4))
    outer[2] *= 100
    plot.phase_portrait(TIMES[:3], outer, along, ax=ax)
    diagonal, *paths = ax.lines[:5]
    assert diagonal.get_linestyle() == "--"
    np.testing.assert_array_equal(*diagonal.get_xydata().T)
    for i, path in enumerate(paths):
        expected = np.column_stack([outer[:, i], along[:, i]])
        np.testing.assert_array_equal(path.get_xydata(), expected)
    dots = ax.lines[5:]
    for t, dot in enumerate(dots):
        expected = np.column_stack([outer[t], along[t]])
        np.testing.assert_array_equal(dot.get_xydata(), expected)
    assert dots[1].get_color() != dots[2].get_color()
    assert (ax.get_xscale(), ax.get_yscale()) == ("symlog", "symlog")
    assert ax.get_xlim() == ax.get_ylim()
    assert ax.get_xlim()[1] > np.abs(outer).max()


@pytest.mark.parametrize(
    ("scale", "growth"),
    most_slow(
        itertools.product((1e-12, 0.004, 1.0), (3.0, 200.0, 1e9)),
        [(1e-12, 1e9), (0.004, 200.0), (1.0, 3.0)],
    ),
)
def test_ticks_of_a_portrait_are_read_apart(scale, growth, undrawn):
    ax = undrawn
    weights = scale * np.array([[1.0, -2.0, 0.5], [growth, -growth, 0.1]])
    plot.phase_portrait([0.0, 1.0], weights, weights, ax=ax)
    ax.figure.canvas.draw()
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    boxes = sorted(boxes, key=lambda box: box.x0)
    assert len(boxes) >= 3
    assert not any(a.overlaps(b) for a, b in zip(boxes, boxes[1:], strict=False))


def test_a_portrait_on_plain_axes(ax):
    plot.phase_portrait(TIMES, np.ones((5, 2)), np.ones((5, 2)), log=False, ax=ax)
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "linear")


def test_a_portrait_of_nothing(ax):
    plot.phase_portrait([0.0], np.zeros((1, 2)), np.full((1, 2), np.nan), ax=ax)
    assert ax.get_xscale() == "linear"


@pytest.mark.parametrize(
    ("draw", "match"),
    [
        (
            lambda: plot.loss_stages(TIMES, LOSSES, stages(entry=np.zeros(3))),
            r"`stages` must be those of one run, but `entry` has shape \(3,\)",
        ),
        (
            lambda: plot.loss_stages(TIMES, LOSSES[1:], stages()),
            "`losses` must have one",
        ),
        (
            lambda: plot.condensation_map(SIMILARITY[:2]),
            r"`similarity` must have shape \(n, n\), .* has shape \(2, 3\)",
        ),
        (
            lambda: plot.condensation_map(SIMILARITY, [0, 1, 1]),
            "`order` must hold every one of 3 neurons once, but is .0 1 1.",
        ),
        (
            lambda: plot.condensation_map(SIMILARITY, [0, 1]),
            "`order` must hold every one of 3 neurons once, but is .0 1.",
        ),
        (
            lambda: plot.amplitude_map(TIMES, np.ones((4, 2))),
            "`amplitudes` must have one entry a time, 5",
        ),
        (
            lambda: plot.amplitude_map(TIMES, np.zeros((5, 2))),
            r"one positive number, but has shape \(5, 2\) and 0 positive numbers",
        ),
        (
            lambda: plot.amplitude_map(TIMES[:1], np.ones((1, 2))),
            "at least two times and one positive number",
        ),
        (
            lambda: plot.amplitude_map(TIMES, np.ones((5, 2)), bins=0),
            "`bins` must be at least 1, but is 0",
        ),
        (
            lambda: plot.phase_portrait(TIMES, np.ones((5, 2)), np.ones((5, 3))),
            r"shape \(t, n\), .* have shapes \(5, 2\) and \(5, 3\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(draw, match, undrawn):
    with pytest.raises(ValueError, match=match):
        draw()
