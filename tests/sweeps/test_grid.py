import itertools

import pytest

from plateaux.sweeps import SweepSpec, grid
from plateaux.sweeps.grid import differences, find_point
from plateaux.sweeps.layout import column

from .conftest import tiny
from .test_spec import RICH


def test_product_in_written_order():
    spec = tiny(
        problem={"num_data": [8, 9]},
        initialiser={"name": ["pytorch", "he"], "scale": [2.0, 1.0]},
        method={"step_size": [0.3, 0.1]},
    )
    leaves = ["problem.num_data", "initialiser.name", "initialiser.scale"]
    leaves += ["method.step_size"]
    expected = itertools.product([8, 9], ["pytorch", "he"], [2.0, 1.0], [0.3, 0.1])
    points = grid(spec)
    assert [tuple(p.coordinates.values()) for p in points] == list(expected)
    assert list(points[0].coordinates) == leaves
    assert [p.index for p in points] == list(range(16))
    assert points[1].label == (
        "problem.num_data=8, initialiser.name=pytorch, initialiser.scale=2.0, "
        "method.step_size=0.1"
    )


def test_every_leaf_has_one_value():
    # 2 sines, 1 diabetes, 2 polynomials; 2 two-layer, 2 mlp, 2 residual; 2 x 2
    # initialisers; 2 x 2 methods; 2 thresholds
    points = grid(SweepSpec.from_toml(RICH))
    assert len(points) == 5 * 6 * 4 * 4 * 2
    seen = {str(point.settings) for point in points}
    assert len(seen) == len(points)
    for point in points:
        network, method = point.settings["network"], point.settings["method"]
        assert ("width" in network) == (network["kind"] == "two_layer")
        assert ("widths" in network) == (network["kind"] != "two_layer")
        assert ("residual_scale" in network) == (network["kind"] == "residual")
        adam = method["optimizer"] == "adam"
        assert method["step_size"] == (1e-3 if adam else 1e-2)
        assert ("b1" in method) == adam
        if point.settings["problem"]["name"] == "sine":
            assert point.settings["problem"]["domain"] == (0, 1)


def test_a_spec_without_lists_is_one_point():
    (point,) = grid(tiny(initialiser={"name": "he"}))
    assert point.label == "single point"
    assert point.settings["initialiser"] == {"name": "he", "scale": 1.0}


def test_find_point():
    spec = tiny()
    assert find_point(spec, 1).settings["initialiser"]["name"] == "pytorch"
    assert find_point(spec, "initialiser.name=he").index == 0
    with pytest.raises(ValueError, match="number from 0 to 1 or a point's label"):
        find_point(spec, 2)


def test_differences_name_the_leaf():
    other = tiny(method={"step_size": 0.1}, problem={"frequency": 2.0})
    assert differences(tiny(), other) == [
        ("method.step_size", 0.05, 0.1),
        ("problem.frequency", None, 2.0),
    ]
    assert differences(tiny(), tiny()) == []


@pytest.mark.parametrize(
    ("values", "expected", "kind"),
    [
        ([1, 2], [1, 2], "i"),
        ([1, None], [1.0, None], "f"),
        ([0.5, 2], [0.5, 2.0], "f"),
        ([True, False], [True, False], "b"),
        (["a", None], ["a", ""], "O"),
        ([(20, 20), (4,)], ["[20, 20]", "[4]"], "O"),
    ],
)
def test_coordinate_columns(values, expected, kind):
    got = column(values)
    assert got.dtype.kind == kind
    assert [None if v != v else v for v in got.tolist()] == expected
