import dataclasses

import equinox as eqx
import jax
import numpy as np
import optax
import pytest

import plateaux as px
from plateaux.sweeps import SweepError, sweep
from plateaux.sweeps.grid import grid
from plateaux.sweeps.lanes import prepare
from plateaux.sweeps.optimizers import OPTIMIZERS, make_optimizer
from plateaux.sweeps.plan import make_plan
from plateaux.sweeps.programs import PROGRAMS, draw_chunk, train_chunk
from plateaux.sweeps.summary import OUTCOMES, finder_options, outcome_code, summarise
from plateaux.sweeps.training import train

from .conftest import tiny


def leaves(networks, lane):
    return [np.asarray(leaf)[lane] for leaf in jax.tree.leaves(networks)]


def test_lane_i_is_drawn_from_fold_in(spec):
    ready = prepare(spec)
    draws = {"he": px.networks.he, "pytorch": px.networks.pytorch}
    for one, draw in zip(ready, draws.values(), strict=True):
        got = leaves(draw_chunk(spec, one, 1).network, 1)  # lane 3
        key = jax.random.fold_in(jax.random.key(7), 3)
        expected = jax.tree.leaves(
            jax.jit(lambda k, d=draw: d(k, width=3, in_dim=1))(key)
        )
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_lane_417_is_the_same_network_in_every_chunk():
    drawn = []
    for chunk in (10, 100):
        spec = tiny(
            initialiser={"name": "orthogonal"}, sweep={"lanes": 1000, "chunk": chunk}
        )
        (one,) = prepare(spec)
        networks = draw_chunk(spec, one, 417 // chunk).network
        drawn.append(leaves(networks, 417 % chunk))
    for a, b in zip(*drawn, strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_program_serves_all_points_whatever_the_chunk(spec, results):
    both = {"name": ["he", "pytorch"], "scale": [1.0, 2.0]}
    sizes = {"step_size": [0.05, 0.02]}
    before = set(PROGRAMS.compiled)
    other = sweep(tiny(initialiser=both, method=sizes, sweep={"chunk": 5}))
    new = [function for function, *_ in set(PROGRAMS.compiled) - before]
    assert new.count(train) == 1
    assert new.count(summarise) == 1
    same = other.isel(point=[0, 4])  # of scale 1 and of the step size there
    np.testing.assert_allclose(same["loss"], results["loss"], rtol=1e-12)
    for name in ("pair_flips", "pattern_changes", "dead_neurons", "pattern_count"):
        np.testing.assert_array_equal(same[name], results[name])


def test_padded_tail_is_cut_off(spec):
    (one, _) = prepare(spec)
    tail = train_chunk(spec, one, 2)  # lane 4, and lane 5, which is not asked for
    assert tail["loss"].shape == (1, 6)
    assert tail["slope_start"].shape == (1, 10)


def test_a_lane_is_what_descend_gives(spec, results):
    x = np.linspace(-1, 1, 8)[:, None]
    problem = px.Problem(x, np.sin(2 * np.pi * x[:, 0]))

    @eqx.filter_jit
    def descend(key):
        run = px.descend(
            problem,
            px.networks.pytorch(jax.random.fold_in(key, 4), width=3, in_dim=1),
            optax.sgd(0.05),
            num_steps=20,
            save=px.log_spaced(6),
            max_events=40,
        )
        dead = px.patterns.dead_neurons(px.patterns.pattern(run.network, problem.x))
        return run, px.plateaus(run, by="pattern", max_plateaus=10), dead

    run, table, dead = descend(jax.random.key(7))
    lane = results.isel(point=1, lane=4)
    np.testing.assert_allclose(lane["times"], run.times, rtol=1e-14)
    np.testing.assert_allclose(lane["loss"], run.losses, rtol=1e-12)
    assert int(lane["pair_flips"]) == int(run.stats.pair_flips)
    assert int(lane["pattern_changes"]) == int(run.stats.pattern_changes)
    assert int(lane["pattern_count"]) == int(table.count)
    np.testing.assert_allclose(lane["pattern_start"], table.start, rtol=1e-12)
    np.testing.assert_allclose(lane["pattern_level"], table.level, rtol=1e-12)
    np.testing.assert_array_equal(lane["pattern_censored"], table.censored)
    assert int(lane["dead_neurons"]) == np.sum(dead)


def test_options_reach_their_functions():
    spec = tiny(
        initialiser={"name": "zero_bias", "base": "he"},
        method={"optimizer": "adam", "b1": 0.5},
        plateaus={"threshold": 0.3, "slope": {"threshold": 0.2}, "min_ratio": 3.0},
    )
    (point,) = grid(spec)
    plan = make_plan(point.settings)
    assert dict(plan.options) == {"step_size": 0.05, "b1": 0.5}
    slope = {"by": "slope", "max_plateaus": 10, "threshold": 0.2, "min_ratio": 3.0}
    assert finder_options(plan, "slope") == slope
    assert finder_options(plan, "pattern")["threshold"] == 0.3
    with jax.numpy_dtype_promotion("standard"):
        assert len(prepare(spec)) == 1


def test_step_sizes_of_plain_descent_are_no_structure():
    plans = [
        make_plan(p.settings) for p in grid(tiny(method={"step_size": [0.1, 0.2]}))
    ]
    assert plans[0] == plans[2]
    plans = [
        make_plan(p.settings)
        for p in grid(tiny(method={"optimizer": "adam", "step_size": [0.1, 0.2]}))
    ]
    assert len(set(plans)) == 2


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_needs_a_step_size_only(name):
    optimizer = optax.with_extra_args_support(make_optimizer(name, 0.1, {}))

    @jax.jit
    def first_step(params):
        state = optimizer.init(params)
        return optimizer.update(params, state, params, value_fn=optax.tree.norm)[0]

    with jax.numpy_dtype_promotion("standard"):  # optax counts steps in int32
        updates = first_step({"w": np.ones((2, 3)), "b": np.ones(2)})
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(updates))


def test_all_outcomes_have_a_code():
    assert len(OUTCOMES) == len(px.Outcome)
    for code, name in enumerate(OUTCOMES):
        assert int(outcome_code(getattr(px.Outcome, name))) == code


KINDS = ["residual", pytest.param(["mlp", "residual"], marks=pytest.mark.slow)]


@pytest.mark.parametrize("kind", KINDS)
def test_deep_networks_and_single_precision(kind):
    spec = tiny(
        precision="float32",
        problem={"name": "spiral", "num_data": None, "num_per_class": 3},
        network={"kind": kind, "width": None, "widths": [[4, 4]]},
        initialiser={"name": "he"},
        sweep={"lanes": 2},
        plateaus={"by": ["slope"]},
    )
    data = sweep(spec)
    assert data["loss"].dtype == np.float32
    assert np.all(np.isfinite(data["loss"]))
    assert "pattern_start" not in data
    assert len(np.unique(data["loss"][:, 0, -1])) == data.sizes["point"]


def test_lanes_are_drawn_with_the_first_layer():
    network = DEEP | {"first_layer": "structured", "activation": "sin", "gamma": 5.0}
    spec = tiny(network=network, initialiser={"name": "he"})
    (one,) = prepare(spec)
    got = leaves(draw_chunk(spec, one, 1).network, 1)  # lane 3
    key = jax.random.fold_in(jax.random.key(7), 3)
    how = {"widths": (3,), "in_dim": 1, "activation": "sin", "initialiser": "he"}
    options = {"gamma": 5.0, "law": "waves"}
    net = px.networks.mlp(
        key, **how, first_layer="structured", first_layer_options=options
    )
    for a, b in zip(got, jax.tree.leaves(net), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_diverged_lanes_are_an_outcome():
    changes = {"network": {"activation": "leaky_relu"}, "method": {"step_size": 1e6}}
    data = sweep(tiny(**changes, sweep={"lanes": 2}))
    assert data["outcome"].attrs["flag_meanings"] == " ".join(OUTCOMES)
    np.testing.assert_array_equal(data["outcome"], OUTCOMES.index("diverged"))
    assert np.all(np.isinf(data["loss"].values[..., -1]))


DEEP = {"kind": "mlp", "width": None, "widths": [[3]]}
FILE = {"name": "file", "num_data": None, "path": "none.csv", "x": "a", "y": "b"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"problem": {"name": "spiral", "num_data": None}},
            "network kind must be one of mlp.* 3 outputs, but is 'two_layer'",
        ),
        (
            {"network": DEEP, "initialiser": {"name": ["he", "balanced"]}},
            "At grid point initialiser.name=balanced: The initialiser of the network",
        ),
        ({"problem": {"num_data": 1}}, "`num_data` must be at least 2"),
        ({"problem": {"frequency": "high"}}, "`frequency` must be a number"),
        ({"problem": FILE}, "none.csv"),
        ({"plateaus": {"threshold": -1.0}}, "`threshold` must be positive"),
    ],
)
def test_settings_are_refused_before_training(changes, message):
    with pytest.raises(SweepError, match=message):
        prepare(tiny(**changes))


def test_64_bit_mode_must_be_on(spec):
    with (
        jax.enable_x64(False),
        pytest.raises(SweepError, match='"jax_enable_x64", True'),
    ):
        prepare(spec)


def test_plans_are_hashable(spec):
    plan = make_plan(grid(spec)[0].settings)
    assert hash(plan) == hash(dataclasses.replace(plan))
