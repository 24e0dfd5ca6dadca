"""From a stored sweep to its page."""

import pytest

import plateaux as px
from plateaux.cli import Report
from plateaux.report import report
from plateaux.sweeps import SweepError

from .page import Page


def test_the_page_of_a_stored_sweep(stored, no_pictures):
    file = report(stored)
    assert file == stored / "report.html"
    page = Page(file.read_text(encoding="utf-8"))
    assert page.open_tags == []
    assert "Finished: all 8 lanes are stored." in page.text
    assert page.row("initialiser.scale=0.1", "4 of 4")[0] == "4 completed"
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


def test_the_command_line_chooses_the_run(stored, no_pictures, capsys):
    file = stored / "report.html"
    assert Report(stored, point="1", lane=3)() == 0
    assert "Lane 3 of initialiser.scale=1.0, shown because" in file.read_text("utf-8")
    assert Report(stored, point="initialiser.scale=0.1")() == 0
    assert " of initialiser.scale=0.1, shown because" in file.read_text("utf-8")
    assert Report(stored, view=False)() == 0
    assert "shown because" not in file.read_text("utf-8")
    with pytest.raises(SweepError, match="`lane` must be a stored lane"):
        Report(stored, lane=4)()
    assert capsys.readouterr().out == f"{file}\n" * 3
