import shutil

import numpy as np
import pytest

from plateaux.sweeps import SweepError, merge, open_sweep, status, sweep
from plateaux.sweeps.locks import locked
from plateaux.sweeps.manifest import read_manifest, write_manifest
from plateaux.sweeps.parts import Part
from plateaux.sweeps.store import chunk_file, import_zarr

from .conftest import tiny


@pytest.fixture(scope="module")
def halves(spec, tmp_path_factory):
    """The two halves of the tiny sweep, each in a folder of its own."""
    folders = [tmp_path_factory.mktemp("half") / str(i) for i in (0, 1)]
    for i, folder in enumerate(folders):
        sweep(spec, folder, part=f"{i}/2")
    return folders


@pytest.fixture
def copies(halves, tmp_path):
    return [shutil.copytree(half, tmp_path / half.name) for half in halves]


def test_halves_make_a_whole(halves, results, tmp_path):
    assert [status(half).chunks_done for half in halves] == [3, 3]
    first = [open_sweep(half).done for half in halves]
    assert not np.any(first[0] & first[1])
    assert merge(halves, tmp_path / "out") == tmp_path / "out"
    found = open_sweep(tmp_path / "out")
    assert found.dataset.load().identical(results)
    assert len(found.manifest["runs"]) == 2
    assert found.manifest["finished"] is not None
    assert found.manifest["started"] == min(
        open_sweep(half).manifest["started"] for half in halves
    )


def test_into_a_folder_of_the_sweep_and_then_resumed(spec, copies, results, tmp_path):
    chunk_file(copies[1], spec, "done", 1, 2).unlink()
    chunk_file(copies[0], spec, "done", 0, 0).unlink()
    assert merge([copies[1]], copies[0]) == copies[0]
    assert status(copies[0]).chunks_done == 4
    assert status(copies[0]).ended is None
    sweep(spec, copies[0])
    assert open_sweep(copies[0]).dataset.load().identical(results)


def test_chunks_that_both_hold_must_be_equal(spec, copies, results, tmp_path):
    both = merge(copies, tmp_path / "both")
    assert status(merge([both, *copies], tmp_path / "again")).complete
    array = import_zarr().open_group(both / "store.zarr")["loss"]
    array[1, 2:4] = np.nextafter(array[1, 2:4], 1)
    with pytest.raises(SweepError, match="chunk 1 of point 1 has other numbers in"):
        merge([copies[0], both], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_part_is_every_nth_chunk():
    found = Part(1, 3).of(np.zeros((2, 4), bool))
    np.testing.assert_array_equal(found, [[0, 1, 0, 0], [1, 0, 0, 1]])


@pytest.mark.parametrize("part", ["3/3", "1", "a/b", (0, 0), (-1, 2), (0.0, 2), 1])
def test_parts_that_are_none(spec, tmp_path, part):
    with pytest.raises(ValueError, match="`part` must be I/N with a whole number I"):
        sweep(spec, tmp_path, part=part)


def test_parts_and_whole_runs_keep_out_of_each_others_way(spec, copies):
    with locked(copies[0], Part(0, 2)):
        with pytest.raises(SweepError, match="write to .*, but another one is run"):
            sweep(spec, copies[0])
        with pytest.raises(SweepError, match="must train part 0/2 of .* is at it"):
            sweep(spec, copies[0], part=(0, 2))
        assert bool(sweep(spec, copies[0], part=(1, 2))["done"].all())
    with locked(copies[0]), pytest.raises(SweepError, match="one is running this sw"):
        sweep(spec, copies[0], part=(1, 2))


def test_a_part_leaves_the_files_that_others_are_writing(spec, copies):
    other = copies[0] / "store.zarr" / "loss" / "c" / "x.partial"
    other.touch()
    sweep(spec, copies[0], part=(0, 2))
    assert other.exists()
    sweep(spec, copies[0])
    assert not other.exists()


def test_refusals(spec, copies, tmp_path):
    with pytest.raises(SweepError, match="at least one folder to merge"):
        merge([], tmp_path / "out")
    with pytest.raises(SweepError, match="must hold a sweep"):
        merge([copies[0], tmp_path], tmp_path / "out")
    with pytest.raises(SweepError, match="must have a folder, but `out` is None"):
        sweep(spec, part=(0, 2))
    with pytest.raises(SweepError, match="in one way, but has part 0/2 and dask"):
        sweep(spec, tmp_path / "x", part=(0, 2), dask="local")

    other = tmp_path / "other"
    sweep(tiny(sweep={"seed": 8}), other, part=(0, 6))
    with pytest.raises(SweepError, match="`sweep.seed` is 7 there and 8 here"):
        merge([copies[0], other], tmp_path / "out")

    manifest = read_manifest(copies[1])
    label = "initialiser.name=pytorch"
    write_manifest(copies[1], manifest | {"data": manifest["data"] | {label: "?"}})
    with pytest.raises(SweepError, match="those of point 'initialiser.name=pytorch'"):
        merge(copies, tmp_path / "out")
    write_manifest(copies[1], manifest | {"schema_version": 99})
    with pytest.raises(SweepError, match="must have schema version"):
        merge(copies, tmp_path / "out")
    write_manifest(copies[1], manifest)

    file = chunk_file(copies[1], spec, "loss", 1, 0)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(SweepError, match="are damaged"):
        merge(copies, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_versions_are_refused_while_there_is_work(spec, copies, results):
    manifest = read_manifest(copies[0])
    manifest["runs"][0]["versions"]["jax"] = "0.4.1"
    write_manifest(copies[0], manifest)
    for part in (None, (1, 2)):
        with pytest.raises(SweepError, match="started with, but jax is 0.4.1 there an"):
            sweep(spec, copies[0], part=part)
    whole = merge(copies, copies[0].parent / "whole")
    assert sweep(spec, whole).load().identical(results)
