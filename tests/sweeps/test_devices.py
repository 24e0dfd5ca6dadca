import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import multihost_utils

from plateaux.sweeps import SweepError, open_sweep, over_devices, status, sweep

HERE = Path(__file__).parent
FLAGS = os.environ.get("XLA_FLAGS", "")


def start(script, *arguments, flags=FLAGS):
    return subprocess.Popen(
        [sys.executable, HERE / script, *map(str, arguments)],
        env=os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": os.getcwd()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process, text):
    _, errors = process.communicate(text, timeout=300)
    assert process.returncode == 0, errors


TWO = f"{FLAGS} --xla_force_host_platform_device_count=2"


@pytest.mark.slow
def test_two_devices_give_the_bits_of_one_for_flow():
    end(start("two_devices.py", "flow", flags=TWO), "")


def test_two_devices_give_the_bits_of_one(spec, results, tmp_path):
    end(start("two_devices.py", tmp_path, flags=TWO), spec.to_toml())
    found = open_sweep(tmp_path)
    assert found.manifest["runs"][0]["num_devices"] == 2
    assert found.dataset.load().identical(results)


def test_every_process_trains_its_part(spec, results, tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(multihost_utils, "sync_global_devices", waited.append)
    with pytest.raises(SweepError, match="must have a folder"):
        sweep(spec)
    for number, chunks in ((1, 3), (0, 6)):
        monkeypatch.setattr(jax, "process_index", lambda number=number: number)
        sweep(spec, tmp_path)
        assert status(tmp_path).chunks_done == chunks
    found = open_sweep(tmp_path)
    assert len(found.manifest["runs"]) == len(waited) == 2
    assert found.manifest["finished"]
    assert found.dataset.load().identical(results)


def test_two_processes_run_one_program_and_share_a_sweep(spec, results, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    script, text = "one_of_two_processes.py", spec.to_toml()
    pair = [start(script, address, number, tmp_path) for number in (0, 1)]
    for process in pair:
        process.stdin.write(text)
        process.stdin.close()
        process.stdin = None
    for process in pair:
        end(process, None)
    found = open_sweep(tmp_path)
    assert len(found.manifest["runs"]) == 2
    assert found.manifest["finished"]
    assert found.dataset.load().identical(results)


def test_one_device_and_other_arguments():
    double = over_devices(lambda factor, a: {"x": factor * a["x"]}, in_axes=(None, 0))
    found = double(2.0, {"x": np.arange(3.0)})
    np.testing.assert_array_equal(found["x"], [0.0, 2.0, 4.0])
    traced = jax.jit(lambda a: double(jnp.asarray(3.0), {"x": a})["x"])
    np.testing.assert_array_equal(traced(jnp.arange(2.0)), [0.0, 3.0])


def test_refusals():
    with pytest.raises(ValueError, match=r"0 \(lanes\) or None .*, but has 1"):
        over_devices(jnp.sin, in_axes=1)
    with pytest.raises(ValueError, match="one entry an argument, but has 2 for 1"):
        over_devices(jnp.sin, in_axes=(0, None))(jnp.ones(2))
    with pytest.raises(ValueError, match=r"a multiple of the 1 devices, .* shape \(\)"):
        over_devices(jnp.sin)(jnp.ones(()))
