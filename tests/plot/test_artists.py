"""What each figure shows is what it was given."""

from types import SimpleNamespace

import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest

from plateaux import plot
from plateaux.stages import Plateaus
from plateaux.statistics import kaplan_meier, quantile_band

INF = np.inf
TIMES = np.array([0.0, 0.3, 2.0, 30.0, 400.0])
LOSSES = np.array([4.0, 3.9, 1.0, 0.9, 0.1])


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def spans(ax):
    boxes = [patch.get_extents() for patch in ax.patches]
    boxes = [box.transformed(ax.transData.inverted()) for box in boxes]
    return np.array([[box.x0, box.x1] for box in boxes])


def test_loss_line_is_the_data_on_log_axes(ax):
    plot.loss_curve(TIMES, LOSSES, ax=ax)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), TIMES)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), LOSSES)
    assert ax.get_yscale() == "log"
    np.testing.assert_allclose(ax.get_xlim(), (0.0, 400.0))


@pytest.mark.parametrize("first", [0.3, 0.1, 0.05, 0.011])
def test_time_zero_is_drawn_and_its_tick_is_free(first, ax):
    times = np.array([0.0, first, 2.0, 30.0, 1e4])
    plot.loss_curve(times, LOSSES, ax=ax)
    assert ax.get_xscale() == "symlog"
    ax.figure.canvas.draw()
    labels = [label for label in ax.get_xticklabels() if label.get_text()]
    boxes = [label.get_window_extent() for label in labels]
    assert 0.0 in ax.get_xticks()
    assert not any(a.overlaps(b) for a, b in zip(boxes, boxes[1:], strict=False))


def test_without_time_zero_the_axis_is_plainly_logarithmic(ax):
    plot.loss_curve(TIMES[1:], LOSSES[1:], ax=ax)
    assert ax.get_xscale() == "log"


def test_plateaus_are_shaded_where_they_are(ax):
    table = SimpleNamespace(
        start=np.array([0.0, 2.0, INF]),
        end=np.array([0.3, 400.0, INF]),
        censored=np.array([False, True, False]),
    )
    plot.loss_curve(TIMES, LOSSES, plateaus=table, ax=ax)
    np.testing.assert_allclose(spans(ax), [[0.0, 0.3], [2.0, 400.0]], atol=1e-9)
    assert [patch.get_hatch() for patch in ax.patches] == [None, "///"]
    assert ax.patches[0].get_alpha() != ax.patches[1].get_alpha()
    assert legend(ax) == ["plateau", "plateau, still running"]


def test_a_table_of_the_library_and_a_triple_are_the_same(ax):
    start, end = jnp.array([0.0, 2.0, INF]), jnp.array([0.3, 30.0, INF])
    zeros, whole = jnp.zeros(3), jnp.array(2)
    table = Plateaus(
        start=start,
        end=end,
        dwell=zeros,
        level=zeros,
        drop=zeros,
        censored=zeros > 0,
        count=whole,
        overflow=whole > 2,
        raw_count=whole,
    )
    plot.loss_curve(TIMES, LOSSES, plateaus=table, ax=ax)
    first = spans(ax)
    ax.clear()
    plot.loss_curve(TIMES, LOSSES, plateaus=(start, end, zeros > 0), ax=ax)
    assert len(first) == 2
    np.testing.assert_array_equal(spans(ax), first)


def test_a_plateau_from_time_zero_starts_with_a_log_axis(ax):
    columns = [0.0], [2.0], [False]
    plot.loss_curve(TIMES[1:], LOSSES[1:], plateaus=columns, ax=ax)
    np.testing.assert_allclose(spans(ax), [[0.3, 2.0]], rtol=1e-9)
    np.testing.assert_allclose(ax.get_xlim(), (0.3, 400.0))


@pytest.mark.parametrize("bad", [INF, np.nan])
def test_a_loss_that_diverged_is_cut_and_marked(bad, ax):
    losses = np.array([4.0, 3.0, 9.0, bad, bad])
    plot.loss_curve(TIMES, losses, ax=ax)
    line, mark = ax.lines
    np.testing.assert_array_equal(line.get_ydata(), [4.0, 3.0, 9.0])
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (2.0, 9.0)
    assert legend(ax) == ["diverged"]
    np.testing.assert_allclose(ax.get_xlim(), (0.0, 400.0))


def test_a_loss_that_was_never_finite_draws_nothing(ax):
    plot.loss_curve(TIMES, np.full(5, INF), ax=ax)
    assert ax.lines[0].get_xdata().size == 0


def test_a_loss_next_to_the_largest_number_is_drawn(ax):
    plot.loss_curve(TIMES, [1.0, 1e100, 1e307, INF, INF], ax=ax)
    ax.figure.canvas.draw()
    assert ax.get_ylim()[1] == ax.lines[1].get_ydata()[0] == 1e200


def test_a_loss_of_zero_has_no_logarithm(ax):
    plot.loss_curve(TIMES, np.zeros(5), ax=ax)
    assert ax.get_yscale() == "linear"


def test_legend_goes_to_the_emptier_corner(ax):
    columns = [0.0], [0.3], [False]
    late = np.array([4.0, 3.9, 3.8, 3.7, 0.1])
    plot.loss_curve(TIMES, late, plateaus=columns, ax=ax)
    assert ax.get_legend()._loc == 3  # lower left
    ax.clear()
    early = np.array([4.0, 0.2, 0.15, 0.1, 0.1])
    plot.loss_curve(TIMES, early, plateaus=columns, ax=ax)
    assert ax.get_legend()._loc == 1  # upper right


def test_bands_lie_between_mirrored_quantiles(ax):
    losses = np.random.default_rng(0).uniform(0.5, 2.0, (41, 5))
    probabilities = [0.9, 0.1, 0.5, 0.25, 0.75, 0.3]
    band = quantile_band(losses, probabilities)
    plot.ensemble_band(TIMES, band, probabilities, ax=ax)
    wide, narrow = (c.get_paths()[0].vertices for c in ax.collections)
    for polygon, low, high in ((wide, 1, 0), (narrow, 3, 4)):
        edges = np.concatenate([band.estimate[low], band.estimate[high]])
        assert set(polygon[:, 1]) == set(edges)
    lone, median, *interval = ax.lines
    np.testing.assert_array_equal(lone.get_ydata(), band.estimate[5])
    np.testing.assert_array_equal(median.get_ydata(), band.estimate[2])
    np.testing.assert_array_equal(interval[0].get_ydata(), band.low[2])
    np.testing.assert_array_equal(interval[1].get_ydata(), band.high[2])


def test_a_band_with_diverged_lanes_is_cut_and_marked(ax):
    losses = np.tile(LOSSES, (8, 1))
    losses[:2, 3:] = INF
    band = quantile_band(losses, [0.1, 0.5, 0.9])
    plot.ensemble_band(TIMES, band, [0.1, 0.5, 0.9], label="he", ax=ax)
    assert np.all(np.isfinite(ax.collections[0].get_paths()[0].vertices))
    mark = next(line for line in ax.lines if line.get_marker() == "^")
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (2.0, 1.0)
    expected = ["he, 10-90 %", "above: diverged", "he, median"]
    assert legend(ax)[:3] == expected


def test_survival_steps_ticks_and_interval_are_the_curves(ax):
    durations = np.array([1.0, 2.0, 2.0, 5.0, 7.0])
    curve = kaplan_meier(durations, [False, False, True, False, True])
    plot.survival_curves({"small": curve, "large": curve}, ax=ax)
    step, ticks = ax.lines[:2]
    np.testing.assert_array_equal(step.get_xdata(), [0.0, 1.0, 2.0, 5.0, 7.0])
    np.testing.assert_array_equal(step.get_ydata()[1:4], curve.survival)
    assert step.get_drawstyle() == "steps-post"
    assert ticks.get_xdata().tolist() == [2.0, 7.0]
    np.testing.assert_array_equal(ticks.get_ydata(), curve.censored_survival)
    shaded = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert set(shaded) == {1.0, *curve.low, *curve.high}
    assert legend(ax) == ["small", "large"]
    assert ax.lines[0].get_color() != ax.lines[2].get_color()


def test_survival_without_any_event(ax):
    plot.survival_curves({"all running": kaplan_meier([3.0, 4.0], [True, True])}, ax=ax)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [0.0, 4.0])
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [1.0, 1.0])


def test_survival_of_dwells_of_zero(ax):
    plot.survival_curves({"none": kaplan_meier([0.0], [False])}, ax=ax)
    assert ax.get_xscale() == "linear"


def test_kinks_in_view_are_lines_and_data_are_the_rug(ax):
    x = np.array([-1.0, 0.0, 1.0])
    positions = np.array([[0.2, 0.5], [0.3, 3.0], [0.4, 9.0], [0.5, INF], [0.6, -9.0]])
    plot.kinks(TIMES, positions, x, ax=ax)
    stays, leaves, rug = (line.get_ydata() for line in ax.lines)
    np.testing.assert_array_equal(stays, positions[:, 0])
    # Drawn to its first position out of view, then not across from +inf to -9.
    np.testing.assert_array_equal(leaves, [0.5, 3.0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(rug, x)
    assert ax.get_ylim() == (-1.5, 1.5)


def test_raster_colours_are_the_counts_until_the_next_time(ax):
    counts = np.arange(15).reshape(5, 3)
    plot.activation_raster(TIMES, counts, ax=ax)
    (mesh,) = ax.collections
    np.testing.assert_array_equal(mesh.get_array(), counts[:-1].T)
    np.testing.assert_array_equal(mesh.get_coordinates()[0, :, 0], TIMES)
    assert ax.figure.axes[1].get_ylabel() == "active data"


def test_raster_of_flags_has_two_colours(ax):
    flags = np.random.default_rng(0).random((5, 4)) > 0.5
    plot.activation_raster(TIMES, flags, rows="pair", ax=ax)
    (mesh,) = ax.collections
    assert mesh.cmap.N == 2
    assert mesh.get_clim() == (0, 1)
    ticks = [label.get_text() for label in ax.figure.axes[1].get_yticklabels()]
    assert ticks == ["off", "on"]
    assert ax.get_ylabel() == "pair"


def test_snapshots_are_coloured_by_log_time(ax):
    x = np.linspace(0, 1, 4)
    times = np.array([0.0, 1.0, 10.0, 100.0])
    outputs = np.outer(times, x)
    plot.function_snapshots(x, outputs, times, data=(x[:, None], x**2), ax=ax)
    *curves, points = ax.lines
    for curve, values in zip(curves, outputs, strict=True):
        np.testing.assert_array_equal(curve.get_ydata(), values)
    viridis = matplotlib.colormaps["viridis"]
    colors = [curve.get_color() for curve in curves]
    np.testing.assert_allclose(colors, viridis([0.0, 0.0, 0.5, 1.0]), atol=5e-3)
    np.testing.assert_array_equal(points.get_ydata(), x**2)
    assert ax.figure.axes[1].get_yscale() == "log"


def test_snapshot_at_time_zero_alone(ax):
    plot.function_snapshots([0.0, 1.0], [[0.0, 1.0]], [0.0], ax=ax)
    assert len(ax.lines) == 1


# Neuron 0 slides on datum 1 from 0.5 to 3, neuron 1 on datum 2 from 20 to the end.
EVENTS = SimpleNamespace(
    time=np.array([0.1, 0.5, 3.0, 20.0, INF]),
    neuron=np.array([0, 0, 0, 1, -1]),
    datum=np.array([0, 1, 1, 2, -1]),
    kind=np.array([1, 2, 0, 2, -1]),
    count=np.array(4),
)


def run_of(losses=LOSSES):
    return SimpleNamespace(
        times=TIMES, losses=losses, events=EVENTS, time_unit="flow time"
    )


@pytest.mark.parametrize("log", [True, False])
def test_events_are_marks_and_slides_are_bars(log, ax):
    plot.event_raster(run_of(), log=log, ax=ax)
    off, on, slide = ax.lines
    assert [line.get_label() for line in ax.lines] == ["off", "on", "slides"]
    np.testing.assert_array_equal(slide.get_xydata(), [[0.5, 0.0], [20.0, 1.0]])
    np.testing.assert_array_equal(on.get_xydata(), [[0.1, 0.0]])
    np.testing.assert_array_equal(off.get_xydata(), [[3.0, 0.0]])
    boxes = [c.get_paths()[0].get_extents() for c in ax.collections]
    spans = [(box.x0, box.x1, (box.y0 + box.y1) / 2) for box in boxes]
    np.testing.assert_allclose(spans, [(0.5, 3.0, 0.0), (20.0, 400.0, 1.0)])
    assert ax.get_xlabel() == "flow time"
    assert ax.get_xscale() == ("symlog" if log else "linear")


def test_a_run_that_ended_early_is_marked(ax):
    plot.event_raster(run_of(np.array([4.0, 3.0, 2.0, INF, INF])), ax=ax)
    end = ax.lines[-1]
    assert end.get_label() == "run ends"
    assert end.get_xdata()[0] == 20.0


def test_slides_are_thick_on_the_data_of_kinks(ax):
    x = np.array([-1.0, 0.0, 1.0])
    positions = np.array([[0.2], [0.3], [0.0], [0.0], [0.6]])
    plot.kinks(TIMES, positions, x, events=EVENTS, ax=ax)
    pale, thick = ax.collections
    segments = [s.tolist() for s in thick.get_segments()]
    assert segments == [[[0.5, 0.0], [3.0, 0.0]], [[20.0, 1.0], [400.0, 1.0]]]
    assert len(pale.get_segments()) == 3


@pytest.mark.parametrize("diverges", [True, False])
def test_distances_are_drawn_where_they_are_positive(diverges, ax):
    gap = SimpleNamespace(
        times=TIMES,
        distance=np.array([0.0, 0.1, 0.2, 0.3, 0.4]),
        nearest_distance=np.array([0.0, 0.1, 0.1, 0.0, 0.1]),
        matched_distance=None,
        function_distance=np.array([0.0, 0.2, 0.2, 0.2, 0.2]),
        divergence_time=np.array(30.0 if diverges else INF),
    )
    plot.distances(gap, ax=ax)
    nan = np.nan
    shown = [line.get_ydata() for line in ax.lines[:3]]
    np.testing.assert_array_equal(shown[0], [nan, 0.1, 0.2, 0.3, 0.4])
    np.testing.assert_array_equal(shown[1], [nan, 0.1, 0.1, nan, 0.1])
    np.testing.assert_array_equal(shown[2], [nan, 0.2, 0.2, 0.2, 0.2])
    words = ["parameters", "parameters, at the nearest time", "outputs"]
    assert legend(ax) == words + ["diverged"] * diverges
    if diverges:
        assert ax.lines[3].get_xdata()[0] == 30.0
    assert ax.get_yscale() == "log"


def test_work_and_precision_are_medians_and_worst(ax):
    settings = [
        ([10.0, 30.0, 20.0], [1e-2, 1e-3, 1e-4]),
        ([40.0, 60.0, 50.0], [1e-6, INF, 1e-7]),
    ]
    plot.work_precision({"one": settings}, cost="steps", error="error", ax=ax)
    median, worst, failed, _ = ax.lines
    np.testing.assert_array_equal(median.get_xydata(), [[20.0, 1e-3], [50.0, 1e-6]])
    np.testing.assert_array_equal(worst.get_xydata(), [[30.0, 1e-2], [np.nan] * 2])
    np.testing.assert_array_equal(failed.get_xydata(), [[50.0, 1e-6]])
    assert legend(ax) == ["one", "some runs failed", "worst of runs"]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
