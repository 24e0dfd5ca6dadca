"""experiments/sweeping.py: a sweep as an experiment."""

import pytest

from plateaux.sweeps.store import chunk_file

from .experiment_files import load

sweeping = load("sweeping")
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


@pytest.fixture
def script(tmp_path):
    (tmp_path / "small.toml").write_text(SPEC)
    return str(tmp_path / "small.py")


def test_tables_of_the_file_beside_the_script_are_replaced(script):
    spec = sweeping.specification(script, sweep={"lanes": 3})
    assert (spec.sweep.lanes, spec.chunk) == (3, 2)
    assert spec.to_dict()["sweep"]["seed"] == 7


def test_only_an_unfinished_sweep_of_the_same_kind_is_gone_on_with(script, tmp_path):
    spec = sweeping.specification(script)
    started = lambda: sweeping.swept(spec, tmp_path / "sweep").manifest["started"]
    first = started()
    second = started()
    assert second != first  # a finished one is run again
    chunk_file(tmp_path / "sweep", spec, "done", 0, 1).unlink()
    assert started() == second
    fewer = sweeping.specification(script, sweep={"lanes": 2})
    chunk_file(tmp_path / "sweep", spec, "done", 0, 1).unlink()
    found = sweeping.swept(fewer, tmp_path / "sweep")
    assert found.done.shape == (2, 2)
    assert found.finished


def test_numbers_of_a_group(script, tmp_path):
    sweep = sweeping.swept(sweeping.specification(script), tmp_path / "sweep")
    he, pytorch = sweeping.by_point(sweep)
    assert (he.label, pytorch.label) == (
        "initialiser.name=he",
        "initialiser.name=pytorch",
    )
    found = sweeping.numbers(he)
    assert found["outcomes"] == {"completed": 5}
    losses = sorted(sweep.dataset["final_loss"].values[0])
    assert found["last loss"]["50 %"] == losses[2]
    estimate, low, high = found["median last loss"]
    assert low <= estimate == losses[2] <= high
    assert found["dead networks"][0] == 0
    assert set(found["plateaus a run"]) == {"slope", "slope, later", "pattern"}
