"""From a stored sweep to its page."""

import pytest

import plateaux as px
from plateaux.report import report
from plateaux.sweeps import SweepError, SweepSpec

from .page import Page


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The folder of a small sweep."""
    folder = tmp_path_factory.mktemp("runs") / "small sweep"
    spec = SweepSpec(
        name="small",
        problem={"name": "sine", "num_data": 9},
        network={"width": 3},
        initialiser={"name": "he", "scale": 0.1},
        method={"step_size": 0.05, "num_steps": 60},
        recording={"num_times": 20},
        sweep={"lanes": 4, "chunk": 4},
    )
    px.sweep(spec, folder)
    return folder


def test_the_page_of_a_stored_sweep(stored, no_pictures):
    file = report(stored)
    assert file == stored / "report.html"
    page = Page(file.read_text(encoding="utf-8"))
    assert page.open_tags == []
    assert "Finished: all 4 lanes are stored." in page.text
    assert page.row("single point", "4 of 4")[0] == "4 completed"
    assert px.sweeps.open_sweep(stored).spec.hash in page.text
    assert not list(stored.glob("*.partial"))


def test_the_page_can_go_elsewhere_and_is_the_same_again(stored, tmp_path, no_pictures):
    first = report(stored, tmp_path / "a.html").read_bytes()
    assert report(stored, tmp_path / "b.html").read_bytes() == first


def test_a_folder_without_a_sweep_is_refused(tmp_path):
    with pytest.raises(SweepError, match="must hold|must be"):
        report(tmp_path)


def test_a_place_that_cannot_be_written_is_refused(stored, tmp_path, no_pictures):
    with pytest.raises(SweepError, match="can be written, but .* cannot: No such file"):
        report(stored, tmp_path / "missing" / "page.html")
