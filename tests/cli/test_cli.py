import json
import os
import signal
import subprocess
import sys
import time

import pytest

from plateaux import cli, doctor
from plateaux.sweeps import open_sweep, status
from plateaux.sweeps.store import chunk_file

SPEC = """
name = "small"
[problem]
name = "sine"
num_data = 8
[network]
width = 3
[initialiser]
name = ["he", "pytorch"]
[method]
step_size = 0.05
num_steps = 20
[recording]
num_times = 6
max_events = 40
[plateaus]
max_plateaus = 10
[sweep]
lanes = 5
chunk = 2
seed = 7
"""
# one grid point, whose program is compiled soon
LONG = SPEC.replace("lanes = 5", "lanes = 4000").replace('["he", "pytorch"]', '"he"')
LONG = LONG.replace("[plateaus]", '[plateaus]\nby = ["slope"]')


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "spec.toml"
    path.write_text(SPEC)
    return str(path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    (folder / "spec.toml").write_text(SPEC)
    out = folder / "out"
    arguments = [
        "sweep",
        "run",
        str(folder / "spec.toml"),
        "--out",
        str(out),
        "--quiet",
    ]
    assert cli.main(arguments) == 0
    return str(out)


def refusal(capsys, *arguments):
    """The sentence with which these arguments are refused."""
    with pytest.raises(SystemExit) as caught:
        cli.main(list(arguments))
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "Traceback" not in printed.err
    return printed.err


def test_run_then_status_as_json(file, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert cli.main(["sweep", "run", file, "--out", out, "--json"]) == 0
    printed = capsys.readouterr()
    ran = json.loads(printed.out)
    assert (ran["stored"], ran["lanes"], ran["chunks_done"]) == (10, 10, 6)
    assert "10/10" in printed.err  # the progress bar
    assert "finished=10" in printed.err
    assert cli.main(["sweep", "status", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ran


def test_status_in_words(finished, capsys):
    assert cli.main(["sweep", "status", finished]) == 0
    text = capsys.readouterr().out
    assert "10 of 10 lanes, 6 of 6 chunks" in text
    assert "10 finished" in text


def test_quiet_run_prints_no_progress(file, tmp_path, capsys):
    cli.main(["sweep", "run", file, "--out", str(tmp_path / "x"), "--quiet"])
    assert capsys.readouterr().err == ""


def test_default_folder_is_named_after_the_spec(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sweep", "run", file, "--quiet"]) == 0
    assert open_sweep(tmp_path / "runs" / "small").finished


def test_resume_repairs(finished, capsys):
    stored = open_sweep(finished)
    chunk_file(stored.directory, stored.spec, "done", 0, 1).unlink()
    assert cli.main(["sweep", "status", finished]) == 0
    assert f"plateaux sweep resume {finished}" in capsys.readouterr().out
    assert cli.main(["sweep", "resume", finished, "--quiet"]) == 0
    assert "10 of 10 lanes" in capsys.readouterr().out


def test_export(finished, tmp_path, capsys):
    arguments = ["sweep", "export", finished, "--out", str(tmp_path), "--json"]
    assert cli.main([*arguments, "--format", "parquet"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert files == [str(tmp_path / f"{n}.parquet") for n in ("lanes", "plateaus")]
    assert cli.main(["sweep", "export", finished, "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / f"{n}.csv") for n in ("lanes", "plateaus")
    ]


def test_parts_and_merge(file, tmp_path, capsys):
    folders = [str(tmp_path / name) for name in ("a", "b")]
    for number, out in enumerate(folders):
        words = ["sweep", "run", file, "--out", out, "--part", f"{number}/2"]
        assert cli.main([*words, "--quiet", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["chunks_done"] == 3
    out = str(tmp_path / "out")
    assert cli.main(["sweep", "merge", *folders, "--out", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stored"] == 10
    assert "add --out" in refusal(capsys, "sweep", "merge", *folders)
    assert "must be I/N" in refusal(capsys, "sweep", "resume", out, "--part", "2/2")
    text = refusal(capsys, "sweep", "merge", out, str(tmp_path), "--out", out)
    assert "must hold a sweep" in text


def test_scheduler_that_cannot_be_reached(file, tmp_path, capsys):
    words = ["sweep", "run", file, "--out", str(tmp_path / "x"), "--dask"]
    assert "must be reachable at 'no://one'" in refusal(capsys, *words, "no://one")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("words", "whole"),
    [
        (["--dask"], ["--dask", "local"]),
        (["--dask", "--quiet"], ["--dask", "local", "--quiet"]),
        (["--dask", "tcp://a:1"], ["--dask", "tcp://a:1"]),
        (["--out", "dask"], ["--out", "dask"]),
    ],
)
def test_dask_without_an_address_is_on_this_machine(words, whole):
    assert cli._with_local(words) == whole


@pytest.mark.slow
def test_interrupted_cluster_leaves_a_sweep_that_resumes(tmp_path):
    interrupted(tmp_path, LONG, "--dask", "local")


def test_dry_run(file, tmp_path, capsys):
    out = str(tmp_path / "out")
    arguments = ["sweep", "run", file, "--out", out, "--dry-run"]
    assert cli.main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["points"] == ["initialiser.name=he", "initialiser.name=pytorch"]
    assert (found["lanes"], found["chunk"], found["num_chunks"]) == (5, 2, 6)
    assert found["num_bytes"] > 0
    assert found["seconds"] > 0
    assert "timed probe" in found["how"]
    assert not os.path.exists(out)
    assert cli.main(arguments) == 0
    text = capsys.readouterr().out
    assert "chunks    6" in text
    assert "timed probe" in text


def test_doctor(capsys, monkeypatch):
    assert cli.main(["doctor"]) == 0
    assert "Healthy: every self-check passed." in capsys.readouterr().out
    bad = lambda: doctor.Check("batched sums", False, "1 of 4 lanes wrong")
    monkeypatch.setattr(doctor, "CHECKS", (bad,))
    assert cli.main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["healthy"] is False
    assert found["checks"][0]["detail"] == "1 of 4 lanes wrong"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lanes = 5", "lane = 5", r"did you mean 'lanes'"),
        ('"he", "pytorch"', '"hee"', "did you mean 'he'"),
        ("step_size = 0.05", "step_size = 0.0", "`method.step_size` must be positive"),
        ("width = 3", "width = 0", "`network.width` must be at least 1, but is 0"),
        ("num_data = 8", "num_data = 1", "`num_data` must be at least 2, but is 1"),
        ("[sweep]", "[sweep", "must be valid TOML"),
        ("num_data = 8", "num_data = nan", "`problem.num_data` must be finite"),
    ],
)
def test_bad_specifications(tmp_path, capsys, old, new, message):
    path = tmp_path / "spec.toml"
    path.write_text(SPEC.replace(old, new))
    assert message in refusal(capsys, "sweep", "run", str(path), "--quiet")


def test_bad_folders(file, finished, tmp_path, capsys):
    empty = str(tmp_path)
    for action in ("status", "resume", "export"):
        assert "must hold a sweep" in refusal(capsys, "sweep", action, empty)
    (tmp_path / "f").write_text("")
    text = refusal(capsys, "sweep", "run", file, "--out", str(tmp_path / "f" / "x"))
    assert "must be writable" in text
    other = tmp_path / "other.toml"
    other.write_text(SPEC.replace("seed = 7", "seed = 8"))
    text = refusal(capsys, "sweep", "run", str(other), "--out", finished)
    assert "`sweep.seed` is 7 there and 8 here" in text
    text = refusal(capsys, "sweep", "run", str(tmp_path / "none.toml"))
    assert "cannot be read: No such file" in text


def test_damaged_store(file, tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["sweep", "run", file, "--out", str(out), "--quiet"]) == 0
    damaged = chunk_file(out, open_sweep(out).spec, "loss", 0, 0)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    capsys.readouterr()
    assert "are damaged" in refusal(capsys, "sweep", "export", str(out))
    assert cli.main(["sweep", "resume", str(out), "--quiet"]) == 0
    assert cli.main(["sweep", "export", str(out)]) == 0


def test_wrong_options_are_told_the_right_one(file, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["sweep", "run", file, "--dryrun"])
    assert caught.value.code == 2
    assert "--dry-run" in capsys.readouterr().err


def test_a_bug_is_not_dressed_up_as_bad_input(file, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def broken(*arguments, **named):
        raise ValueError("a bug")

    monkeypatch.setattr("plateaux.sweeps.run._fill", broken)
    with pytest.raises(ValueError, match="a bug"):
        cli.main(["sweep", "run", file, "--quiet"])


def test_help_loads_no_jax():
    code = (
        "import sys\n"
        "from plateaux import cli\n"
        "try:\n    cli.main(sys.argv[1:])\n"
        "except SystemExit as stop:\n    assert stop.code == 0\n"
        "heavy = {'jax', 'numpy', 'zarr', 'xarray', 'pandas', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    arguments = [["--help"], ["sweep", "--help"], ["sweep", "run", "--help"]]
    for words in arguments:
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "usage: plateaux" in done.stdout


def test_interruption_leaves_a_sweep_that_resumes(tmp_path):
    interrupted(tmp_path, LONG)


def interrupted(tmp_path, text, *words):
    """Run this specification, and press Ctrl-C after the first chunk."""
    path, out = tmp_path / "spec.toml", tmp_path / "out"
    path.write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-m", "plateaux", "sweep", "run", path, "--out", out, *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    marks = out / "store.zarr" / "done" / "c"
    while process.poll() is None and not (marks.exists() and any(marks.iterdir())):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all processes
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert f"`plateaux sweep resume {out}` goes on from them." in err
    assert "Traceback" not in err
    found = status(out)
    assert 0 < found.chunks_done < found.chunks == 2000
    assert found.chunks_damaged == 0
