import dataclasses
import json
import tomllib
from pathlib import Path

import pytest

from plateaux.sweeps import SweepSpec, read_spec
from plateaux.sweeps.grid import grid
from plateaux.sweeps.lanes import prepare
from plateaux.sweeps.spec import QUICK, TABLES
from plateaux.sweeps.toml import dumps

from .conftest import TINY, tiny

RICH = """
name = "rich"
precision = "float32"
[problem]
name = ["sine", "diabetes", "polynomial"]
[problem.sine]
domain = [0, 1]
num_data = [20, 50]
[problem.polynomial]
coefficients = [[0.0, 1.0], [1.0, 0.0, 2.0]]
[network]
kind = ["two_layer", "mlp", "residual"]
width = [3, 20]
widths = [[20, 20], [4, 4, 4]]
[network.mlp]
bias = "normal"
[network.residual]
residual_scale = 0.5
[initialiser]
name = ["he", "small"]
scale = [0.1, 1]
[initialiser.small]
alpha = 0.7
[method]
optimizer = ["sgd", "adam"]
step_size = 1e-2
num_steps = [100, 1000]
[method.adam]
step_size = 1e-3
b1 = 0.8
[plateaus]
by = ["pattern"]
[plateaus.pattern]
threshold = [0.1, 0.2]
[sweep]
lanes = 256
"""


@pytest.mark.parametrize("text", [RICH, dumps(TINY)])
def test_all_forms_are_equal(text):
    spec = SweepSpec.from_toml(text)
    again = SweepSpec.from_toml(spec.to_toml())
    assert again == spec
    assert SweepSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    tables = {header: getattr(spec, header) for header in TABLES}
    assert SweepSpec(name=spec.name, precision=spec.precision, **tables) == spec
    assert again.hash == spec.hash


def test_toml_reads_back_awkward_values():
    entries = {
        "a": 'quote " back\\slash\n',
        "del": "\x7f",
        "e": 1e-05,
        "big": 1e22,
        "list": [[1, 2], [True, False]],
        "t": {"odd key": "ü", "u": {"x": 1.5}},
    }
    assert tomllib.loads(dumps(entries)) == entries


def test_defaults_are_part_of_the_canonical_form():
    assert tiny().to_dict()["method"]["optimizer"] == "sgd"
    assert tiny(method={"optimizer": "sgd"}).hash == tiny().hash
    assert tiny().recording.num_times == 6


def test_hash_sees_every_leaf():
    changes = [
        {"name": "other"},
        {"precision": "float32"},
        {"problem": {"num_data": 9}},
        {"network": {"affine": True}},
        {"initialiser": {"name": ["pytorch", "he"]}},
        {"method": {"step_size": 0.06}},
        {"recording": {"num_times": 7}},
        {"plateaus": {"by": ["pattern", "slope"]}},
        {"sweep": {"seed": 8}},
    ]
    hashes = {tiny(**change).hash for change in changes} | {tiny().hash}
    assert len(hashes) == len(changes) + 1


def test_order_of_options_does_not_matter():
    one = tiny(problem={"num_data": 8, "frequency": 2.0})
    other = tiny(problem={"frequency": 2.0, "num_data": 8})
    assert one.hash == other.hash


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny().name = "other"


def test_chunk_is_at_most_all_lanes():
    spec = tiny(sweep={"lanes": 3, "chunk": 64})
    assert (spec.chunk, spec.num_chunks) == (3, 1)


DEEP = {"kind": "mlp", "width": None, "widths": [[3, 3]]}


def test_first_layers_of_deep_networks_bring_their_options():
    entries = {"first_layer": "structured", "gamma": [5.0, 15.0]}
    spec = tiny(network=DEEP | entries, initialiser={"name": "he"})
    assert SweepSpec.from_toml(spec.to_toml()) == spec
    labels = [one.point.label for one in prepare(spec)]
    assert labels == ["network.gamma=5.0", "network.gamma=15.0"]
    own = {"mlp": {"first_layer": "multi_scale", "scales": [1, 2]}}
    (point,) = grid(tiny(network=DEEP | own, initialiser={"name": "he"}))
    assert point.settings["network"]["scales"] == (1, 2)


REFUSALS = [
    ({"methods": {}}, "table or key of a sweep must be .* 'methods'; .* 'method'"),
    ({"precision": "double"}, "precision must be one of float32, float64"),
    ({"name": ""}, "`name` must not be empty"),
    ({"problem": {"name": "sin"}}, "`problem.name` must be .* did you mean 'sine'"),
    ({"problem": {"num_dat": 5}}, r"key of \[problem\] for 'sine'.*'num_data'"),
    ({"problem": {"dtype": "float32"}}, r"key of \[problem\] for 'sine'"),
    ({"problem": {"name": []}}, "`problem.name` must not be an empty list"),
    ({"problem": {"name": ["sine", "sine"]}}, "`problem.name` must hold every value"),
    ({"problem": {"runge": {}}}, r"sub-table of \[problem\] must be one of sine"),
    ({"problem": {"num_data": float("nan")}}, "`problem.num_data` must be finite"),
    ({"network": {"width": 0}}, "`network.width` must be at least 1, but is 0"),
    ({"network": {"width": [3, -1]}}, "`network.width` must be at least 1, but is -1"),
    ({"network": {"width": 2.5}}, "`network.width` must be an integer, but is 2.5"),
    ({"network": {"width": True}}, "`network.width` must be an integer, but is True"),
    ({"network": {"kind": "mlp"}}, "`network.width` must be left out .* 'mlp'"),
    ({"network": {"widths": [[2]]}}, "`network.widths` must be left out"),
    ({"network": {"kind": ["two_layer", "mlp"]}}, "must have the key `widths`"),
    (
        {"network": {"kind": ["two_layer", "mlp"], "widths": [20, 20]}},
        "`network.widths` must be a list inside the list",
    ),
    ({"network": {"activation": "rel"}}, "did you mean 'relu'"),
    ({"network": {"affine": 1}}, "`network.affine` must be true or false"),
    ({"network": {"widht": 3}}, "did you mean 'width'"),
    (
        {"network": {"kind": ["two_layer", "mlp"], "widths": [[2]], "bias": "zero"}},
        r"`bias` of \[network\] must .*'two_layer' has no .* \[network.mlp\]",
    ),
    ({"network": DEEP | {"gamma": 2.0}}, r"key of \[network\] for 'mlp'"),
    ({"network": DEEP | {"first_layer": "hee"}}, "first layer must be .* mean 'he'"),
    (
        {"network": DEEP | {"first_layer": "structured", "sigma": 2.0}},
        r"key of \[network\] for 'mlp' must be one of .*gamma, .* is 'sigma'",
    ),
    ({"initialiser": {"name": "hee"}}, "did you mean 'he'"),
    ({"initialiser": {"scale": 0}}, "`initialiser.scale` must be positive"),
    ({"initialiser": {"alpha": 1.0}}, r"key of \[initialiser\] for 'he'"),
    ({"method": {"step_size": 0.0}}, "`method.step_size` must be positive, but is 0"),
    ({"method": {"step_size": [0.1, -1]}}, "`method.step_size` must be positive"),
    ({"method": {"step_size": "small"}}, "`method.step_size` must be a number"),
    ({"method": {"num_steps": 0}}, "`method.num_steps` must be at least 1"),
    ({"method": {"optimizer": "adm"}}, "did you mean 'adam'"),
    ({"method": {"momentun": 0.9}}, "did you mean 'momentum'"),
    ({"method": {"learning_rate": 0.1}}, r"key of \[method\] for 'sgd'"),
    ({"recording": {"num_times": 1}}, "`recording.num_times` must be at least 2"),
    ({"recording": {"num_time": 9}}, r"key of \[recording\].*'num_times'"),
    ({"plateaus": {"by": ["slop"]}}, "did you mean 'slope'"),
    ({"plateaus": {"by": []}}, "`plateaus.by` must not be an empty list"),
    (
        {"plateaus": {"max_plateaus": [3, 4]}},
        "`plateaus.max_plateaus` must be a single",
    ),
    ({"sweep": {"lanes": 0}}, "`sweep.lanes` must be at least 1, but is 0"),
    ({"sweep": {"chunk": 0}}, "`sweep.chunk` must be at least 1, but is 0"),
    ({"sweep": {"lanes": [4]}}, "`sweep.lanes` must be a single value, not a list"),
    ({"sweep": {"seed": -1}}, "`sweep.seed` must be at least 0"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSALS)
def test_refusals(changes, message):
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        tiny(**changes)
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("problem", r"must have the table \[problem\]"),
        ("sweep", r"must have the table \[sweep\]"),
        ("name", "must have the key `name`"),
    ],
)
def test_missing_tables(table, message):
    entries = {key: value for key, value in TINY.items() if key != table}
    with pytest.raises(ValueError, match=message):
        SweepSpec.from_dict(entries)


def test_missing_key():
    entries = TINY | {"method": {"num_steps": 3}}
    with pytest.raises(ValueError, match=r"\[method\] must have the key `step_size`"):
        SweepSpec.from_dict(entries)


def test_a_table_must_be_a_table():
    with pytest.raises(TypeError, match=r"`problem` must be a table \[problem\]"):
        SweepSpec.from_dict(TINY | {"problem": "sine"})


def test_the_example_is_that_of_the_experiments(tmp_path, monkeypatch):
    file = Path(__file__).parents[2] / "experiments" / "quick.toml"
    assert QUICK.read_bytes() == file.read_bytes()
    assert read_spec("quick") == read_spec(file)
    monkeypatch.chdir(tmp_path)
    Path("quick").write_text(RICH)  # the user's own file goes first
    assert read_spec("quick").name == "rich"


def test_the_example_is_what_is_promised():
    spec = read_spec("quick")
    assert spec.problem.name == ("sine", "diabetes")
    assert len(spec.initialiser.name) == 4
    assert spec.sweep.lanes == 256
    assert len(prepare(spec)) == 8


def test_files(tmp_path):
    file = tmp_path / "spec.toml"
    file.write_text(RICH)
    assert read_spec(file) == SweepSpec.from_toml(RICH)
    file.write_text(RICH + "= broken")
    with pytest.raises(ValueError, match=r"spec.toml: A sweep must be valid TOML"):
        read_spec(file)
    file.write_text(RICH.replace("lanes", "lane"))
    with pytest.raises(ValueError, match=r"spec.toml: .*did you mean 'lanes'"):
        read_spec(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="cannot be read: it is not UTF-8 text"):
        read_spec(file)
    with pytest.raises(ValueError, match=r"none.toml cannot be read: No such file"):
        read_spec(tmp_path / "none.toml")
