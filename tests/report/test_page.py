import numpy as np
import pytest

from plateaux.report import render
from plateaux.report.groups import Group
from plateaux.report.words import interval, number, setting
from plateaux.statistics import kaplan_meier, median_survival, quantile_band, wilson

from .conftest import MANIFEST, arguments, fabricate, settings
from .page import Page


@pytest.fixture(scope="module")
def whole():
    """A page with its pictures, rendered once."""
    return render(**arguments())


def overviews(drawn):
    """The grid points that were drawn one by one."""
    return [args[0] for args in drawn if isinstance(args[0], Group)]


def test_page_is_well_formed_and_asks_for_nothing(whole):
    page = Page(whole)
    assert page.open_tags == []
    assert whole.startswith("<!DOCTYPE html>")
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        assert "href" not in attributes
        source = attributes.get("src", "data:image/png;base64,iVBOR")
        assert source.startswith("data:image/png;base64,iVBOR")
    assert "http" not in whole
    assert "url(" not in whole


def test_pictures_have_words(whole):
    pictures = [attributes for tag, attributes in Page(whole).elements if tag == "img"]
    # two grid points, three definitions, outcomes, last losses
    assert len(pictures) == 7
    assert all(len(attributes["alt"]) > 30 for attributes in pictures)


def test_every_section_is_there(whole):
    page = Page(whole)
    for words in (
        "What was run",
        "Numbers",
        "Failures",
        "How long plateaus last",
        "Last losses",
        "Grid point by grid point",
        "Definitions",
        "Versions and device",
        "Reproduce and cite",
        "Finished: all 40 lanes are stored.",
        "9.8.7",
        "abc123",
        "plateaux sweep run spec.toml --out 'runs/two scales'",
        "plateaux[all]==9.8.7",
        "flow time of L",
    ):
        assert words in page.text
    assert page.row("method") == ["step_size = 0.1, 0.2"]


def test_text_is_escaped(no_pictures):
    nasty = '<script>alert("x")</script> & co'
    dataset = fabricate(labels=(nasty, "other"))
    page = render(**arguments(dataset, spec={"name": nasty}, toml=nasty))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 5
    assert Page(page).row(nasty, "20 of 20")


def test_numbers_are_those_of_the_statistics(no_pictures):
    dataset = fabricate()
    page = Page(render(**arguments(dataset)))
    here = dataset.isel(point=0)
    done = here["outcome"].values == 0
    dead = wilson(int((here["dead_neurons"].values >= 5).sum()), 20)
    final = quantile_band(here["loss"].values[:, -1], [0.25, 0.5, 0.75])
    assert page.row("scale=1", "20 of 20") == [
        "18 completed, 2 diverged",
        interval(dead, percent=True),
        interval(final, 1),
        f"{number(final.estimate[0])} to {number(final.estimate[2])}",
        "–",
    ]
    for by in ("slope", "pattern"):
        count = here[f"{by}_count"].values[done]
        used = np.arange(4) < count[:, None]
        dwell = here[f"{by}_dwell"].values[done][used]
        censored = here[f"{by}_censored"].values[done][used]
        cells = page.row("scale=1", by)
        assert cells[0] == number(count.mean())
        assert cells[2] == number(10 * count.mean())
        assert cells[3] == interval(median_survival(kaplan_meier(dwell, censored)))
        assert cells[4] == f"{used.sum()} ({censored.sum()})"
        assert cells[5] == "18 (0)"


def test_last_losses_are_compared_with_proven_bounds(no_pictures):
    bounds = {"proven_bounds": {"scale=1": 1e-3, "scale=2": 0.0}}
    dataset = fabricate()
    page = Page(render(**arguments(dataset, manifest=MANIFEST | bounds)))
    loss = dataset["loss"].values[0, :, -1]
    median = quantile_band(loss, [0.5]).estimate[0]
    assert page.row("scale=1", "20 of 20")[-1] == f"0.001 ({number(median / 1e-3)})"
    assert page.row("scale=2", "20 of 20")[-1] == "0"


def test_plateaus_from_time_zero_are_told_apart(no_pictures):
    dataset = fabricate()
    page = Page(render(**arguments(dataset)))
    here = dataset.isel(point=0, lane=dataset["outcome"].values[0] == 0)
    start = here["slope_start"].values
    later = np.isfinite(start) & (start > 0)
    dwell, censored = (here[f"slope_{name}"].values for name in ("dwell", "censored"))
    cells = page.row("scale=1", "slope, later")
    assert cells[0] == number(later.sum() / 18)
    curve = kaplan_meier(dwell[later], censored[later])
    assert cells[3] == interval(median_survival(curve))
    assert cells[4] == f"{later.sum()} ({censored[later].sum()})"
    assert cells[4] != page.row("scale=1", "slope")[4]


def test_shorter_runs_end_at_their_own_last_time(no_pictures):
    dataset = fabricate()
    page = Page(render(**arguments(dataset)))
    final = quantile_band(dataset["loss"].values[1, :, 8], [0.5])
    assert page.row("scale=2", "20 of 20")[2] == interval(final, 0)


def test_lanes_that_are_not_done_are_left_out(no_pictures):
    dataset = fabricate()
    dataset["done"][0, 5:] = False
    for name in ("loss", "slope_dwell", "pattern_dwell"):
        dataset[name][0, 5:] = np.nan
    dataset["outcome"][0, 5:] = -1
    page = Page(render(**arguments(dataset)))
    assert "Partly finished: 25 of 40 lanes are stored" in page.text
    assert "plateaux sweep resume 'runs/two scales'" in page.text
    assert page.row("scale=1", "5 of 20")[0] == "3 completed, 2 diverged"
    assert len(overviews(no_pictures)[0].lanes) == 5


def test_a_grid_point_without_lanes_says_so(no_pictures):
    dataset = fabricate()
    dataset["done"][1] = False
    dataset["times"][1] = np.nan
    page = Page(render(**arguments(dataset)))
    assert "No lane of this grid point is stored yet." in page.text
    assert page.row("scale=2", "0 of 20") == ["–"] * 5
    assert len(overviews(no_pictures)) == 1


def test_a_grid_point_whose_lanes_all_diverged(no_pictures):
    dataset = fabricate()
    dataset["outcome"][0] = 1
    page = Page(render(**arguments(dataset)))
    assert page.row("scale=1", "20 of 20")[0] == "20 diverged"
    assert page.row("scale=1", "slope") == ["–"] * 5 + ["0"]


def test_tables_that_were_too_small_are_told(no_pictures):
    dataset = fabricate()
    assert "more happened" not in render(**arguments(dataset))
    dataset["pattern_overflow"][0, 4:7] = True
    dataset["slope_overflow"][0, 0] = True  # a lane that diverged is not pooled
    page = Page(render(**arguments(dataset)))
    assert "In 3 of 36 pooled lanes more happened" in page.text
    assert page.row("scale=1", "pattern")[-1] == "18 (3)"
    assert page.text.count("more happened") == 1


def test_definitions_say_their_parameters(no_pictures):
    text = Page(render(**arguments())).text
    assert "|d log L / d log t| < 0.1, and whose end is at least 2.0 times" in text
    assert "flips again within 77 steps" in text
    assert "At most 33 changes a lane" in text
    grid = settings(1) + settings(1, **{"slope.threshold": 0.3, "min_ratio": 4.0})
    text = Page(render(**arguments(settings=grid))).text
    assert "< 0.1 or 0.3, and whose end is at least 2.0 or 4.0 times" in text


def test_one_definition_alone(no_pictures):
    dataset = fabricate()
    dataset = dataset.drop_vars([n for n in dataset if str(n).startswith("pattern")])
    page = Page(render(**arguments(dataset)))
    assert "Plateau by slope" in page.text
    assert "Plateau by pattern" not in page.text


def test_many_grid_points_are_not_drawn_into_one(no_pictures):
    dataset = fabricate(labels=[f"scale={i}" for i in range(7)], lanes=4)
    render(**arguments(dataset))
    assert len(overviews(no_pictures)) == 7


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.12345, "0.123"), (2306.4, "2306"), (np.inf, "∞"), (-1e-7, "−1e−07"), (0, "0")],
)
def test_numbers_in_words(value, words):
    assert number(value) == words


def test_options_of_one_choice_are_named_after_it():
    table = {"name": ["sine", "disk"], "sine": {"num_data": 9}, "dense": True}
    assert setting(table) == "name = sine, disk; sine.num_data = 9; dense = true"
