import os
import signal
import subprocess
import sys

import pytest

from plateaux.sweeps import SweepError, open_sweep, status, sweep

from .conftest import tiny

# A process that runs the sweep and kills itself, for real, while the given file is
# half written beside its place.
VICTIM = """
import os, signal, sys
import jax
jax.config.update("jax_enable_x64", True)
import zarr.storage._local as local
from plateaux.sweeps import SweepSpec, sweep
directory, fatal = sys.argv[1], int(sys.argv[2])
calm, count = local._put, 0
def put(path, value, *arguments, **named):
    global count
    count += 1
    if count == fatal:
        raw = bytes(value.as_buffer_like())
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path.with_suffix(".killed.partial"), "wb") as file:
            file.write(raw[: len(raw) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return calm(path, value, *arguments, **named)
local._put = put
sweep(SweepSpec.from_toml(sys.stdin.read()), directory, workers=1)
print("survived")
"""


def kill_at(spec, directory, write):
    """Run the sweep in a process that dies at that file; whether it got there."""
    done = subprocess.run(
        [sys.executable, "-c", VICTIM, str(directory), str(write)],
        input=spec.to_toml(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        assert "survived" in done.stdout
        return False
    assert done.returncode == -signal.SIGKILL, done.stderr
    return True


def check_killed(spec, results, directory, writes):
    stored = 0
    for write in writes:
        assert kill_at(spec, directory, write)
        if not directory.joinpath("store.zarr", "done", "zarr.json").exists():
            with pytest.raises(SweepError, match="is missing; `plateaux sweep resume"):
                status(directory)
        elif directory.joinpath("store.zarr", "done", "c").exists():
            now = status(directory)
            assert now.chunks_damaged == 0
            assert now.chunks_done >= stored
            stored = now.chunks_done
    sweep(spec, directory)
    assert open_sweep(directory).dataset.load().identical(results)
    assert not list(directory.rglob("*.partial"))
    return stored


# About 25 files are laid out, then 27 are written a chunk.
def test_killed_sweeps_go_on_as_if_nothing_had_been(spec, results, tmp_path):
    assert check_killed(spec, results, tmp_path / "x", [10, 100]) >= 1


@pytest.mark.slow
def test_killed_at_many_moments(spec, results, tmp_path):
    for write in range(1, 190, 8):
        assert check_killed(spec, results, tmp_path / str(write), [write]) >= 0


def test_an_error_in_between_leaves_what_is_stored(
    spec, results, tmp_path, monkeypatch
):
    from plateaux.sweeps import workers

    real, calls = workers.train_chunk, []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(workers, "train_chunk", failing)
        with pytest.raises(KeyboardInterrupt):
            sweep(spec, tmp_path, workers=1)
    assert status(tmp_path).chunks_done == 3
    assert status(tmp_path).ended is None
    assert sweep(spec, tmp_path).load().identical(results)
    assert status(tmp_path).ended is not None
    assert status(tmp_path).runs == 2


@pytest.mark.parametrize("workers", [1, 3])
def test_results_do_not_depend_on_the_workers(spec, results, workers):
    assert sweep(spec, workers=workers).identical(results)


def test_status_counts(results, tmp_path):
    spec = tiny()
    sweep(spec, tmp_path)
    found = status(tmp_path)
    assert (found.points, found.lanes, found.stored, found.chunks) == (2, 10, 10, 6)
    assert found.complete
    assert found.finished == int((results["outcome"] == 0).sum())
    assert found.failed == 0
    assert found.censored == int(results["slope_censored"].any("plateau").sum())
    assert os.path.samefile(found.directory, tmp_path)
