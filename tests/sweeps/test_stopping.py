"""Sweeps that stop when they have seen enough."""

import numpy as np
import pytest

from plateaux.statistics import bernoulli_sequence, quantile_sequence
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


def test_the_widest_points_come_first_and_narrow_ones_rest():
    done = np.array([[True, False, False], [True, True, False], [True, False, False]])
    widths = np.array([2.0, 0.9, 3.0])
    rule = stop(chunks=1)
    assert next_round(rule, widths, done, 10) == [(2, 1), (0, 1)]
    assert next_round(stop(chunks=2), widths, done, 10) == [
        (2, 1),
        (2, 2),
        (0, 1),
        (0, 2),
    ]
    # four chunks are done: room for one more, and for none
    assert next_round(stop(chunks=2, budget=59), widths, done, 10) == [(2, 1)]
    assert next_round(stop(budget=49), widths, done, 10) == []
    assert next_round(rule, np.array([1.0, 0.5, 0.2]), done, 10) == []


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
