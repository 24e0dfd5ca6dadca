import json
import os
import signal
import subprocess
import sys
import time

import pytest

from plateaux.experiments import checking, running, shelf

from . import shelves

CLEAN = {"versions": {"jax": "1"}, "git": {"commit": "a", "dirty": False}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shelves.use(monkeypatch, tmp_path)
    return tmp_path


def check(folder, *names, jobs=2, **options):
    found = checking.check(names, folder / "out", "smoke", jobs=jobs, **options)
    return {one.name: one for one in found}


def pretend(monkeypatch, **changes):
    return shelves.pretend(monkeypatch, **CLEAN | changes)


def test_experiments_are_run_one_process_each_and_compared(folder):
    shelves.put(folder, "good")
    shelves.put(folder, "broken", body="raise RuntimeError('no memory')")
    found = check(folder, "good", "broken")
    assert found["good"].agrees
    assert found["good"].problem == ""
    assert found["good"].seconds > 0
    assert "exit code 1: RuntimeError: no memory" in found["broken"].problem
    log = folder / "out" / "good" / checking.LOG
    assert "this many lanes: 1\n" in log.read_text()
    assert [shelves.runs(folder, name) for name in found] == [1, 1]


def test_old_numbers_of_a_run_that_fails_are_not_taken_for_new_ones(folder):
    shelves.put(folder, "one").write_text("raise SystemExit(1)")
    out = folder / "out" / "one"
    out.mkdir(parents=True)
    (out / running.NUMBERS).write_text(json.dumps(shelves.size(1)["numbers"]))
    (out / running.MANIFEST).write_text(json.dumps({"config": {}}))
    found = check(folder, "one")["one"]
    assert found.problem.startswith("ended with exit code 1: nothing was said")


@pytest.mark.parametrize(
    ("code", "changes", "stored"),
    [
        (CLEAN, {}, True),
        ({**CLEAN, "git": None}, {"git": None}, True),  # an installed package
        ({**CLEAN, "git": {"commit": "b", "dirty": False}}, {}, False),
        ({**CLEAN, "versions": {"jax": "2"}}, {}, False),
        (
            {**CLEAN, "git": {"commit": "a", "dirty": True}},
            {"git": {"commit": "a", "dirty": True}},
            False,
        ),
    ],
)
def test_results_of_this_very_code_are_not_made_again(
    folder, monkeypatch, code, changes, stored
):
    made = pretend(monkeypatch, **changes)
    monkeypatch.setattr(shelf, "code_state", lambda: code)
    shelves.put(folder, "one")
    assert not check(folder, "one")["one"].stored
    second = check(folder, "one")["one"]
    assert (second.stored, second.agrees) == (stored, True)
    assert len(made) == (1 if stored else 2)
    assert not check(folder, "one", again=True)["one"].stored


def test_stored_results_are_compared_with_what_is_expected_now(folder, monkeypatch):
    pretend(monkeypatch)
    monkeypatch.setattr(shelf, "code_state", lambda: CLEAN)
    shelves.put(folder, "one")
    assert check(folder, "one")["one"].agrees
    shelves.put(folder, "one", smoke=shelves.size(1, two=0.25))
    found = check(folder, "one")["one"]
    assert (found.stored, found.agrees) == (True, False)
    assert found.disagreements == ["two is 0.5, expected 0.25"]
    (folder / "out" / "one" / running.NUMBERS).unlink()
    assert not check(folder, "one")["one"].stored


def test_a_configuration_that_is_not_the_expected_one_is_told(folder, monkeypatch):
    pretend(monkeypatch, config={"lanes": 2} | shelves.CONFIG)
    shelves.put(folder, "one")
    found = check(folder, "one")["one"]
    assert found.problem == "ran another configuration than is expected at smoke size"
    pretend(monkeypatch, config={"lanes": 1} | shelves.CONFIG | {"parts": ["one"]})
    assert "another configuration" in check(folder, "one")["one"].problem


def test_one_broken_expectation_does_not_stop_the_others(folder, monkeypatch):
    pretend(monkeypatch)
    shelves.put(folder, "good")
    shelves.put(folder, "broken")
    (folder / "expected" / "broken.json").write_text("{")
    (folder / "expected" / "long.json").write_text(
        json.dumps({"full": shelves.size(4)})
    )
    found = check(folder, "broken", "good", "long")
    assert found["good"].agrees
    assert "must say what experiment broken gives" in found["broken"].problem
    assert found["long"].problem == "expects nothing at smoke size"


def test_the_longest_comes_first(folder, monkeypatch):
    made = pretend(monkeypatch)
    for name, seconds in (("a", 1), ("b", 3), ("c", 2)):
        shelves.put(folder, name, smoke=shelves.size(1, seconds))
    check(folder, "a", "b", "c", "a", jobs=1)
    assert made == ["b", "c", "a"]


INTERRUPTED = """
import sys
from pathlib import Path
from plateaux import cli
from plateaux.experiments import shelf
folder = Path(sys.argv[1])
shelf.folder = lambda: folder
words = ["experiments", "check", "--jobs", "2", "--out", str(folder / "out")]
sys.exit(cli.main(words))
"""


def test_an_interruption_ends_what_runs_and_keeps_what_has_ended(tmp_path):
    shelves.put(tmp_path, "done", seconds=9)
    for name in ("first", "second"):
        shelves.put(tmp_path, name, body="time.sleep(600)")
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, tmp_path], stderr=subprocess.PIPE, text=True
    )
    began = time.monotonic()
    manifest = tmp_path / "out" / "smoke" / "done" / running.MANIFEST
    sleeping = lambda: sum(shelves.runs(tmp_path, n) for n in ("first", "second"))
    while process.poll() is None and not (manifest.exists() and sleeping() == 2):
        time.sleep(0.05)
        assert time.monotonic() - began < 120
    process.send_signal(signal.SIGINT)  # to this process alone
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "1 of 3: done" in said
    assert "Interrupted: 1 of 3 have ended" in said
    assert "Traceback" not in said
    assert manifest.exists()
    for name in ("first", "second"):
        assert not (manifest.parents[1] / name / running.MANIFEST).exists()
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / f"{name}.runs").read_text()), 0)
