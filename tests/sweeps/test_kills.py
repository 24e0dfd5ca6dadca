"""Sweeps killed at random moments: nothing lost, nothing wrong."""

import time

import numpy as np
import pytest

from plateaux.sweeps import open_sweep, status, sweep
from plateaux.sweeps.store import marked

from . import victim
from .conftest import tiny


def kill_at_random(spec, directory, cache, count, parts=(None,)):
    """Kill so many runs, by turns soon after a new chunk and after the new start.

    Returns:
        After each kill, the number of stored chunks.
    """
    rng = np.random.default_rng(0)
    stored = []
    for number in range(count):
        sign = (new_mark, new_start)[number % 2]
        before = sign(spec, directory)
        victims = [victim.start(spec.to_toml(), directory, cache, p) for p in parts]
        while sign(spec, directory) == before and victims[0].is_alive():
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 1))
        for process in victims:
            process.kill()
            process.join()
        open_sweep(directory)  # refused if anything is damaged
        stored.append(status(directory).chunks_done)
    return stored


def new_mark(spec, directory):
    return int(marked(spec, directory).sum())


def new_start(spec, directory):
    return directory.joinpath("manifest.json").stat().st_mtime_ns


def check(spec, directory, stored):
    assert stored == sorted(stored)
    assert stored[-1] > 0
    whole = sweep(spec, directory).load()
    assert whole.identical(sweep(spec))
    assert status(directory).complete
    assert not list(directory.rglob("*.partial"))


@pytest.mark.slow
def test_killed_fifty_times(tmp_path):
    spec = tiny(initialiser={"name": "he"}, sweep={"lanes": 4000})
    stored = kill_at_random(spec, tmp_path / "out", tmp_path / "cache", 50)
    assert len(set(stored)) > 25
    assert stored[-1] < 2000
    check(spec, tmp_path / "out", stored)


@pytest.mark.slow
def test_parts_killed_together(tmp_path):
    spec = tiny(initialiser={"name": "he"}, sweep={"lanes": 2000})
    parts = ["0/2", "1/2"]
    stored = kill_at_random(spec, tmp_path / "out", tmp_path / "cache", 10, parts)
    check(spec, tmp_path / "out", stored)
