"""`plateaux experiments`, on a shelf of tiny experiments."""

import json
import subprocess
import sys

import pytest

from plateaux import cli
from plateaux.experiments import shelf

from ..experiments import shelves


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shelves.use(monkeypatch, tmp_path)
    shelves.put(tmp_path, "one", seconds=7)
    shelves.put(tmp_path, "other", seconds=8, smoke=shelves.size(1, two=0.25))
    return tmp_path


def refusal(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        cli.main(["experiments", *words])
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


def test_list(folder, capsys):
    assert cli.main(["experiments", "list"]) == 0
    head, one, other = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["full", "smoke", "seconds"]
    assert one.split(maxsplit=3) == ["one", "1", "7", "What one shows"]
    assert other.startswith("other ")
    assert cli.main(["experiments", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["experiments"]
    assert found[0] == {
        "name": "one",
        "title": "What one shows",
        "seconds": {"full": 1.0, "smoke": 7},
    }


def test_list_tells_a_broken_expectation_and_does_without_a_size(folder, capsys):
    file = folder / "expected" / "one.json"
    file.write_text(json.dumps({"full": shelves.size(4)}))
    assert cli.main(["experiments", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["one", "1", "–"]
    file.write_text("{")
    assert "must say what experiment one gives" in refusal(capsys, "list")


def test_run_hands_over_options_and_exit_code(folder, capfd):
    assert cli.main(["experiments", "run", "one", "--smoke", "--out", "here"]) == 0
    assert "this many lanes: 1" in capfd.readouterr().out
    assert (folder / "here" / "manifest.json").exists()
    assert cli.main(["experiments", "run", "one", "--parts", "three"]) == 2
    assert "The part must be one of one, two" in capfd.readouterr().err
    assert cli.main(["experiments", "run", "one", "--help"]) == 0
    said = capfd.readouterr().out
    assert "usage: plateaux experiments run one " in said
    assert "What one shows" in said


def test_unknown_names_are_refused_with_the_nearest(folder, capsys):
    assert "did you mean 'other'?" in refusal(capsys, "run", "othr")
    assert "did you mean 'other'?" in refusal(capsys, "check", "one", "othr")
    assert not (folder / "runs").exists()
    assert "--jobs is 0" in refusal(capsys, "check", "--jobs", "0")


def test_check_says_a_line_each_and_fails_if_one_differs(folder, capsys):
    assert cli.main(["experiments", "check"]) == 1
    printed = capsys.readouterr()
    assert printed.out == "differ or failed: other\n"
    assert "plateaux: 2 of 2: " in printed.err
    assert "s): as expected\n" in printed.err
    assert "s): differs:\n  two is 0.5, expected 0.25\n" in printed.err
    assert (folder / "runs" / "experiments" / "smoke" / "one" / "log.txt").exists()


def test_check_as_json_takes_each_name_once(folder, capsys, monkeypatch):
    shelves.pretend(monkeypatch)
    assert cli.main(["experiments", "check", "one", "one", "--json"]) == 0
    printed = capsys.readouterr()
    (one,) = json.loads(printed.out)["experiments"]
    assert (one["name"], one["agrees"], one["disagreements"]) == ("one", True, [])
    assert "1 of 1" in printed.err


def test_full_size_goes_into_a_folder_of_its_own(folder, capsys, monkeypatch):
    shelves.pretend(monkeypatch)
    words = ["experiments", "check", "one", "--full", "--out", "here"]
    assert cli.main(words) == 0
    manifest = json.loads((folder / "here" / "one" / "manifest.json").read_text())
    assert manifest["config"]["lanes"] == 4
    assert capsys.readouterr().out == "all as expected\n"


def test_helps_are_quick_and_load_no_jax():
    code = (
        "import sys\n"
        "from plateaux import cli\n"
        "for words in (['run'], ['list'], ['check'], []):\n"
        "    try:\n"
        "        cli.main(['experiments', *words, '--help'])\n"
        "    except SystemExit as stop:\n"
        "        assert stop.code == 0\n"
        "assert not {'jax', 'numpy', 'matplotlib'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=shelf.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: plateaux experiments") == 4
