import errno
import itertools
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xarray
import zarr

import plateaux as px
from plateaux.sweeps import SweepError, open_sweep, status, sweep
from plateaux.sweeps.lanes import prepare
from plateaux.sweeps.layout import dimensions, num_bytes, variables
from plateaux.sweeps.locks import locked
from plateaux.sweeps.manifest import proven_bounds
from plateaux.sweeps.store import Store, chunk_file
from plateaux.sweeps.summary import OUTCOMES

from ..variants import most_slow
from .conftest import tiny

HOW = ("cut", "emptied", "flipped", "lost")
COLUMNS = ("start", "end", "dwell", "level", "drop", "censored")


@pytest.fixture(scope="module")
def stored(spec, tmp_path_factory):
    directory = tmp_path_factory.mktemp("stored") / "tiny"
    sweep(spec, directory)
    return directory


@pytest.fixture
def copied(stored, tmp_path):
    return shutil.copytree(stored, tmp_path / "copy")


def test_folder_and_memory_hold_the_same(stored, results):
    assert xarray.open_zarr(
        stored / "store.zarr", consolidated=False, chunks=None
    ).identical(results)


def test_layout(results):
    assert list(results.sizes) == ["point", "lane", "time", "plateau"]
    assert dict(results.sizes) == {"point": 2, "lane": 5, "time": 6, "plateau": 10}
    for by in ("slope", "pattern"):
        for name in COLUMNS:
            assert results[f"{by}_{name}"].dims == ("point", "lane", "plateau")
        for name in ("count", "raw_count", "overflow"):
            assert results[f"{by}_{name}"].dims == ("point", "lane")
    assert results["times"].dims == ("point", "time")
    assert results["loss"].dims == ("point", "lane", "time")
    assert results["outcome"].attrs["flag_values"] == list(range(len(OUTCOMES)))
    for name, array in results.data_vars.items():
        assert array.attrs["long_name"], name
    assert np.all(results["done"])
    assert list(results["initialiser.name"].values) == ["he", "pytorch"]
    assert list(results["label"].values[:1]) == ["initialiser.name=he"]
    assert results["time_unit"].values[0] == "flow time of L = Σ ½ r² / K"
    np.testing.assert_allclose(results["times"][0, -1], 20 * 0.05)


def test_shorter_runs_of_a_grid_are_padded():
    data = sweep(
        tiny(
            initialiser={"name": "he"},
            method={"num_steps": [3, 20]},
            plateaus={"by": ["slope"]},
            sweep={"lanes": 2},
        )
    )
    assert data.sizes["time"] == 6
    np.testing.assert_array_equal(np.isnan(data["loss"][0]), [[0, 0, 0, 0, 1, 1]] * 2)
    np.testing.assert_array_equal(np.isnan(data["times"][0]), [0, 0, 0, 0, 1, 1])
    assert np.all(np.isfinite(data["loss"][1]))
    assert list(data["method.num_steps"].values) == [3, 20]


def test_manifest(stored, spec):
    found = open_sweep(stored)
    assert found.spec == spec
    assert found.finished
    manifest = json.loads((stored / "manifest.json").read_text())
    assert manifest["spec_hash"] == spec.hash
    assert manifest["precision"] == "float64"
    assert manifest["finished"] >= manifest["started"]
    run = manifest["runs"][0]
    assert run["versions"]["zarr"] == zarr.__version__
    assert {"plateaux", "jax", "jaxlib", "numpy", "python"} <= set(run["versions"])
    assert run["device"]
    assert "git" in manifest
    # four lines go through eight data
    labels = found.dataset["label"].values
    assert manifest["proven_bounds"] == dict.fromkeys(labels, 0.0)


def test_bounds_are_those_of_the_width_and_no_lane_is_below(tmp_path):
    sweep(tiny(problem={"num_data": 12}, sweep={"lanes": 2}), tmp_path / "store")
    found = open_sweep(tmp_path / "store")
    best = px.patterns.loss_bounds(px.problems.sine(num_data=12), 3, affine=False)
    assert best.lower > 1e-4
    bounds = found.manifest["proven_bounds"]
    assert list(bounds.values()) == pytest.approx([float(best.lower)] * 2)
    assert np.all(found.dataset["loss"] > float(best.lower))


def test_bounds_are_given_only_where_they_are_proven():
    kinds = {"network": {"kind": ["two_layer"], "activation": ["relu", "tanh"]}}
    ready = prepare(tiny(**kinds, initialiser={"name": "he"}))
    (label,) = proven_bounds(ready)
    assert "relu" in label
    assert not proven_bounds(prepare(tiny(problem={"name": "disk", "num_data": None})))


def test_every_chunk_is_one_file_a_variable(stored, spec):
    files = [
        chunk_file(stored, spec, name, point, chunk)
        for name in variables(spec)
        for point in range(2)
        for chunk in range(3)
    ]
    assert all(file.is_file() for file in files)
    assert not list(stored.rglob("*.partial"))


def test_num_bytes_counts_the_arrays(results):
    swept = {"label", "time_unit", "initialiser.name"}
    expected = sum(
        a.nbytes for name, a in results.variables.items() if name not in swept
    )
    assert num_bytes(tiny()) == expected
    assert dimensions(tiny()) == dict(results.sizes)


def test_nothing_is_trained_again(stored, spec, monkeypatch):
    before = {f: f.stat().st_mtime_ns for f in stored.rglob("c/**/*") if f.is_file()}
    monkeypatch.setattr("plateaux.sweeps.workers.train_chunk", None)
    sweep(spec, stored)
    after = {f: f.stat().st_mtime_ns for f in stored.rglob("c/**/*") if f.is_file()}
    assert before == after


DAMAGES = list(itertools.product(["loss", "slope_censored", "done"], HOW))
FEW = [("loss", how) for how in HOW] + [("slope_censored", "flipped")]
FEW += [("done", "flipped"), ("done", "lost")]


@pytest.mark.parametrize(("name", "how"), most_slow(DAMAGES, FEW))
def test_damage_is_found_and_repaired(copied, spec, results, name, how):
    file = chunk_file(copied, spec, name, 1, 2)
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    damaged = {"cut": raw[:-3], "emptied": b"", "flipped": raw}
    file.unlink()
    if how != "lost":
        file.write_bytes(damaged[how])
    if (name, how) == ("done", "lost"):  # an unfinished chunk, no damage
        assert not open_sweep(copied).finished
    else:
        with pytest.raises(SweepError, match="1 of the done chunks .* are damaged"):
            open_sweep(copied)
        assert status(copied).chunks_damaged == 1
    assert status(copied).chunks_done == 5
    sweep(spec, copied)
    assert open_sweep(copied).dataset.load().identical(results)


def test_a_spec_that_does_not_fit_is_refused(copied):
    before = (copied / "manifest.json").read_text()
    other = tiny(method={"step_size": 0.1}, sweep={"lanes": 6})
    with pytest.raises(
        SweepError, match="`method.step_size` is 0.05 there and 0.1 her"
    ):
        sweep(other, copied)
    assert (copied / "manifest.json").read_text() == before


def test_data_that_changed_are_refused(tmp_path):
    file = tmp_path / "data.csv"
    file.write_text("a,b\n0.0,1.0\n1.0,2.0\n")
    table = {"name": "file", "num_data": None, "path": str(file), "x": ["a"], "y": "b"}
    spec = tiny(problem=table, initialiser={"name": "he"}, sweep={"lanes": 1})
    sweep(spec, tmp_path / "out")
    file.write_text("a,b\n0.0,1.0\n1.0,2.5\n")
    with pytest.raises(SweepError, match="The data must be those .* have changed"):
        sweep(spec, tmp_path / "out")


def test_unwritable_folders_are_refused(spec, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        SweepError, match=r"must be writable, but is not \(Not a direct"
    ):
        sweep(spec, tmp_path / "file" / "out")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "The disk must have room .* is full; chunks stored so far are"),
        (errno.EACCES, r"must be writable, but is not \(Permission denied\)"),
    ],
)
def test_a_full_disk_loses_nothing(spec, results, tmp_path, monkeypatch, code, message):
    real, written = zarr.storage.LocalStore.set, []

    async def failing(self, key, *arguments, **named):
        written.append(key)
        if len([key for key in written if "/c/" in key]) > 60:
            raise OSError(code, "Permission denied")
        return await real(self, key, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(zarr.storage.LocalStore, "set", failing)
        with pytest.raises(SweepError, match=message):
            sweep(spec, tmp_path)
    kept = status(tmp_path)
    assert 0 < kept.chunks_done < kept.chunks
    assert kept.chunks_damaged == 0
    assert sweep(spec, tmp_path).load().identical(results)


def test_stores_opened_by_several_threads_write_fill_values(spec, copied, monkeypatch):
    real = zarr.open_group

    def slow(*arguments, **named):
        time.sleep(0.1)
        return real(*arguments, **named)

    def opened(delay):
        time.sleep(delay)
        store = Store(spec, copied, None, tidy=False)
        return [a.config.write_empty_chunks for a in store.arrays.values()]

    monkeypatch.setattr(zarr, "open_group", slow)
    with ThreadPoolExecutor(2) as pool:
        assert all(map(all, pool.map(opened, [0.0, 0.05])))


def test_two_writers_are_refused(spec, stored):
    with locked(stored), pytest.raises(SweepError, match="Only one process at a time"):
        sweep(spec, stored)


def test_foreign_folders_are_refused(spec, copied, tmp_path):
    with pytest.raises(SweepError, match=r"must hold a sweep, but .* has no manifest"):
        open_sweep(tmp_path)
    (copied / "manifest.json").write_text('{"schema_version": 99}')
    with pytest.raises(SweepError, match="must have schema version 2, but .* has 99"):
        open_sweep(copied)
    (copied / "manifest.json").write_text("[]")
    with pytest.raises(SweepError, match="must be the manifest of a sweep"):
        open_sweep(copied)
    (copied / "manifest.json").unlink()
    with pytest.raises(SweepError, match="has a store.zarr without manifest.json"):
        sweep(spec, copied)
    shutil.rmtree(copied / "store.zarr")
    sweep(spec, copied)
    shutil.rmtree(copied / "store.zarr")
    with pytest.raises(SweepError, match=r"label is missing; `plateaux sweep resume"):
        open_sweep(copied)


def test_spec_must_be_one(tmp_path):
    with pytest.raises(TypeError, match="must be a SweepSpec or the path"):
        sweep({"name": "x"})
