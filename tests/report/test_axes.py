"""Grid points as cells between swept settings."""

import numpy as np
import pytest
import xarray

from plateaux.report.axes import MEANINGLESS, batches, coordinates, facets

SWEPT = {  # 2 names, 3 scales, 2 steps: the last varies fastest
    "problem.name": ["sine"] * 6 + ["runge"] * 6,
    "initialiser.scale": [1.0, 1.0, 0.1, 0.1, 0.5, 0.5] * 2,
    "method.step_size": [0.3, 0.2] * 6,
}


def test_points_lie_at_their_settings():
    first, second = facets(SWEPT)
    assert (first.title, second.title) == ("problem.name=sine", "problem.name=runge")
    assert first.rows == ("initialiser.scale", [0.1, 0.5, 1.0])
    assert first.columns == ("method.step_size", [0.2, 0.3])
    np.testing.assert_array_equal(first.points, [[3, 2], [5, 4], [1, 0]])
    np.testing.assert_array_equal(second.points, first.points + 6)
    for facet in (first, second):
        for (i, j), point in np.ndenumerate(facet.points):
            assert SWEPT["initialiser.scale"][point] == facet.rows[1][i]
            assert SWEPT["method.step_size"][point] == facet.columns[1][j]


def test_words_are_axes_where_numbers_are_too_few():
    (only,) = facets({"a.name": ["y", "y", "x", "x"], "b.size": [2, 1, 2, 1]})
    assert (only.rows, only.columns) == (("a.name", ["y", "x"]), ("b.size", [1, 2]))
    np.testing.assert_array_equal(only.points, [[1, 0], [3, 2]])
    assert only.title == ""


def test_settings_that_mean_nothing_for_some_points():
    swept = {"a.name": ["x", "x", "y"], "a.x.size": [1.0, 2.0, MEANINGLESS]}
    (only,) = facets(swept)
    np.testing.assert_array_equal(only.points, [[0, 1, -1], [-1, -1, 2]])


@pytest.mark.parametrize("swept", [{}, {"a.b": [1, 2]}, {"a.b": [1, 2], "c.d": [3, 3]}])
def test_fewer_than_two_settings_make_no_picture(swept):
    assert facets(swept) == []


def test_coordinates_come_in_the_order_of_the_grid():
    columns = {
        "label": ("point", list("abcd")),
        "b.fast": ("point", [1.0, np.nan, 1.0, np.nan]),
        "c.slow": ("point", np.array(["", "", "y", "y"], object)),
    }
    found = coordinates(xarray.Dataset(coords=columns))
    assert found == {
        "c.slow": [MEANINGLESS, MEANINGLESS, "y", "y"],
        "b.fast": [1.0, MEANINGLESS, 1.0, MEANINGLESS],
    }
    assert list(found) == ["c.slow", "b.fast"]


@pytest.mark.parametrize(
    ("sizes", "most", "starts"),
    [
        ((2, 3), 6, [0]),
        ((3, 3), 6, [0, 3, 6]),
        ((2, 2, 3), 6, [0, 6]),
        ((10,), 6, [0, 6]),
        ((2, 7), 6, [0, 6, 12]),
    ],
)
def test_neighbours_are_drawn_together(sizes, most, starts):
    grid = np.meshgrid(*map(np.arange, sizes), indexing="ij")
    swept = {f"a.{i}": g.ravel().tolist() for i, g in enumerate(grid)}
    parts = batches(swept, int(np.prod(sizes)), most)
    assert [part.start for part in parts] == starts
    assert [i for part in parts for i in part] == list(range(int(np.prod(sizes))))
