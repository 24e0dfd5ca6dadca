"""Benchmarks start and give numbers; how large these are is no test."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """A function that loads a benchmark as its own script would be."""
    monkeypatch.syspath_prepend(FOLDER)

    def load(name):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    yield load
    sys.modules.pop("common", None)


def test_descent_compares_equals_and_writes_json(
    benchmark, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "torch", None)
    out = tmp_path / "descent.json"
    arguments = ["--lanes", "2", "--width", "3", "--data", "4", "--steps", "10"]
    benchmark("descent").main([*arguments, "--repeats", "2", "--out", str(out)])
    result = json.loads(out.read_text())
    assert set(result["2 lanes"]["ratios"]) == {
        "plain / ours",
        "plain / ours, unwatched",
    }
    times = result["2 lanes"]["nanoseconds_per_lane_step"]
    assert all(len(t["all"]) == 2 and t["min"] > 0 for t in times.values())
    assert "processor" in result["machine"]
    assert "torch: not installed" in capsys.readouterr().out


def test_descent_refuses_to_time_what_is_not_equal(benchmark, monkeypatch):
    module = benchmark("descent")
    args = type("Args", (), {"data": 4, "width": 3, "steps": 10})
    wrong = lambda x, y, params, num_steps: lambda: np.ones(2)
    monkeypatch.setattr(module, "plain", wrong)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        module.check(args, 2)


def test_peak_memory_sees_an_allocation():
    # In a process of its own: a child's peak includes its parent's size at the fork.
    code = (
        "import sys; import memory\n"
        "for work in ('', 'b\\'1\\' * 200_000_000'):\n"
        "    print(memory.peak_of([sys.executable, '-c', work])[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=True,
    )
    small, large = map(float, done.stdout.split())
    assert 150 < large - small < 250


def test_chunks_are_counted_by_their_marks(benchmark, tmp_path):
    stored_chunks = benchmark("first_result").stored_chunks
    marks = tmp_path / "store.zarr" / "done" / "c" / "0"
    assert stored_chunks(tmp_path) == 0
    marks.mkdir(parents=True)
    (marks / "0").touch()
    (marks / "1.partial").touch()
    assert stored_chunks(tmp_path) == 1


def test_anls_times_a_sweep(benchmark, tmp_path):
    out = tmp_path / "anls.json"
    arguments = ["--only", "sweep", "--data", "300", "--repeats", "2"]
    benchmark("anls").main([*arguments, "--out", str(out)])
    assert json.loads(out.read_text())["sweep"]["median"] > 0


def test_curvature_compares_equals(benchmark, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    module = benchmark("curvature")
    monkeypatch.setattr(module, "MANY", 2)
    out = tmp_path / "curvature.json"
    module.main(["--only", "product", "--repeats", "1", "--out", str(out)])
    result = json.loads(out.read_text())
    assert "jax / ours" in result["product"]["ratios"]


@pytest.mark.slow
def test_curvature_along_a_run_is_that_of_its_matrices(benchmark, tmp_path):
    out = tmp_path / "curvature.json"
    arguments = "--only tracking --repeats 1 --steps 4 --times 2".split()
    benchmark("curvature").main([*arguments, "--out", str(out)])
    result = json.loads(out.read_text())
    assert result["tracking"]["all converged"]
    assert result["tracking"]["error of largest in units of rho"] < 1e-5


def test_gradients_compares_equals(benchmark):
    result = benchmark("gradients").steps(3, 4, repeats=1)
    assert set(result["ratios"]) == {
        "pairs / sorted",
        "autodiff / sorted",
        "automatic choice / sorted",
    }


def test_stages_times_moments_and_writes_json(benchmark, tmp_path):
    out = tmp_path / "stages.json"
    arguments = "--only moments --repeats 2 --horizon 1 --widths 3 9"
    benchmark("stages").main([*arguments.split(), "--out", str(out)])
    assert json.loads(out.read_text())["moments"]["ratio"] > 0


@pytest.mark.slow
def test_stages_times_flows(benchmark, tmp_path):
    out = tmp_path / "stages.json"
    arguments = "--only reference batch --repeats 2 --horizon 1 --width 4 --lanes 2"
    benchmark("stages").main([*arguments.split(), "--places", "2", "--out", str(out)])
    result = json.loads(out.read_text())
    assert result["reference"]["steps"] > 0
    assert result["batch"]["completed"] == 2


def test_chains_compare_a_batch_with_one_at_a_time(benchmark, tmp_path):
    out = tmp_path / "chains.json"
    arguments = ["--lanes", "3", "--depth", "4", "--steps", "10", "--singles", "2"]
    benchmark("chains").main([*arguments, "--repeats", "1", "--out", str(out)])
    result = json.loads(out.read_text())
    for part in ("training", "statistics"):
        assert result[part]["throughput ratio, calls"] > 0
        assert result[part]["throughput ratio, programs"] > 0
