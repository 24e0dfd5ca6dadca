"""The run with the slider: the lane that is chosen, and the numbers in the page."""

import base64
import json

import jax
import numpy as np
import pytest

import plateaux as px
from plateaux.report import report, view
from plateaux.report.frames import as_json, shown
from plateaux.report.groups import group
from plateaux.report.view import chosen_lane, telling_lane
from plateaux.sweeps import SweepError, open_sweep, replay

from .conftest import fabricate, numbers_of
from .page import Page


def groups_of(dataset):
    return [group(dataset, i, 5, {}) for i in range(dataset.sizes["point"])]


def assert_rounded(told, exact, digits):
    """Equal up to rounding to so many digits; None where not finite."""
    told = np.array(told, dtype=float)
    exact = np.where(np.isfinite(exact), exact, np.nan)
    np.testing.assert_allclose(told, exact, rtol=0.5001 * 10 ** (1 - digits), atol=0)


def test_the_lane_with_the_median_dwell_is_chosen():
    groups = groups_of(fabricate())
    choice = telling_lane(groups)
    assert (choice.of.label, choice.by) == ("scale=1", "slope")
    table = choice.of.tables["slope, later"]
    longest = {
        lane: table["dwell"][lane, : table["count"][lane]].max()
        for lane in range(2, 20)  # the first two diverged
        if table["count"][lane]
    }
    rank = sorted(longest, key=longest.get)
    assert choice.lane == rank[(len(rank) - 1) // 2]


def test_plateaus_of_a_later_point_are_better_than_none():
    dataset = fabricate()
    for by in ("slope", "pattern"):
        dataset[f"{by}_count"][0] = 0
    assert telling_lane(groups_of(dataset)).of.label == "scale=2"
    for by in ("slope", "pattern"):
        dataset[f"{by}_count"][1] = 0
    choice = telling_lane(groups_of(dataset))
    assert (choice.of.label, choice.by) == ("scale=1", None)
    assert choice.why == "its last loss is the median"
    dataset["outcome"][:] = 1
    assert telling_lane(groups_of(dataset)).lane == 0
    dataset["done"][:] = False
    assert telling_lane(groups_of(dataset)) is None


def test_what_is_asked_for_is_chosen():
    groups = groups_of(fabricate())
    assert chosen_lane(groups, "scale=2", 7)[:2] == (groups[1], 7)
    assert chosen_lane(groups, 1, None).of is groups[1]
    assert chosen_lane(groups, None, 3)[:2] == (groups[0], 3)


@pytest.mark.parametrize(
    ("point", "lane", "match"),
    [
        (
            "scale=3",
            None,
            "`point` must be a number from 0 to 1 or .* but is 'scale=3'",
        ),
        (5, 2, "`point` must be .* but is 5"),
        (0, 99, "`lane` must be a stored lane of grid point scale=1, .* 20 .* is 99"),
    ],
)
def test_what_is_not_there_is_refused(point, lane, match):
    with pytest.raises(SweepError, match=match):
        chosen_lane(groups_of(fabricate()), point, lane)


def test_the_page_holds_the_numbers_of_the_replayed_run(stored, told):
    sweep = open_sweep(stored)
    run = replay(stored, 0, 2)
    problem = px.problems.sine(num_data=9)
    frames = np.array(told["frames"])
    assert_rounded(told["times"], run.times, 6)
    assert_rounded(told["losses"], run.losses, 6)
    np.testing.assert_array_equal(run.losses, sweep.dataset["loss"].values[0, 2])
    assert told["unit"] == problem.time_unit
    used = int(sweep.dataset["slope_count"].values[0, 2])
    start = sweep.dataset["slope_start"].values[0, 2, :used]
    assert_rounded([row[0] for row in told["plateaus"]], start, 6)

    assert len(frames) == len(told["values"]) == len(told["kinks"])
    assert told["neurons"] == [0, 1, 2]
    bits = np.unpackbits(np.frombuffer(base64.b64decode(told["pattern"]), np.uint8))
    patterns = bits[: len(frames) * 3 * 9].reshape(len(frames), 3, 9)
    order = np.argsort(problem.x[:, 0])
    assert_rounded(told["x"], problem.x[order, 0], 4)
    assert_rounded(told["targets"], problem.y[order], 4)
    for i in (0, len(frames) // 2, len(frames) - 1):
        network = jax.tree.map(lambda leaf: leaf[frames[i]], run.saved["network"])  # noqa: B023
        pattern = px.patterns.pattern(network, problem.x[order])
        np.testing.assert_array_equal(patterns[i], pattern)
        kinks = px.patterns.breakpoints(network)
        assert_rounded(told["kinks"][i], kinks, 4)
        at = lambda x: px.networks.outputs(network, np.asarray(x, float)[:, None])  # noqa: B023
        np.testing.assert_allclose(
            told["values"][i], at(told["points"]), rtol=1e-3, atol=1e-4
        )
        np.testing.assert_allclose(told["heights"][i], at(kinks), rtol=1e-3, atol=1e-4)


def test_the_page_is_whole_and_asks_for_nothing(slider_page):
    page, read = slider_page, Page(slider_page)
    assert read.open_tags == []
    scripts = [attributes for tag, attributes in read.elements if tag == "script"]
    assert len(scripts) == 2
    assert not any("src" in attributes for attributes in scripts)
    assert "http" not in page
    assert "url(" not in page
    (still,) = [a for tag, a in read.elements if tag == "img"]
    assert still["alt"].startswith("Lane 2 of initialiser.scale=0.1")
    assert "<noscript><figure><img" in page


def test_a_large_run_is_thinned(large_run):
    problem, run = large_run
    what = shown(problem, run)
    assert (len(what.times), len(what.frames), len(what.neurons)) == (400, 120, 64)
    assert (len(what.data), what.width, what.num_data) == (128, 100, problem.num_data)
    assert (what.times[0], what.times[-1]) == (run.times[0], run.times[-1])
    last = px.networks.outputs(run.network, problem.x[np.asarray(what.data)])
    np.testing.assert_array_equal(what.predictions[-1], last)
    assert np.all(np.diff(what.targets) >= 0)
    told = as_json(what, (np.zeros(0),) * 3, "time")
    assert_rounded(told["predictions"][-1], last, 4)
    assert "values" not in told
    assert len(json.dumps(told)) < 1_500_000


def test_what_is_not_finite_becomes_nothing():
    problem = px.Problem([[0.0], [1.0]], [1.0, 0.0])
    network = px.TwoLayer(w=[[0.0], [np.nan]], b=[1.0, 0.5], c=[1.0, 1.0])
    keep = {"network": lambda problem, network: network}
    descent = px.gradient_descent(0.1)
    run = px.descend(problem, network, descent, num_steps=2, record=keep)
    told = as_json(shown(problem, run), (np.zeros(0),) * 3, "time")
    assert told["losses"] == [None] * len(told["losses"])
    assert told["kinks"][0] == [None, None]
    json.dumps(told, allow_nan=False)


def test_labels_cannot_end_the_script(stored, monkeypatch):
    groups = groups_of(open_sweep(stored).dataset)
    nasty = groups[0]._replace(time_unit="</script><b>", label="<i>&")
    choice = chosen_lane([nasty], 0, 2)
    monkeypatch.setattr(view.figures, "run", lambda *args: b"picture")
    what = shown(px.problems.sine(num_data=9), replay(stored, 0, 2))
    text = view.render(choice, what)
    assert text.count("</script") == 2
    assert numbers_of(text)["unit"] == "</script><b>"
    assert "<i>" not in text


def test_a_run_that_changed_is_told(stored, monkeypatch):
    groups = groups_of(open_sweep(stored).dataset)
    monkeypatch.setattr(view.figures, "run", lambda *args: b"picture")
    what = shown(px.problems.sine(num_data=9), replay(stored, 0, 2))
    choice = chosen_lane(groups, 0, 2)
    assert "versions or device have changed" not in view.render(choice, what)
    other = what._replace(losses=what.losses * 1.01)
    assert "versions or device have changed" in view.render(choice, other)


def test_a_run_that_cannot_be_trained_again_says_why(stored, no_pictures, monkeypatch):
    def refuse(*args):
        raise SweepError("the data are gone.")

    monkeypatch.setattr(view, "replay", refuse)
    text = report(stored).read_text("utf-8")
    assert "cannot be shown: the data are gone." in text
    assert 'id="run-view"' not in text


def test_networks_that_fill_the_memory_are_not_kept(stored, no_pictures, monkeypatch):
    monkeypatch.setattr(view, "MOST_BYTES", 4 * 20 * 9 * 8 - 1)  # 9 parameters
    text = report(stored).read_text("utf-8")
    assert (
        "cannot be shown: the networks of its chunk must fit into 5.76e-06 GB" in text
    )
    monkeypatch.setattr(view, "MOST_BYTES", 4 * 20 * 9 * 8)
    assert "must fit into" not in report(stored).read_text("utf-8")


def test_the_run_can_be_left_out(stored, no_pictures):
    assert "One run along time" not in report(stored, view=False).read_text("utf-8")
