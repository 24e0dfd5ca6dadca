import dataclasses
import re

import jax.numpy as jnp
import pytest

from plateaux.sweeps import SweepError, memory, sweep
from plateaux.sweeps.lanes import prepare
from plateaux.sweeps.memory import chunk_bytes, memory_bytes

from .conftest import tiny


@pytest.fixture
def one():
    return tiny(initialiser={"name": "he"}, sweep={"lanes": 64, "chunk": 64})


def test_bytes_of_a_chunk_are_at_least_those_of_its_results(one):
    (ready,) = prepare(one)
    # losses and times at 6 times, the network, 40 events of four numbers
    least = 64 * (6 + 6 + 9) * jnp.dtype(float).itemsize + 64 * 40 * 4 * 4
    found = chunk_bytes(ready, 64)
    assert least < found < 100 * least
    assert 1.8 < chunk_bytes(ready, 128) / found < 2.2


def test_a_chunk_that_does_not_fit_is_refused_with_the_largest_that_does(
    one, tmp_path, monkeypatch
):
    (ready,) = prepare(one)
    room = chunk_bytes(ready, 40) / memory.SHARE
    monkeypatch.setattr(memory, "memory_bytes", lambda: 2 * room)
    with pytest.raises(SweepError, match="one of 64 lanes takes .* KiB") as caught:
        sweep(one, tmp_path / "out", workers=2)
    fits = int(re.search(r"`sweep.chunk` that fits is (\d+)\.", str(caught.value))[1])
    assert 30 <= fits <= 40
    assert not (tmp_path / "out" / "manifest.json").exists()
    table = dataclasses.replace(one.sweep, chunk=fits)
    fitting = dataclasses.replace(one, sweep=table)
    assert bool(sweep(fitting, tmp_path / "out", workers=2)["done"].all())


def test_not_even_one_lane(one, monkeypatch):
    monkeypatch.setattr(memory, "memory_bytes", lambda: 100)
    with pytest.raises(SweepError, match="not even a chunk of one lane fits"):
        sweep(one)


def test_memory_of_this_machine(monkeypatch):
    whole = memory_bytes()
    assert 2**28 < whole < 2**48
    monkeypatch.setattr(memory, "_group_limits", lambda: [12345, 2**60])
    assert memory_bytes() == 12345


@pytest.mark.parametrize(
    ("size", "words"), [(12, "12 B"), (2048, "2 KiB"), (3 * 2**40, "3072 GiB")]
)
def test_sizes_in_words(size, words):
    assert memory._size(size) == words
