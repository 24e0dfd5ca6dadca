"""Sweeps that look at networks as they are drawn."""

import dataclasses
import math

import equinox as eqx
import jax
import numpy as np
import pytest

import plateaux as px
from plateaux.report import report
from plateaux.sweeps import (
    SweepError,
    SweepSpec,
    estimate,
    export,
    forward_law_quantiles,
    grid,
    initial_summary,
    merge,
    open_sweep,
    replay,
    status,
    sweep,
)
from plateaux.sweeps.layout import dimensions

BASE = {
    "name": "drawn",
    "problem": {"name": "sine", "num_data": 8},
    "network": {"kind": ["chain", "mlp"], "depth": [2, 4], "mlp": {"width": 3}},
    "initialiser": {"name": "he"},
    "method": {"name": "initialisation"},
    "sweep": {"lanes": 5, "chunk": 2, "seed": 7},
}
CHAINS = BASE | {
    "network": {"kind": "chain", "depth": 6},
    "initialiser": {"name": "lecun_uniform"},
    "sweep": {"lanes": 600, "chunk": 300},
}

# Weights are drawn in float32, by a program of its own in a sweep.
FLOAT32 = {"rtol": 1e-5, "atol": 1e-6}


def spec_of(**changes):
    return SweepSpec.from_dict(BASE | changes)


# Two kinds, each of a depth of its own.
TWO = {"kind": ["chain", "mlp"], "chain": {"depth": 4}}
TWO |= {"mlp": {"depth": 2, "width": 3}}


@pytest.fixture(scope="module")
def curved():
    """Curvature of two kinds of networks, in memory."""
    method = {"name": "initialisation", "curvature": "extremes"}
    spec = spec_of(method=method, network=TWO)
    return spec, sweep(spec)


def test_the_store_holds_the_signals_of_every_lane(curved):
    spec, data = curved
    assert dict(data.sizes) == {"point": 2, "lane": 5, "layer": 4}
    assert data["label"].values[1] == "network.kind=mlp"
    problem = px.problems.sine(num_data=8)
    draws = (
        lambda key: px.networks.chain(key, depth=4, initialiser="he"),
        lambda key: px.networks.mlp(key, widths=(3, 3), in_dim=1, initialiser="he"),
    )

    @eqx.filter_jit
    def look(draw, lane):
        network = draw(jax.random.fold_in(jax.random.key(7), lane))
        hessian = px.dynamics.hessian(problem, network)
        return px.diagnostics.signals(problem, network), hessian

    for lane in (0, 4):
        for point, draw in enumerate(draws):
            here = data.isel(point=point, lane=lane)
            found, hessian = look(draw, np.int32(lane))
            for name in ("forward", "backward", "gradient"):
                stored, logs = here[f"log_{name}"].values, getattr(found, name)
                np.testing.assert_allclose(stored[: logs.size], logs, **FLOAT32)
                assert np.all(np.isnan(stored[logs.size :]))
            np.testing.assert_allclose(here["loss"], found.loss, **FLOAT32)
            values = np.linalg.eigvalsh(hessian)
            ends = here["smallest_eigenvalue"], here["largest_eigenvalue"]
            np.testing.assert_allclose(ends, values[[0, -1]], **FLOAT32)
            assert bool(here["eigenvalues_found"])
            assert bool(here["dead"]) == bool(found.dead)
    assert data["num_parameters"].values[:, 0].tolist() == [4, 21]
    assert data["done"].values.all()


def test_folders_resume_merge_and_export(curved, tmp_path):
    spec, data = curved
    first, second = tmp_path / "first", tmp_path / "second"
    sweep(spec, first, part="0/2")
    assert not open_sweep(first).finished
    sweep(spec, second, part="1/2")
    out = merge([first, second], tmp_path / "both")
    stored = open_sweep(out)
    assert stored.finished
    assert stored.dataset.load().equals(data)
    assert sweep(spec, first).load().equals(data)
    found = status(first)
    assert (found.finished, found.failed, found.censored) == (10, 0, 0)
    lanes, layers = export(out)
    assert (lanes.name, layers.name) == ("lanes.csv", "layers.csv")
    rows = layers.read_text().splitlines()
    # A point of 4 weights, one of 2 hidden layers and the output.
    assert len(rows) == 1 + 5 * (4 + 3)
    assert rows[0].endswith("lane,layer,log_forward,log_backward,log_gradient")
    assert len(lanes.read_text().splitlines()) == 1 + 10
    with pytest.raises(SweepError, match="of a report must train, but"):
        report(out)
    with pytest.raises(SweepError, match="is replayed must train"):
        replay(out, 0, 0)


def test_densities_are_padded_to_the_largest():
    spec = spec_of(
        network=TWO,
        method={
            "name": "initialisation",
            "curvature": "density",
            "num_vectors": 3,
            "num_products": 2,
        },
    )
    data = sweep(spec)
    assert data.sizes["node"] == 6
    nodes, weights = data["density_nodes"].values, data["density_weights"].values
    ends = data["smallest_eigenvalue"].values, data["largest_eigenvalue"].values
    # Four weights: all eigenvalues; of the other two nodes a vector.
    np.testing.assert_allclose(weights[0, :, :4], 1 / 4)
    assert np.all(np.isnan(nodes[0, :, 4:]))
    np.testing.assert_allclose(nodes[0, :, 0], ends[0][0], atol=1e-9)
    np.testing.assert_allclose(nodes[0, :, 3], ends[1][0], atol=1e-9)
    np.testing.assert_allclose(weights[1].sum(axis=-1), 1)
    assert np.all(nodes[1] <= ends[1][1, :, None] + 1e-9)
    assert data["eigenvalues_found"].values.all()


def test_estimates_do_not_train():
    found = estimate(spec_of(network={"kind": "chain", "depth": 2}))
    assert found.num_chunks == 3
    assert 0 < found.seconds < 60


def test_quantiles_stand_next_to_the_law():
    spec = SweepSpec.from_dict(CHAINS)
    found = initial_summary(sweep(spec), spec, probabilities=[0.1, 0.5])
    band = found.quantiles["log_forward"]
    assert band.estimate.shape == found.forward_law.shape == (2, 6)
    assert (
        np.mean((band.low <= found.forward_law) & (found.forward_law <= band.high))
        > 0.8
    )
    expected = px.statistics.chain_law(6).quantile([0.1, 0.5])
    np.testing.assert_allclose(found.forward_law[:, -1], expected)
    assert found.lanes == 600
    assert found.dead.estimate == 0
    assert set(found.quantiles) == {
        "loss",
        "log_forward",
        "log_backward",
        "log_gradient",
    }


def test_dead_lanes_are_counted_and_left_out():
    spec = SweepSpec.from_dict(
        CHAINS
        | {
            "problem": {"name": "sine", "num_data": 2, "domain": [0.5, 1.0]},
            "network": {"kind": "mlp", "width": 2, "depth": 5},
            "initialiser": {"name": "he"},
        }
    )
    found = initial_summary(sweep(spec), spec)
    alive = px.statistics.alive_probability(2, 5)
    assert found.dead.low < 1 - alive < found.dead.high
    band = found.quantiles["log_forward"]
    # Both data are positive: on a line through 0 they have one pattern, and one law.
    law = found.forward_law[:, :5]
    assert np.mean((band.low[:, :5] <= law) & (law <= band.high[:, :5])) > 0.8
    assert np.all(np.isnan(found.forward_law[:, 5]))


def test_laws_follow_scales_inputs_and_skips():
    def settings(network, **start):
        spec = spec_of(
            problem={"name": "teacher_student", "num_data": 4, "in_dim": 3},
            network=network,
            initialiser=start,
        )
        return grid(spec)[0].settings

    law, p = px.statistics, [0.3, 0.9]
    deep = {"kind": "mlp", "width": 4, "depth": 2, "hidden_scale": 0.5}
    found = forward_law_quantiles(settings(deep, name="lecun", scale=3.0), p)
    linear = law.relu_law(4, 2).quantile(p) / 2 + math.log(4 / 3) / 2
    np.testing.assert_allclose(found[:, 1], linear + 2 * math.log(1.5 / 2**0.5))
    deep = {"kind": "mlp", "width": 4, "depth": 2, "activation": "identity"}
    found = forward_law_quantiles(settings(deep, name="he"), p)
    expected = law.linear_law(4, 1).quantile(p) / 2 + math.log(4 / 3) / 2
    np.testing.assert_allclose(found[:, 0], expected + math.log(2) / 2)
    chain = {"kind": "chain", "depth": 3, "residual_scale": 0.1}
    found = forward_law_quantiles(settings(chain, name="lecun", scale=2.0), p)
    expected = law.residual_chain_law(2, 0.2 * 2**0.5).quantile(p)
    np.testing.assert_allclose(found[:, 1], expected)
    chain = {"kind": "chain", "depth": 3}
    found = forward_law_quantiles(settings(chain, name="pytorch"), p)
    expected = law.chain_law(3).quantile(p) - 1.5 * math.log(3)
    np.testing.assert_allclose(found[:, 2], expected)
    for network, name in (
        ({"kind": "normalised", "width": 4, "depth": 2}, "he"),
        ({"kind": "mlp", "widths": [[4, 3]]}, "he"),
        ({"kind": "mlp", "width": 4, "depth": 2, "bias": "normal"}, "he"),
        ({"kind": "mlp", "width": 4, "depth": 2}, "orthogonal"),
        ({"kind": "chain", "depth": 3, "activation": "tanh"}, "he"),
    ):
        assert np.all(np.isnan(forward_law_quantiles(settings(network, name=name), p)))


# --- the table [network] ------------------------------------------------------------


def test_depth_and_width_are_widths():
    wide = spec_of(network={"kind": "residual", "width": [2, 3], "depth": [1, 3]})
    labels = [point.label for point in grid(wide)]
    assert labels[1] == "network.width=2, network.depth=3"
    assert dimensions(wide)["layer"] == 4
    problem = {"name": "sine", "num_data": 8}
    by_list = spec_of(problem=problem, network={"kind": "mlp", "widths": [[3, 3]]})
    by_depth = spec_of(problem=problem, network={"kind": "mlp", "width": 3, "depth": 2})
    assert sweep(by_list)["loss"].equals(sweep(by_depth)["loss"])
    again = SweepSpec.from_toml(wide.to_toml())
    assert again == wide


def test_chains_are_linear_unless_something_else_is_said():
    assert (
        spec_of(network={"kind": "chain", "depth": 2}).network.activation == "identity"
    )
    both = spec_of()
    points = [point.settings["network"] for point in grid(both)]
    assert [p["activation"] for p in points] == ["identity"] * 2 + ["relu"] * 2
    assert SweepSpec.from_dict(both.to_dict()) == both
    every = spec_of(network=BASE["network"] | {"activation": "tanh"})
    assert {p.settings["network"]["activation"] for p in grid(every)} == {"tanh"}


def test_chains_train():
    spec = spec_of(
        network={"kind": "chain", "depth": 3},
        initialiser={"name": "lecun"},
        method={"step_size": 0.05, "num_steps": 20},
        recording={"num_times": 4, "max_events": 8},
        plateaus={"max_plateaus": 4},
    )
    data = sweep(spec)

    @eqx.filter_jit
    def descend(key):
        key = jax.random.fold_in(key, 3)
        return px.descend(
            px.problems.sine(num_data=8),
            px.networks.chain(key, depth=3, initialiser="lecun"),
            px.gradient_descent(0.05),
            num_steps=20,
            save=px.log_spaced(4),
        )

    run = descend(jax.random.key(7))
    np.testing.assert_allclose(data["loss"].values[0, 3], run.losses, **FLOAT32)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (
            {"method": {"name": ["initialisation", "flow"], "t1": 1.0}},
            "write two sweeps",
        ),
        ({"method": {"name": "initialisation", "num_steps": 5}}, "must be left out"),
        (
            {"stop": {"statistic": "final_loss", "width": 0.1}},
            r"with a table \[stop\] must train",
        ),
        ({"network": {"kind": "mlp", "depth": 2}}, "must have the key `width`"),
        ({"network": {"kind": "chain"}}, "must have the key `depth`"),
        (
            {"network": {"kind": "mlp", "depth": 2, "width": 2, "widths": [[2]]}},
            "`network.widths` must be left out",
        ),
        ({"network": {"width": 2, "depth": 2}}, "`network.depth` must be left out"),
    ],
)
def test_specifications_that_are_refused(changes, match):
    with pytest.raises(ValueError, match=match):
        spec_of(**changes)


def test_settings_that_are_refused():
    bad = spec_of(method={"name": "initialisation", "curvature": "all"})
    with pytest.raises(SweepError, match="curvature must be one of"):
        sweep(bad)
    many = spec_of(problem={"name": "teacher_student", "num_data": 4, "in_dim": 3})
    with pytest.raises(SweepError, match="as many inputs as the problem, 3, but has 1"):
        sweep(many)
    trained = spec_of(method={"step_size": 0.1, "num_steps": 2})
    with pytest.raises(SweepError, match="must be that of a sweep with the method"):
        initial_summary(None, trained)


def test_memory_is_looked_at_before(monkeypatch):
    from plateaux.sweeps import memory

    monkeypatch.setattr(memory, "memory_bytes", lambda: 300)
    spec = dataclasses.replace(spec_of(network={"kind": "chain", "depth": 3}))
    with pytest.raises(SweepError, match="A chunk must fit into"):
        sweep(spec)
