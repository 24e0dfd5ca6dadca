import importlib.util
import json
import sys
import time

import pytest

from plateaux.experiments import main, running
from plateaux.experiments.waiting import ticking

from . import shelves


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Run tmp_path/one.py with these words in this process: its exit code."""
    monkeypatch.chdir(tmp_path)
    shelves.use(monkeypatch, tmp_path)

    def started(*words):
        spec = importlib.util.spec_from_file_location("one", "one.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "one", module)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, "argv", ["one.py", *words])
        with pytest.raises(SystemExit) as ended:
            main("one.py", module.run, module.Config(lanes=1))
        return ended.value.code

    return started


def read(folder, name):
    return json.loads((folder / name).read_text())


def test_a_run_leaves_numbers_and_a_manifest(start, tmp_path, capsys):
    shelves.put(tmp_path, "one")
    assert start() == 0
    out = tmp_path / "runs" / "experiments" / "one"
    assert read(out, running.NUMBERS) == shelves.size(4)["numbers"]
    manifest = read(out, running.MANIFEST)
    assert manifest["config"] == {"lanes": 4} | shelves.CONFIG
    assert manifest["disagreements"] == []
    assert manifest["versions"]["jax"]
    assert "this many lanes: 4\nas expected; 0 s" in capsys.readouterr().out


def test_smoke_size_and_options(start, tmp_path, capsys):
    shelves.put(tmp_path, "one")
    assert start("--smoke") == 0
    out = tmp_path / "runs" / "experiments" / "smoke" / "one"
    assert read(out, running.MANIFEST)["config"]["lanes"] == 1
    assert start("--smoke", "--lanes", "3", "--steps", "5", "--out", "here") == 0
    config = read(tmp_path / "here", running.MANIFEST)["config"]
    assert config["lanes"] == 3
    assert config["inner"] == {"steps": 5}
    assert "no numbers are expected" in capsys.readouterr().out


def test_help_says_what_it_shows_and_what_options_mean(start, tmp_path, capsys):
    shelves.put(tmp_path, "one")
    assert start("--help") == 0
    text = capsys.readouterr().out
    for words in (
        "What one shows",
        "How many networks",
        "--smoke",
        "How many. (",
        "python one.py",
    ):
        assert words in text


def test_differences_end_with_code_1(start, tmp_path, capsys):
    shelves.put(tmp_path, "one", smoke=shelves.size(1, two=0.25))
    assert start("--smoke") == 1
    assert (
        "differs:\ntwo is 0.5, expected 0.25\nnot as expected; 0 s"
        in capsys.readouterr().out
    )
    out = tmp_path / "runs" / "experiments" / "smoke" / "one"
    said = read(out, running.MANIFEST)["disagreements"]
    assert said == ["two is 0.5, expected 0.25"]


def test_numbers_of_parts_not_run_are_not_compared(start, tmp_path, capsys):
    shelves.put(tmp_path, "one", smoke=shelves.size(1, two=0.25))
    assert start("--smoke", "--parts", "one") == 0
    assert "as expected" in capsys.readouterr().out


def refused(start, capsys, *words):
    assert start(*words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_unknown_parts_are_refused_before_anything_runs(start, tmp_path, capsys):
    shelves.put(tmp_path, "one")
    said = refused(start, capsys, "--parts", "one", "tow")
    assert "The part must be one of one, two, but is 'tow'; did you mean 'two'" in said
    assert shelves.runs(tmp_path, "one") == 0


def test_broken_rules_are_refused_before_anything_runs(start, tmp_path, capsys):
    shelves.put(tmp_path, "one", rules=[{"of": "*", "why": "no kind"}])
    assert "`rtol`" in refused(start, capsys)
    assert shelves.runs(tmp_path, "one") == 0


def test_an_interrupted_run_leaves_no_manifest(start, tmp_path, capsys):
    shelves.put(tmp_path, "one")
    assert start("--smoke") == 0
    shelves.put(tmp_path, "one", body="raise KeyboardInterrupt")
    capsys.readouterr()
    assert start("--smoke") == 130
    assert capsys.readouterr().err.startswith("Interrupted: ")
    out = tmp_path / "runs" / "experiments" / "smoke" / "one"
    assert not (out / running.MANIFEST).exists()


def test_a_word_from_time_to_time(capsys):
    with ticking(7.0, every=0.1):
        time.sleep(0.5)
    assert capsys.readouterr().err.startswith("... 0 of some 7 s\n")
    with ticking(None, every=0.1):
        pass
    with ticking(20000.0, every=0.1):  # seldom where it takes long
        time.sleep(0.3)
    assert capsys.readouterr().err == ""
