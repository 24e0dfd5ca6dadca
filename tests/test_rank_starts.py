"""What the comparison of initialisations computes beside the library."""

from types import SimpleNamespace

import numpy as np
import pytest

from plateaux.experiments import shelf

from .experiment_files import load, quickly

load("rank_staircase")
starts = load("rank_starts")
EXPECTED = shelf.expected("rank_starts")["full"]["numbers"]
draw = quickly(starts.draw, static_argnames=("name", "lanes", "width"))
WORTH = "Spearman over starts"


def ranks(networks):
    """ε-ranks of layer 1, a lane each, ε = 1e-3, by NumPy."""
    points, weights = np.polynomial.legendre.leggauss(40)
    inner = points[:, None] * np.asarray(networks.weights[0])[:, None, :, 0]
    phi = np.tanh(inner + np.asarray(networks.biases[0])[:, None, :])
    values = np.linalg.svd(np.sqrt(weights)[:, None] * phi, compute_uv=False)
    return np.sum(values**2 > 1e-3, axis=1)


def test_training_beforehand_raises_the_rank_and_moves_the_first_layer_alone():
    networks = draw(starts.BEFOREHAND, 2, width=10)
    found = starts.beforehand(networks, num_steps=60)
    assert np.all(ranks(found) >= ranks(networks) + 2)
    np.testing.assert_array_equal(found.weights[1], networks.weights[1])
    np.testing.assert_array_equal(found.readout, networks.readout)


def test_first_layers_differ_and_the_rest_is_xaviers():
    made = {name: draw(name, 2, width=4) for name in ("Xavier", "structured, γ = 5")}
    for network in made.values():
        np.testing.assert_array_equal(network.weights[1], made["Xavier"].weights[1])
    steep = np.abs(made["structured, γ = 5"].weights[0])
    np.testing.assert_array_equal(steep, np.full((2, 4, 1), 5.0))
    assert np.all(made["Xavier"].biases[0] == 0)


def test_the_forced_loss_is_that_of_the_best_bound():
    bound = SimpleNamespace(bound=np.array([[1.0, 2.0, -1.0], [-1.0, -2.0, -3.0]]))
    np.testing.assert_allclose(starts.forced_losses(bound), [1.0, 0.0])  # 2²/(2·2)


def test_quartiles_are_rows_of_estimates_with_intervals():
    rows = starts.quartiles(np.arange(100))
    np.testing.assert_array_equal(np.array(rows)[:, 0], [24, 49, 74])
    assert starts.median(rows) == [49, 39, 59]
    assert starts.rows_of((0.5, 0.4, 0.6)) == [[0.5, 0.4, 0.6]]


def test_claims_are_finite_medians_of_ranks_alone_and_of_others_with_intervals():
    found = {
        "loss, last": [[1, 1, 2], [3.0, 2.5, 4.0], [5, 4, 6]],
        "rank 2 at 0.001, last": [[8.0, 7.0, 9.0]],
        "waiting time": [[np.inf, 4.0, np.inf]],
        "Spearman": [[-0.5, -0.6, -0.3]],
        "treads and censored": [3, 1],
        "completed": 3,
    }
    assert starts.claims(found) == {
        "loss, last": [3.0, 2.5, 4.0],
        "rank 2 at 0.001, last": 8.0,
        "Spearman": [-0.5, -0.6, -0.3],
    }


def test_what_a_rank_is_worth_compares_medians_over_starts():
    row = lambda value: [[9.0] * 3, [value] * 3, [9.0] * 3]
    made = {"a": (1, 5, 0.3), "b": (2, 9, 0.1), "c": (3, 7, 0.2)}
    names = "rank 2 at 0.001, first", "rank 2 at 0.001, last", "loss, last"
    found = {
        start: dict(zip(names, map(row, values), strict=True))
        for start, values in made.items()
    }
    np.testing.assert_allclose(list(starts.worth(found).values()), [-0.5, -1.0])


def test_the_table_has_a_line_a_start_and_says_what_is_missing():
    found = {
        "Xavier": {"steps": [[1, 1, 1], [2.0, 1.0, 4.0], [5, 5, 5]]},
        "PyTorch": {},
    }
    lines = starts.table(found, ["steps"])
    assert [line.split() for line in lines] == [
        ["steps"],
        ["Xavier", "2", "(1", "to", "4)"],
        ["PyTorch", "none"],
    ]
    assert len({len(line) for line in lines}) == 1


def test_expected_numbers_say_what_is_claimed():
    assert list(EXPECTED) == [*starts.STARTS, WORTH]
    rank = lambda start: EXPECTED[start]["rank 2 at 0.001, first"]
    last = lambda start: EXPECTED[start]["loss, last"][0]
    assert rank("Xavier") < rank("PyTorch") < rank(starts.BEFOREHAND)
    assert last(starts.BEFOREHAND) < last("PyTorch")
    for start in starts.STARTS:
        assert last(start) >= EXPECTED[start]["loss forced by the rank"][0]
    assert max(EXPECTED[WORTH].values()) < -0.9


@pytest.mark.slow
def test_a_run_counts_its_lanes_and_saves_the_middle():
    found, seen = starts.ensemble("PyTorch", starts.Config(lanes=3, steps=6))
    assert found["completed"] == 3
    assert {0.0, 3.0, 6.0} <= set(seen["steps"])
    at = list(seen["steps"]).index(3.0)
    middle = np.sort(seen["losses"][:, at])[1]
    np.testing.assert_allclose(starts.median(found["loss, half"])[0], middle)
    assert seen["ranks"][1].shape == (3, len(seen["steps"]), 2)
