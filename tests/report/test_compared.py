"""Grid points side by side: counts, cells and lanes are those of the store."""

import numpy as np

from plateaux.report import compared, figures
from plateaux.report.axes import facets
from plateaux.report.groups import (
    at_risk,
    failures,
    group,
    loss_band,
    share_with_plateau,
    summary,
)
from plateaux.report.words import interval, number
from plateaux.statistics import log_histogram, log_rank, restricted_mean

from .conftest import fabricate
from .page import Page

LABELS = [f"scale={a}, step={b}" for a in (1, 2) for b in (10, 20, 30)]
SWEPT = {"a.scale": [1, 1, 1, 2, 2, 2], "a.step": [10, 20, 30] * 2}


def grid_of(labels=LABELS, **changes):
    """Groups of a fabricated grid, six lanes each, with some variables replaced."""
    dataset = fabricate(labels, lanes=6)
    for name, change in changes.items():
        change(dataset[name])
    groups = [group(dataset, i, 5, {}) for i in range(len(labels))]
    return groups, [{by: summary(of, by) for by in of.tables} for of in groups]


def statistics(groups, summaries, monkeypatch):
    """What heat maps were asked to draw."""
    drawn = []
    draw = lambda *args: drawn.append(args) or b"picture"
    monkeypatch.setattr(figures, "heat_map", draw)
    compared.over_the_grid(groups, summaries, SWEPT)
    return drawn[0][0], {title: one for _, title, one in drawn}


def test_numbers_at_risk_are_counted_one_by_one():
    groups, _ = grid_of()
    of = groups[2]
    for by, table in of.tables.items():
        dwells = [
            table["dwell"][lane, row]
            for lane in range(6)
            if of.outcomes[lane] == "completed"
            for row in range(table["count"][lane])
        ]
        times = [0.0, 0.2, dwells[0], 0.7, 100.0]
        expected = [sum(dwell >= time for dwell in dwells) for time in times]
        np.testing.assert_array_equal(at_risk(of, by, times), expected)
        assert expected[2] > sum(dwell > dwells[0] for dwell in dwells)


def test_survival_pictures_hold_the_numbers_at_risk(monkeypatch):
    groups, summaries = grid_of()
    canvases = []
    monkeypatch.setattr(figures, "_png", lambda c: canvases.append(c) or b"picture")
    page = compared.survival(groups, summaries, SWEPT)
    assert page.count("<img") == len(canvases) == 3  # six grid points in a picture
    (ax,) = canvases[0].axes
    heading, *numbers = [text.get_text() for text in ax.texts]
    assert heading == "number at risk"
    rows = np.array(numbers, int).reshape(6, -1)
    for of, row in zip(groups, rows, strict=True):
        np.testing.assert_array_equal(row, at_risk(of, "slope", ax.get_xticks()))


def test_grid_points_that_are_not_drawn_are_said(monkeypatch):
    groups, summaries = grid_of()
    monkeypatch.setattr(figures, "_png", lambda c: b"picture")
    pages = lambda: [
        compared.survival(groups, summaries, SWEPT),
        compared.last_losses(groups, SWEPT),
    ]
    assert not any("Drawn are" in page for page in pages())
    monkeypatch.setattr(compared, "batches", lambda *_: [range(2), range(2, 4)] * 8)
    monkeypatch.setattr(compared, "MOST_PICTURES", 2)
    for page in pages():
        assert "Drawn are the first 4 of 6 grid points; the tables have all." in page


def test_failures_are_counted_and_named():
    def fail(outcome):
        outcome[:] = 0
        outcome[1, [0, 4]] = 1

    groups, _ = grid_of(outcome=fail)
    assert [len(failures(of)) for of in groups] == [0, 1, 0, 0, 0, 0]
    page = Page(compared.failed(groups))
    assert page.row(LABELS[1]) == ["diverged", "2 of 6", "0, 4"]
    assert len(page.rows) == 2


def test_lanes_keep_their_numbers_when_some_are_not_stored():
    def fail(outcome):
        outcome[:] = 0
        outcome[1, [0, 4]] = 1

    def store(done):
        done[1, :2] = False

    groups, _ = grid_of(outcome=fail, done=store)
    assert Page(compared.failed(groups)).row(LABELS[1]) == ["diverged", "1 of 4", "4"]


def test_many_failures_are_cut_short():
    dataset = fabricate(lanes=40)
    dataset["outcome"][0] = 1
    page = Page(compared.failed([group(dataset, 0, 5, {})]))
    (row,) = page.rows[1:]
    first = ", ".join(map(str, range(24)))
    assert row[1:] == ["diverged", "40 of 40", f"{first} and 16 more"]


def test_without_failures_the_page_says_so():
    groups, _ = grid_of(outcome=lambda outcome: outcome.__setitem__(slice(None), 0))
    assert "No stored lane failed." in compared.failed(groups)


def test_cells_hold_the_statistics_of_their_point(monkeypatch):
    def fail(outcome):
        outcome[:] = 0
        outcome[4, :3] = 1
        outcome[5] = 1

    groups, summaries = grid_of(outcome=fail)
    facet, found = statistics(groups, summaries, monkeypatch)
    np.testing.assert_array_equal(facet.points, [[0, 1, 2], [3, 4, 5]])
    dwell, share, loss, failed = found.values()
    assert failed.values == [0, 0, 0, 0, 0.5, 1]
    for i, of in enumerate(groups):
        pooled = of.outcomes == "completed"
        count = of.tables["slope, later"]["count"][pooled]
        assert loss.values[i] == np.sort(of.losses[:, -1])[2]
        if i < 5:
            assert share.values[i] == np.mean(count > 0)
            assert dwell.values[i] == summaries[i]["slope, later"].median_dwell.estimate
    assert np.isnan([share.values[5], dwell.values[5]]).all()
    assert np.isnan(share_with_plateau(groups[5], "slope"))
    assert dwell.unit == "flow time of L"


def test_the_picture_has_each_number_in_its_cell(monkeypatch):
    canvases = []
    monkeypatch.setattr(figures, "_png", lambda c: canvases.append(c) or b"picture")
    (facet,) = facets(SWEPT)
    numbers = [10.0, 11.0, 12.0, 20.0, np.nan, 22.0]
    figures.heat_map(facet, "loss", figures.Statistic(numbers, "loss", "gone"))
    ax = canvases[0].axes[0]
    told = {text.get_position(): text.get_text() for text in ax.texts}
    assert told[0.5, 0.5] == "10"  # scale 1, step 10
    assert told[2.5, 0.5] == "12"  # scale 1, step 30
    assert told[0.5, 1.5] == "20"  # scale 2, step 10
    assert told[1.5, 1.5] == "gone"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a.step", "a.scale")
    assert ax.get_title() == "loss"


def test_last_losses_over_their_own_bounds(no_pictures):
    dataset = fabricate()
    groups = [group(dataset, i, 5, {"scale=2": 0.01}) for i in range(2)]
    compared.last_losses(groups, {})
    (losses, colors, _), (ratios, same, bound) = no_pictures
    assert (list(losses), list(ratios)) == (["scale=1", "scale=2"], ["scale=2"])
    np.testing.assert_array_equal(ratios["scale=2"], losses["scale=2"] / 0.01)
    np.testing.assert_array_equal(losses["scale=1"], groups[0].losses[:, -1])
    assert same == colors[1:]  # a grid point keeps its colour
    assert bound == 1.0


def test_last_losses_are_drawn(monkeypatch):
    canvases = []
    monkeypatch.setattr(figures, "_png", lambda c: canvases.append(c) or b"picture")
    figures.final_losses({"a": np.array([1.0]), "b": np.array([5.0])}, "br", None)
    (ax,) = canvases[0].axes
    assert [line.get_color() for line in ax.lines] == ["b", "r"]


def test_pictures_say_whether_the_curves_differ():
    """The log-rank test and restricted means, of the same plateaus one by one."""
    rng = np.random.default_rng(0)
    seen = {
        "fast": (rng.exponential(1.0, 30), rng.random(30) < 0.2),
        "slow": (rng.exponential(3.0, 40), rng.random(40) < 0.2),
    }
    words = compared._tested(seen)
    dwell, censored = (
        np.concatenate([seen[k][i] for k in ("fast", "slow")]) for i in (0, 1)
    )
    test = log_rank(dwell, censored, ["fast"] * 30 + ["slow"] * 40)
    assert f"p = {number(test.p_value)}." in words
    horizon = min(seen["fast"][0].max(), seen["slow"][0].max())
    for name, of in seen.items():
        mean = restricted_mean(*of, horizon=horizon)
        assert f"{name}: {interval(mean)}" in words


def test_groups_of_histograms_have_bands_and_last_losses():
    """A sweep that counted its losses in bins shows the same, to the bins' accuracy."""
    dataset = fabricate(lanes=200)
    loss = dataset["loss"].values
    counts = np.stack(
        [
            [log_histogram(loss[0, half, t], 0.02) for t in range(loss.shape[2])]
            for half in (slice(0, 90), slice(90, 200))
        ]
    )
    counted = dataset.drop_vars("loss").isel(point=[0])
    counted["loss_counts"] = (("point", "part", "time", "bin"), counts[None])
    of = group(counted, 0, 5, {}, 0.02)
    each = group(dataset, 0, 5, {})
    assert of.losses is None
    np.testing.assert_array_equal(of.final, each.final)
    levels = (0.1, 0.5, 0.9)
    exact = loss_band(each, levels)
    np.testing.assert_allclose(loss_band(of, levels).estimate, exact[0], rtol=0.0201)
    assert figures.overview(of, {}, None).startswith(b"\x89PNG")


def test_a_definition_that_is_not_known_is_left_out():
    dataset = fabricate()
    dataset["pattern_count"][0] = -1
    assert "pattern" not in group(dataset, 0, 5, {}).tables
    assert "pattern" in group(dataset, 1, 5, {}).tables
