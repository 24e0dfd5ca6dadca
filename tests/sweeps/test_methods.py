"""Sweeps of gradient flow and least squares, alone and beside descent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.statistics import histogram_quantiles, quantiles
from plateaux.sweeps import SweepError, open_sweep, status, sweep
from plateaux.sweeps.grid import grid
from plateaux.sweeps.lanes import _METHOD
from plateaux.sweeps.summary import OUTCOMES

from .conftest import tiny

LEFT_OUT = {"step_size": None, "num_steps": None}
FLOW = LEFT_OUT | {"name": "flow", "t1": 5.0, "rtol": 1e-6, "lanes": 4}
ANLS = LEFT_OUT | {"name": "anls", "num_steps": 8, "tol": 1e-8}
ALL = {
    "name": ["descent", "flow", "anls"],
    "step_size": 0.05,
    "num_steps": 20,
    "t1": 1.0,
    "flow": {"rtol": 1e-6, "lanes": 4},
}
EVENTS = {"keep_events": True, "max_events": 60}


def by(method, **changes):
    return tiny(initialiser={"name": "he"}, method=method, **changes)


def start(lane):
    """Network and key of a lane of the tiny sweep."""
    key = jax.random.fold_in(jax.random.key(7), lane)
    return px.networks.he(key, width=3, in_dim=1), key


@pytest.fixture(scope="module")
def problem():
    return px.problems.sine(num_data=8)


@pytest.fixture(scope="module")
def of_all(tmp_path_factory):
    """A stored sweep of all methods, its folder."""
    folder = tmp_path_factory.mktemp("all")
    sweep(by(ALL, recording=EVENTS), folder)
    return folder


def test_a_lane_of_flow_is_what_flow_gives(problem):
    data = sweep(by(FLOW, recording=EVENTS))
    assert str(data["time_unit"].values[0]) == problem.time_unit
    for lane in range(5):
        network, _ = start(lane)
        save = px.log_spaced(6)
        run = px.flow(problem, network, t1=5.0, rtol=1e-6, save=save, max_events=60)
        got = data.isel(point=0, lane=lane)
        np.testing.assert_allclose(got["times"], run.times, rtol=1e-14)
        np.testing.assert_allclose(got["loss"], run.losses, rtol=1e-9)
        count = int(run.events.count)
        assert int(got["event_count"]) == count
        np.testing.assert_array_equal(got["event_neuron"], run.events.neuron)
        np.testing.assert_array_equal(got["event_kind"], run.events.kind)
        np.testing.assert_allclose(
            got["event_time"][:count], run.events.time[:count], rtol=1e-8
        )
        table = px.plateaus(run, by="pattern", max_plateaus=10)
        assert int(got["pattern_count"]) == int(table.count)
        np.testing.assert_allclose(got["pattern_start"], table.start, rtol=1e-8)


def test_a_lane_of_least_squares_is_what_anls_gives(problem):
    data = sweep(by(ANLS))
    assert str(data["time_unit"].values[0]) == "steps"
    # in batches of the same shape: in another, roundings may turn a choice
    train = lambda network, key: px.anls(
        problem,
        network,
        num_steps=8,
        tol=1e-8,
        key=jax.random.fold_in(key, _METHOD),
        save=px.log_spaced(6),
    )
    for lanes in [(0, 1), (2, 3)]:
        starts = [start(lane) for lane in lanes]
        runs = jax.vmap(train)(*jax.tree.map(lambda *rows: jnp.stack(rows), *starts))
        got = data.isel(point=0, lane=list(lanes))
        np.testing.assert_allclose(got["loss"], runs.losses, rtol=1e-7, atol=1e-20)
        np.testing.assert_array_equal(got["pair_flips"], runs.stats.pair_flips)
    # patterns are not watched at every step: there is no table of such plateaus
    assert (data["pattern_count"] == -1).all()
    assert data["pattern_start"].isnull().all()
    assert (data["slope_count"] >= 0).all()


def test_all_methods_in_one_grid(of_all):
    stored = open_sweep(of_all)  # compares the checksum of every file
    labels = [point.label for point in stored.points]
    assert labels == [f"method.name={name}" for name in ("descent", "flow", "anls")]
    units = stored.dataset["time_unit"].values.tolist()
    assert units[2] == "steps"
    assert units[0] == units[1] != "steps"
    assert bool(stored.dataset["done"].all())
    counts = stored.dataset["event_count"].values
    assert (counts[:2] >= 0).all()
    assert (counts[2] == -1).all()
    # descent by small steps and the flow to the same time go the same way
    loss = stored.dataset["final_loss"].values
    np.testing.assert_allclose(loss[0], loss[1], rtol=0.15)


def test_a_run_that_converged_has_not_failed(tmp_path):
    # as many neurons as there are data: fitted exactly, long before the end
    wide = {"network": {"width": 12}, "sweep": {"lanes": 2}}
    sweep(by(ANLS | {"num_steps": 40, "patience": 3}, **wide), tmp_path)
    codes = open_sweep(tmp_path).dataset["outcome"].values
    assert (codes == OUTCOMES.index("converged")).any()
    found = status(tmp_path)
    assert (found.finished, found.failed) == (2, 0)


def test_a_common_table_of_descent_goes_to_its_optimizers():
    spec = tiny(
        method=LEFT_OUT
        | {
            "name": ["flow", "descent"],
            "t1": 1.0,
            "optimizer": ["sgd", "adam"],
            "descent": {"num_steps": 10, "step_size": 0.1},
            "adam": {"step_size": 0.01},
        }
    )
    methods = [point.settings["method"] for point in grid(spec)][:3]
    assert [one["name"] for one in methods] == ["flow", "descent", "descent"]
    assert [one.get("step_size") for one in methods] == [None, 0.1, 0.01]
    assert [one.get("num_steps") for one in methods] == [None, 10, 10]


def test_histograms_hold_the_quantiles_of_the_curves():
    recording = {"curves": "histogram", "accuracy": 0.02}
    method = {"step_size": 0.5, "num_steps": 30}
    lanes = {"lanes": 50, "chunk": 16}
    counted = sweep(by(method, recording=recording, sweep=lanes))
    each = sweep(by(method, sweep=lanes))
    assert "loss" not in counted
    counts = counted["loss_counts"].isel(point=0).sum("part").values
    # the tail is filled up to 64 lanes, which do not count
    assert (counts.sum(axis=1) == 50).all()
    levels = [0.1, 0.5, 0.9]
    exact = quantiles(each["loss"].values[0], levels)
    got = histogram_quantiles(counts, 0.02, levels)
    np.testing.assert_allclose(got, exact, rtol=0.02 * (1 + 1e-9))
    np.testing.assert_array_equal(counted["final_loss"], each["final_loss"])
    np.testing.assert_array_equal(each["final_loss"], each["loss"][..., -1])


def refused(message, error=ValueError, **changes):
    with pytest.raises(error, match=message):
        sweep(tiny(**changes))


def test_leaves_of_another_method_are_refused():
    refused(
        r"`method.step_size` must be left out for the method 'flow', but is 0.05",
        method=FLOW | {"step_size": 0.05},
    )
    refused(
        r"`method.num_steps` must be left out for the method 'flow'",
        method=FLOW | {"num_steps": 20},
    )
    refused(
        r"must have the key `t1` for the method 'sgd', 'flow', but has none",
        method={"name": ["descent", "flow"]},
    )
    refused(
        r"must have the key `num_steps` for the method 'anls'",
        method=ANLS | {"num_steps": None},
    )
    refused(r"one of .*, but is 'tolerance'; did", method=FLOW | {"tolerance": 1e-3})
    refused(r"`recording.accuracy` must be above 0", recording={"accuracy": 0.0})


def test_what_a_method_cannot_do_is_refused_before_the_run():
    refused(r"`rtol` must be from", SweepError, method=FLOW | {"rtol": 1e-20})
    refused(
        r"to have a gradient flow, but is a TwoLayer with Step",
        SweepError,
        method=FLOW,
        network={"activation": "step"},
    )
    refused(
        r"`min_ratio` must be at least 1, but is 0.5",
        SweepError,
        method=FLOW,
        plateaus={"min_ratio": 0.5},
    )
    refused(r"method must be one of", SweepError, method=ANLS | {"method": "newton"})
    refused(
        r"tanh|Tanh",
        SweepError,
        method=ANLS,
        network={"activation": "tanh"},
    )
