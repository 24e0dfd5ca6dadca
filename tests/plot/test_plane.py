"""A map of outputs with the lines on which neurons switch."""

import numpy as np
import pytest

from plateaux import plot

SIDE = np.linspace(-1, 1, 21)
X1, X2 = np.meshgrid(SIDE, 2 * SIDE)


def test_colours_are_the_outputs_and_rows_are_along_the_second_input(ax):
    plot.output_map(SIDE, 2 * SIDE, X1 + 10 * X2, limits=(-3, 3), ax=ax)
    (mesh,) = ax.collections
    np.testing.assert_array_equal(mesh.get_array().reshape(21, 21), X1 + 10 * X2)
    assert mesh.get_clim() == (-3, 3)
    np.testing.assert_allclose(ax.get_xlim(), (-1.05, 1.05))
    np.testing.assert_allclose(ax.get_ylim(), (-2.1, 2.1))
    assert ax.figure.axes[1].get_ylabel() == "output of the network"


def test_lines_are_where_neurons_switch(ax):
    z = np.stack([X1 - 0.5 * X2 + 0.23, X1 + 9.0])
    plot.output_map(SIDE, 2 * SIDE, X1, preactivations=z, ax=ax)
    _, *lines = ax.collections
    assert len(lines) == 1  # the second neuron is on everywhere
    points = np.concatenate([path.vertices for path in lines[0].get_paths()])
    assert len(points) > 20
    np.testing.assert_allclose(points[:, 0] - 0.5 * points[:, 1] + 0.23, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"outputs": X1[:3]}, r"`outputs` must have shape \(21, 21\).* \(3, 21\)"),
        ({"preactivations": X1}, r"`preactivations` must have .* has \(21, 21\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(options, match, ax):
    with pytest.raises(ValueError, match=match):
        plot.output_map(**{"x1": SIDE, "x2": SIDE, "outputs": X1, "ax": ax} | options)
