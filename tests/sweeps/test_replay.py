import jax
import numpy as np
import pytest

import plateaux as px
from plateaux.sweeps import SweepError, replay, sweep

from .conftest import tiny


@pytest.mark.parametrize(("point", "lane"), [(0, 3), ("initialiser.name=pytorch", 4)])
def test_losses_are_those_of_the_sweep_to_the_bit(spec, results, point, lane):
    run = replay(spec, point, lane)
    index = 0 if point == 0 else 1
    expected = results.isel(point=index, lane=lane)
    np.testing.assert_array_equal(run.losses, expected["loss"])
    np.testing.assert_array_equal(run.times, expected["times"])
    assert int(run.stats.pair_flips) == int(expected["pair_flips"])
    assert run.outcome == px.Outcome.completed


def test_networks_are_kept(spec):
    run = replay(spec, 0, 3)
    assert run.saved["network"].w.shape == (6, 3, 1)
    x = np.linspace(-1, 1, 8)[:, None]
    problem = px.Problem(x, np.sin(2 * np.pi * x[:, 0]))
    for step in (0, 5):
        network = jax.tree.map(lambda leaf, s=step: leaf[s], run.saved["network"])
        np.testing.assert_allclose(
            px.problems.loss(problem, network), run.losses[step], rtol=1e-12
        )
    start = px.networks.he(jax.random.fold_in(jax.random.key(7), 3), width=3, in_dim=1)
    np.testing.assert_array_equal(run.saved["network"].w[0], start.w)


def test_from_a_folder(tmp_path):
    spec = tiny(sweep={"lanes": 2})
    data = sweep(spec, tmp_path)
    run = replay(tmp_path, 1, 1)
    np.testing.assert_array_equal(run.losses, data["loss"][1, 1])


def test_refusals(spec, tmp_path):
    with pytest.raises(ValueError, match="`lane` must be below the number of lanes, 5"):
        replay(spec, 0, 5)
    with pytest.raises(ValueError, match="number from 0 to 1 or a point's label"):
        replay(spec, 7, 0)
    with pytest.raises(SweepError, match="must hold a sweep"):
        replay(tmp_path, 0, 0)
    with pytest.raises(SweepError, match="a SweepSpec or the folder of a sweep"):
        replay(3, 0, 0)
