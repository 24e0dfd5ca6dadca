import os
import signal

import pytest

from plateaux.sweeps import SweepError, open_sweep, status, sweep

from . import victim
from .conftest import tiny


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A folder for compiled programs, which the processes share."""
    return tmp_path_factory.mktemp("cache")


def kill_at(spec, directory, cache, write):
    """Run the sweep in a process that dies at that file."""
    process = victim.start(spec.to_toml(), directory, cache, fatal=write)
    process.join()
    assert process.exitcode == -signal.SIGKILL


def check_killed(spec, results, directory, cache, writes):
    stored = 0
    for write in writes:
        kill_at(spec, directory, cache, write)
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
def test_killed_sweeps_go_on_as_if_nothing_had_been(spec, results, tmp_path, cache):
    assert check_killed(spec, results, tmp_path / "x", cache, [10, 100]) >= 1


@pytest.mark.slow
def test_killed_at_many_moments(spec, results, tmp_path, cache):
    for write in range(1, 190, 8):
        assert check_killed(spec, results, tmp_path / str(write), cache, [write]) >= 0


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
