"""What the experiments on least-squares training read off their runs."""

import jax.numpy as jnp
import numpy as np

import plateaux as px

from .experiment_files import load

trainers = load("trainers")
targets = load("least_squares_training")
leaving = load("leaving_plateaus")


def made_up_run():
    """Two lanes with losses at steps 0, 1, 10, 100."""
    losses = np.array([[4.0, 2.0, 1.0, 0.5], [4.0, 3.9, 3.0, 2.5]])
    return trainers.Run(np.array([0, 1, 10, 100]), losses, None, 20.0)


def test_time_is_shared_among_lanes_and_steps():
    np.testing.assert_allclose(made_up_run().seconds_a_lane, [0, 0.1, 1, 10])


def test_errors_do_not_depend_on_the_normalisation():
    x, y = jnp.array([[0.0], [1.0]]), jnp.array([1.0, 3.0])
    zero = px.TwoLayer([[1.0]], [0.0], [0.0])
    for how in ("mean", "sum"):
        problem = px.Problem(x, y, normalisation=how)
        error = trainers.rmse(problem, px.loss(problem, zero))
        np.testing.assert_allclose(error, np.sqrt(5.0))


def test_every_method_is_known_and_the_exact_one_is_univariate():
    assert set(trainers.methods(1)) - set(trainers.methods(2)) == {"exact"}
    assert set(trainers.ANLS) == set(px.anls.METHODS)


def test_a_plateau_is_left_below_its_floor():
    config = leaving.Config()
    run, floors = made_up_run(), np.array([1.0, 2.0])
    assert leaving.left_at(run, floors, config).tolist() == [100, np.inf]
    row = leaving.row(run, floors, config)
    assert row["left"] == 0.5
    # exactly on the floor is not below it
    assert leaving.left_at(run, np.array([1.0, 3.0]), config).tolist() == [100, 100]


def test_targets_and_bounds():
    assert len(targets.TARGETS) == 8
    for part, words in targets.TARGETS.items():
        assert words.endswith(f"n = {targets.target(part)[1]}")
    problem, width = targets.target("square-4")
    # groups of twenty: the residual sum of squares of a parabola on each
    q, step = 20, 1 / 99
    square = 5 * step**4 * q * (q**2 - 1) * (q**2 - 4) / 180 / 100
    np.testing.assert_allclose(targets.bound(problem, width), np.sqrt(square))
    plane, _ = targets.target("plane-20")
    assert targets.bound(plane, 3) is None
