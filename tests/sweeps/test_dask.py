import os
import signal
import sys
import threading
import time

import distributed
import numpy as np
import pytest

import plateaux.sweeps.distributed as distributed_sweeps
from plateaux.sweeps import SweepError, open_sweep, status, sweep
from plateaux.sweeps.distributed import Order, admitted, train_and_store
from plateaux.sweeps.manifest import read_manifest, write_manifest
from plateaux.sweeps.store import chunk_file, marked

from .conftest import tiny

# Nothing that a cluster's threads leave behind is about this package.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def address():
    """A scheduler whose two workers are threads of this process."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


def test_workers_store_what_one_process_stores(spec, results, address, tmp_path):
    found = sweep(spec, tmp_path / "a", dask=address, progress=True)
    assert found.load().identical(results)
    assert open_sweep(tmp_path / "a").manifest["finished"]
    sweep(spec, tmp_path / "b")
    files = [p.relative_to(tmp_path / "b") for p in (tmp_path / "b").rglob("c/**/*")]
    assert len(files) > 100
    for file in files:
        if (tmp_path / "b" / file).is_file():
            one, other = (tmp_path / name / file for name in "ab")
            assert one.read_bytes() == other.read_bytes()


def test_only_what_is_missing_is_trained(spec, results, address, tmp_path, monkeypatch):
    sweep(spec, tmp_path, part=(0, 2))
    trained, real = [], distributed_sweeps.train_chunk

    def noted(spec, ready, chunk):
        trained.append(3 * ready.point.index + chunk)
        return real(spec, ready, chunk)

    monkeypatch.setattr(distributed_sweeps, "train_chunk", noted)
    assert sweep(spec, tmp_path, dask=address).load().identical(results)
    assert sorted(trained) == [1, 3, 5]


def test_a_chunk_is_never_trained_twice(spec, results, tmp_path, monkeypatch):
    sweep(spec, tmp_path, part=(0, 2))
    order = Order(str(tmp_path), spec.hash, True, 1)
    monkeypatch.setattr("plateaux.sweeps.distributed.train_chunk", None)
    found = train_and_store(order, 0, 2)
    np.testing.assert_array_equal(found["outcome"], results["outcome"][0, 4:])
    with pytest.raises(TypeError, match="not callable"):
        train_and_store(order, 0, 1)


def test_workers_with_other_versions_or_folders_are_refused(
    spec, results, address, tmp_path
):
    sweep(spec, tmp_path)
    for point in (0, 1):
        chunk_file(tmp_path, spec, "done", point, 0).unlink()
    order = Order(str(tmp_path), spec.hash, True, 1)
    assert admitted(order) == spec
    other = Order(str(tmp_path), tiny(sweep={"seed": 8}).hash, True, 1)
    with pytest.raises(SweepError, match="see the same folder .* holds another sweep"):
        admitted(other)
    nowhere = Order(str(tmp_path / "x"), spec.hash, True, 1)
    with pytest.raises(SweepError, match="On worker machine .* must hold a sweep"):
        train_and_store(nowhere, 0, 0)

    manifest = read_manifest(tmp_path)
    manifest["runs"][0]["versions"]["optax"] = "0.0.1"
    write_manifest(tmp_path, manifest)
    with pytest.raises(SweepError, match="On worker machine .* optax is 0.0.1 there"):
        admitted(order)
    with pytest.raises(SweepError, match="must be trained with the versions .* optax"):
        sweep(spec, tmp_path, dask=address)


def test_a_worker_whose_versions_differ_stops_the_run(
    spec, address, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "plateaux.sweeps.distributed.check_versions",
        lambda manifest, directory: (_ for _ in ()).throw(SweepError("jax is old.")),
    )
    with pytest.raises(SweepError, match="^On worker machine .*: jax is old"):
        sweep(spec, tmp_path, dask=address)
    assert status(tmp_path).chunks_done == 0


def test_schedulers_that_cannot_be_reached(spec, tmp_path):
    begun = time.monotonic()
    for address in ("tcp://127.0.0.1:9", "no://where"):
        with pytest.raises(SweepError, match=f"reachable at '{address}'.*8786"):
            sweep(spec, tmp_path / "out", dask=address)
    assert time.monotonic() - begun < 60
    assert not (tmp_path / "out").exists()


def test_dask_that_is_not_installed(spec, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install 'plateaux\[cluster\]'"):
        sweep(spec, tmp_path, dask="local")


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_loses_nothing(tmp_path):
    spec = tiny(initialiser={"name": "he"}, sweep={"lanes": 240})
    killed = []

    def kill(victim):
        while marked(spec, tmp_path / "out").sum() < 10:
            time.sleep(0.005)
        os.kill(victim, signal.SIGKILL)
        killed.append(int(marked(spec, tmp_path / "out").sum()))

    with (
        distributed.LocalCluster(
            n_workers=3,
            threads_per_worker=1,
            dashboard_address=None,
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        victim = min(client.run(os.getpid).values())
        assassin = threading.Thread(target=kill, args=(victim,), daemon=True)
        assassin.start()
        found = sweep(spec, tmp_path / "out", dask=cluster.scheduler_address)
        assassin.join()
        assert victim not in client.run(os.getpid).values()
    assert 10 <= killed[0] < 120
    assert found.load().identical(sweep(spec))
    assert status(tmp_path / "out").complete
