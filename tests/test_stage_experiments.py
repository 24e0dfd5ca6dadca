"""What the experiments on small weights compute beside the library."""

import jax
import numpy as np

import plateaux as px
from plateaux.experiments import shelf

from .experiment_files import load

reference = load("multistage")
load("stage_times")
EXPECTED = shelf.expected("multistage")["full"]["numbers"]


def test_expected_losses_are_those_of_the_theory_to_three_digits():
    listed = [0.28429, 0.25318, 0.19624, 0.17383, 0.17236, 0.17148, 0.09293]
    np.testing.assert_allclose(list(EXPECTED["losses"].values()), listed, atol=6e-6)
    measured, predicted = EXPECTED["measured"], EXPECTED["predicted"]
    np.testing.assert_allclose(measured[:2], predicted[:2], rtol=2e-3)


def test_leaving_the_secondary_plateau_is_a_step_of_the_rank():
    ranks, starts, ends = EXPECTED["rank_treads"]["0.001"]
    exit_time = EXPECTED["measured"][2]
    assert ranks[:2] == [2, 3]
    assert ends[0] < exit_time < starts[1]
    assert starts[1] / ends[0] < 1.03


def test_the_start_is_drawn_by_numpy():
    network = reference.start(4, seed=3, alpha=2.0)
    draws = np.random.default_rng(3).normal(size=12) / 16
    np.testing.assert_array_equal(network.c, draws[:4])
    np.testing.assert_array_equal(network.b, draws[5::2])


def test_curves_are_crossed_between_saved_times():
    at = np.array([0.0, 1.0, 3.0])
    losses = np.array([[4.0, 2.0, 1.0], [4.0, 3.0, 2.5]])
    level = np.array([1.5, 2.0])
    crossing = jax.vmap(px.stages.first_below, in_axes=(None, 0, 0))
    np.testing.assert_allclose(crossing(at, losses, level), [2.0, np.inf])
