"""Sweeps that stop when they have seen enough."""

import numpy as np
import pytest

from plateaux.statistics import bernoulli_sequence, quantile_sequence
from plateaux.sweeps import SweepError, status, sweep
from plateaux.sweeps.stopping import StopTable, interval, narrowness, next_round
from plateaux.sweeps.summary import OUTCOMES

from .conftest import tiny


def stop(statistic="plateau", width=0.1, **more):
    return StopTable(statistic=statistic, width=width, **more)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_shares_are_those_of_their_lanes(rng):
    counts = rng.integers(0, 3, size=500)
    found = interval(stop(), {"slope_count": counts}, 100)
    looks = np.array([100, 200, 300, 400, 500])
    running = np.cumsum(counts > 0)[looks - 1]
    expected = bernoulli_sequence(running, looks)
    assert found.estimate == np.mean(counts > 0)
    assert (found.low, found.high) == (expected.low[-1], expected.high[-1])
    codes = rng.choice(len(OUTCOMES), size=500)
    failed = ~np.isin(np.array(OUTCOMES)[codes], ["completed", "converged"])
    found = interval(stop("failure"), {"outcome": codes}, 100)
    assert found.estimate == failed.mean()
    losses = rng.exponential(size=500)
    found = interval(stop("below", threshold=0.7), {"final_loss": losses}, 100)
    assert found.estimate == np.mean(losses < 0.7)


def test_quantiles_are_those_of_their_lanes(rng):
    losses = rng.exponential(size=450)
    losses[7] = np.inf  # diverged
    found = interval(stop("final_loss", probability=0.9), {"final_loss": losses}, 100)
    expected = quantile_sequence(losses, 0.9, at=[100, 200, 300, 400, 450])
    assert (found.low, found.high) == (expected.low[-1], expected.high[-1])


def test_dwells_are_those_of_first_plateaus(rng):
    counts = rng.integers(0, 3, size=400)
    dwells, censored = rng.exponential(size=(400, 5)), rng.random((400, 5)) < 0.2
    lanes = {"slope_count": counts, "slope_dwell": dwells, "slope_censored": censored}
    found = interval(stop("dwell"), lanes, 1000)
    some = counts > 0
    expected = quantile_sequence(
        dwells[some, 0], 0.5, censored=censored[some, 0], at=[some.sum()]
    )
    assert (found.low, found.high) == (expected.low[-1], expected.high[-1])


@pytest.mark.parametrize("statistic", ["plateau", "final_loss", "dwell"])
def test_nothing_is_known_before_the_first_lane(statistic):
    nothing = {
        "slope_count": np.zeros(0, int),
        "final_loss": np.zeros(0),
        "slope_dwell": np.zeros((0, 3)),
        "slope_censored": np.zeros((0, 3), bool),
    }
    found = interval(stop(statistic), nothing, 10)
    assert narrowness(stop(statistic), found) > 1


def test_widths_are_in_units_of_what_is_asked():
    from plateaux.statistics import Interval

    share, ratio = stop(width=0.2), stop("final_loss", width=0.5)
    assert np.isclose(narrowness(share, Interval(0.5, 0.4, 0.7)), 1.5)
    assert np.isclose(narrowness(ratio, Interval(2.0, 1.0, 3.0)), 4.0)
    assert narrowness(ratio, Interval(2.0, 0.0, 3.0)) == np.inf


def play(rule, widths, num_chunks=6, chunk=10, kill=None):
    """Chunks in the order of training; `widths` by point after each round."""
    rng = np.random.default_rng(0)
    done = np.zeros((len(widths), num_chunks), bool)
    after = lambda point, lanes: widths[point][lanes // (chunk * rule.chunks)]
    order = []
    while tasks := next_round(rule, done, chunk, after):
        if kill and rng.random() < 0.7:  # a part of the round only, then on again
            tasks = [tasks[i] for i in rng.permutation(len(tasks))[: len(tasks) // 2]]
        for task in tasks:
            assert not done[task]
            done[task] = True
        order += tasks
    return order


WIDTHS = [[9, 2.0, 1.5, 0.9, 0.5, 0.1], [9, 0.9, 2.0, 2.0, 2.0, 2.0], [9.5] * 6]


def test_the_widest_points_come_first_and_narrow_ones_rest():
    rule = stop(chunks=1)
    first, second, third = [(2, 0), (0, 0), (1, 0)], [(2, 1), (0, 1)], [(2, 2), (0, 2)]
    rest = [(2, 3), (2, 4), (2, 5)]
    assert play(rule, WIDTHS) == first + second + third + rest
    # twos: the first point is narrow after its second round
    widths = [[9, 2.0, 0.9], [9, 0.9, 2.0], [9.5] * 3]
    assert play(stop(chunks=2), widths)[:6] == [(2, 0), (2, 1), (0, 0), (0, 1)] + [
        (1, 0),
        (1, 1),
    ]
    assert (0, 4) not in play(stop(chunks=2), widths)


def test_a_budget_ends_a_sweep():
    every = play(stop(chunks=1), WIDTHS)
    assert play(stop(chunks=1, budget=59), WIDTHS) == every[:5]


@pytest.mark.parametrize("budget", [None, 70, 95])
def test_an_interrupted_sweep_goes_on_as_if_it_had_not_been(budget):
    rule = stop(chunks=1, budget=budget)
    assert sorted(play(rule, WIDTHS, kill=True)) == sorted(play(rule, WIDTHS))


def test_a_sweep_stops_when_it_has_seen_enough(tmp_path):
    rule = {"statistic": "below", "threshold": 1e9, "width": 0.5, "chunks": 2}
    spec = tiny(sweep={"lanes": 200, "chunk": 2}, stop=rule)
    data = sweep(spec, tmp_path, workers=2)
    # all lanes are below: the interval is [low, 1], and narrows as fast as it can
    done = data["done"].values.sum(axis=1)
    sizes = np.arange(4, 200, 4)
    enough = sizes[np.argmax(1 - bernoulli_sequence(sizes, sizes).low <= 0.5)]
    assert done.tolist() == [enough, enough]
    found = status(tmp_path)
    assert found.complete
    assert {name: of[0] for name, of in found.intervals.items()} == {
        "initialiser.name=he": 1.0,
        "initialiser.name=pytorch": 1.0,
    }
    again = sweep(spec, tmp_path)
    assert again["done"].values.sum() == 2 * enough
    with pytest.raises(SweepError, match=r"with a table \[stop\] must be run by one"):
        sweep(spec, tmp_path, part="0/2")


def test_a_sweep_in_memory_stops_too():
    rule = {"statistic": "failure", "width": 0.01, "chunks": 1, "budget": 16}
    data = sweep(tiny(sweep={"lanes": 50}, stop=rule))
    assert data["done"].values.sum(axis=1).tolist() == [8, 8]


def test_bad_rules_are_refused():
    with pytest.raises(ValueError, match="`stop.threshold` must be given for"):
        stop("below")
    with pytest.raises(ValueError, match="and for no other, but is 1.0 for 'plateau'"):
        stop(threshold=1.0)
    with pytest.raises(ValueError, match="statistic.*must be one of"):
        stop("mean")
    with pytest.raises(ValueError, match="`stop.by` must be one of `plateaus.by`"):
        tiny(plateaus={"by": "pattern"}, stop={"statistic": "plateau", "width": 0.1})
    with pytest.raises(ValueError, match="`stop.budget` must be at least a chunk, 2"):
        tiny(stop={"statistic": "plateau", "width": 0.1, "budget": 1})


def test_a_rule_is_part_of_the_specification():
    from plateaux.sweeps import SweepSpec

    spec = tiny(stop={"statistic": "dwell", "width": 0.5})
    assert spec.stop.probability == 0.5
    assert SweepSpec.from_toml(spec.to_toml()) == spec
    assert spec.hash != tiny().hash
