"""experiments/descent_to_flow.py reads orders and edges off a table as it says."""

import numpy as np

from .experiment_files import load

study = load("descent_to_flow")
STEPS = np.asarray(study.Config().step_sizes)


def test_the_order_is_the_slope_at_small_steps():
    table = np.stack([0.1 * STEPS, 2 * STEPS**2], axis=1)
    table[STEPS > study.SMALL] = np.inf
    np.testing.assert_allclose(study.orders(table, STEPS), [1, 2])


def test_the_edge_is_where_the_median_distance_passes_a_half():
    table = np.stack([STEPS, 2 * STEPS, 10 * STEPS], axis=1)
    np.testing.assert_allclose(study.leaves_at(table, STEPS), 0.25)
    assert np.isnan(study.leaves_at(1e-3 * table, STEPS))


def test_one_flow_and_its_descent():
    networks = study.starts(2, 1.0)
    assert networks.w.shape == (2, study.NEURONS, 1)
    np.testing.assert_allclose(networks.w, study.starts(2, 0.5).w * 2)
