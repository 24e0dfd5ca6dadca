"""The pictures of a report, looked at as figures before they become files."""

import numpy as np
import pytest

from plateaux.report import figures
from plateaux.report.groups import group, plateaus_of_lane, summary, typical_lanes

from .conftest import fabricate


@pytest.fixture
def kept(monkeypatch):
    """The figures themselves, in the order of drawing."""
    canvases = []
    png = figures._png
    monkeypatch.setattr(figures, "_png", lambda c: canvases.append(c) or png(c))
    return canvases


def first_group(dataset=None):
    return group(fabricate() if dataset is None else dataset, 0, units=5, bounds={})


def test_overview_draws_the_typical_lanes(kept):
    of = first_group()
    curves = {by: summary(of, by).dwell for by in of.tables}
    png = figures.overview(of, curves, "slope")
    assert figures.overview(of, curves, "slope") == png
    band, survival, *lanes = kept[0].axes
    assert band.get_title() == "loss of 20 lanes"
    assert len(survival.get_legend().get_texts()) == len(curves) == 3
    chosen = list(typical_lanes(of).values())
    for ax, lane in zip(lanes, chosen, strict=True):
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), of.losses[lane])
        assert len(ax.patches) == of.tables["slope"]["count"][lane]


def test_typical_lanes_are_quantiles_of_the_completed_ones():
    of = first_group()
    last = of.losses[of.outcomes == "completed", -1]
    chosen = typical_lanes(of)
    assert list(chosen) == ["10 % quantile", "median", "90 % quantile"]
    expected = np.quantile(last, [0.1, 0.5, 0.9], method="inverted_cdf")
    losses = [of.losses[of.lanes.tolist().index(lane), -1] for lane in chosen.values()]
    np.testing.assert_array_equal(losses, expected)


def test_a_single_lane_is_drawn_once(kept):
    dataset = fabricate()
    dataset["done"][0] = np.arange(20) == 7
    of = first_group(dataset)
    assert typical_lanes(of) == {"10 % quantile": 7}
    figures.overview(of, {}, "pattern")
    *_, drawn, empty, also_empty = kept[0].axes
    np.testing.assert_array_equal(drawn.lines[0].get_ydata(), of.losses[0])
    assert not empty.axison
    assert not also_empty.axison


def test_plateaus_of_a_lane_are_its_used_rows():
    dataset = fabricate()
    start, end, censored = plateaus_of_lane(first_group(dataset), "slope", 6)
    used = int(dataset["slope_count"].values[0, 6])
    np.testing.assert_array_equal(start, dataset["slope_start"].values[0, 6, :used])
    np.testing.assert_array_equal(end, dataset["slope_end"].values[0, 6, :used])
    assert censored.sum() == min(used, 1)


def test_lanes_that_all_diverged_can_be_drawn():
    dataset = fabricate()
    dataset["outcome"][0] = 1
    dataset["loss"][0] = np.inf
    assert figures.overview(first_group(dataset), {}, None).startswith(b"\x89PNG")
