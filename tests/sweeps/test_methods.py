"""Sweeps of gradient flow and least squares, alone and beside descent."""

import functools as ft

import equinox as eqx
import jax
import numpy as np
import pytest

import plateaux as px
from plateaux.statistics import histogram_quantiles, quantiles
from plateaux.sweeps import SweepError, open_sweep, status, sweep
from plateaux.sweeps.grid import grid
from plateaux.sweeps.lanes import _METHOD
from plateaux.sweeps.summary import OUTCOMES

from ..closeness import lane as lane_of
from .conftest import tiny

LEFT_OUT = {"step_size": None, "num_steps": None}
FLOW = LEFT_OUT | {"name": "flow", "t1": 5.0, "rtol": 1e-6, "lanes": 4}
ANLS = LEFT_OUT | {"name": "anls", "num_steps": 40, "tol": 1e-8, "patience": 3}
ALL = {
    "name": ["descent", "flow", "anls"],
    "step_size": 0.05,
    "num_steps": 100,
    "t1": 5.0,
    "flow": {"rtol": 1e-6, "lanes": 4},
    "anls": {"num_steps": 40, "tol": 1e-8, "patience": 3},
}
EVENTS = {"keep_events": True, "max_events": 60}


def by(method, **changes):
    return tiny(initialiser={"name": "he"}, method=method, **changes)


def starts(lanes):
    """Networks of lanes of the tiny sweep, and keys of what their methods draw."""

    def start(lane):
        key = jax.random.fold_in(jax.random.key(7), lane)
        network = px.networks.he(key, width=3, in_dim=1)
        return network, jax.random.fold_in(key, _METHOD)

    return jax.jit(lambda lanes: jax.lax.map(start, lanes))(np.array(lanes, np.int32))


def member(runs, i):
    """The i-th of many runs."""
    arrays, static = eqx.partition(runs, eqx.is_array)
    return eqx.combine(lane_of(arrays, i), static)


@pytest.fixture(scope="module")
def problem():
    return px.problems.sine(num_data=8)


@pytest.fixture(scope="module")
def of_all(tmp_path_factory):
    """A stored sweep of all methods, its folder."""
    folder = tmp_path_factory.mktemp("all")
    sweep(by(ALL, recording=EVENTS), folder)
    return folder


# In batches of the same shape as in the sweep: the same programs, and in others
# roundings may turn a choice.
CHUNKS = [(0, 1), (2, 3)]


def test_lanes_of_flow_are_what_flow_many_gives(problem, of_all):
    data = open_sweep(of_all).dataset
    assert str(data["time_unit"].values[1]) == problem.time_unit
    table_of = eqx.filter_jit(ft.partial(px.plateaus, by="pattern", max_plateaus=10))
    how = {"t1": 5.0, "rtol": 1e-6, "lanes": 4, "save": px.log_spaced(6)}
    with jax.default_device(jax.local_devices()[0]):  # as in a sweep
        runs = [
            px.flow_many(problem, starts(lanes)[0], **how, max_events=60)
            for lanes in CHUNKS
        ]
    for lane in range(4):
        run = member(runs[lane // 2], lane % 2)
        table = table_of(run)
        got = data.isel(point=1, lane=lane)
        np.testing.assert_allclose(got["times"], run.times, rtol=1e-14)
        np.testing.assert_allclose(got["loss"], run.losses, rtol=1e-9)
        count = int(run.events.count)
        assert int(got["event_count"]) == count
        np.testing.assert_array_equal(got["event_neuron"], run.events.neuron)
        np.testing.assert_array_equal(got["event_kind"], run.events.kind)
        np.testing.assert_allclose(
            got["event_time"][:count], run.events.time[:count], rtol=1e-8
        )
        assert int(got["pattern_count"]) == int(table.count)
        np.testing.assert_allclose(got["pattern_start"], table.start, rtol=1e-8)


def test_lanes_of_least_squares_are_what_anls_many_gives(problem, of_all):
    data = open_sweep(of_all).dataset.isel(point=2)
    assert str(data["time_unit"].values) == "steps"
    how = {"num_steps": 40, "tol": 1e-8, "patience": 3, "save": px.log_spaced(6)}
    for lanes in CHUNKS:
        networks, keys = starts(lanes)
        with jax.default_device(jax.local_devices()[0]):  # as in a sweep
            runs = px.anls_many(problem, networks, keys=keys, **how)
        got = data.isel(lane=list(lanes))
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


def test_a_run_that_converged_has_not_failed(of_all):
    codes = open_sweep(of_all).dataset["outcome"].values
    assert (codes[2] == OUTCOMES.index("converged")).any()
    found = status(of_all)
    assert (found.finished, found.failed) == (15, 0)


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
    method = {"step_size": 0.5}
    lanes = {"lanes": 49}
    counted = sweep(by(method, recording=recording, sweep=lanes))
    each = sweep(by(method, sweep=lanes))
    assert "loss" not in counted
    counts = counted["loss_counts"].isel(point=0).sum("part").values
    # the tail is filled up to 50 lanes, of which one does not count
    assert (counts.sum(axis=1) == 49).all()
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
