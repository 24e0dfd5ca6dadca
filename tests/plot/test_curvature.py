"""Fans against depth, spectral ridges and curvature show what they are given."""

import numpy as np
import pytest

from plateaux import plot
from plateaux.statistics import quantile_band

rng = np.random.default_rng(0)
DEPTHS = np.array([4, 8, 16])
NORMS = np.exp(rng.normal(size=(50, 3)) - DEPTHS)
PROBABILITIES = (0.25, 0.5, 0.75)
BAND = quantile_band(NORMS, PROBABILITIES)


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_fan_shows_the_quantiles_and_the_law(ax):
    law = np.exp(-DEPTHS)
    plot.depth_fan(DEPTHS, BAND, PROBABILITIES, law=law, quantity="norm", ax=ax)
    median, _, _, exact = ax.lines
    np.testing.assert_array_equal(median.get_ydata(), BAND.estimate[1])
    np.testing.assert_array_equal(median.get_xdata(), DEPTHS)
    np.testing.assert_array_equal(exact.get_ydata(), law)
    assert exact.get_color() == "black"
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("depth L", "norm")
    assert legend(ax)[-1] == "exact law"


def test_logarithms_keep_a_linear_axis_and_laws_may_have_quantiles(ax):
    band = quantile_band(np.log(NORMS), PROBABILITIES)
    law = -DEPTHS + np.array([[-0.7], [0.0], [0.7]])
    plot.depth_fan(
        DEPTHS, band, PROBABILITIES, law=law, log=False, label="d = 8", ax=ax
    )
    assert ax.get_yscale() == "linear"
    plot.depth_fan(DEPTHS, BAND, PROBABILITIES, log=False, ax=ax)
    assert ax.get_yscale() == "linear"
    drawn = np.array([line.get_ydata() for line in ax.lines[3:6]])
    np.testing.assert_array_equal(drawn, law)
    assert legend(ax).count("d = 8, exact law") == 1


def test_ridges_stand_up_for_positive_and_hang_down_for_negative_eigenvalues(ax):
    one = np.array([1.5, 1.5, -1.5, 0.0])  # all of one bin, and a zero
    plot.spectral_ridges([one, np.array([2e-5, 0.0])], ["L = 4", "L = 8"], ax=ax)
    places = {
        label.get_text(): place
        for label, place in zip(ax.get_yticklabels(), ax.get_yticks(), strict=True)
    }
    assert places == {"L = 4": 1, "L = 8": 0}
    up, down = (patch.get_data() for patch in (ax.patches[1], ax.patches[3]))
    np.testing.assert_allclose(up.values.max() - 1, 0.45)
    np.testing.assert_allclose(down.values.min() - 1, -0.225)  # half as many
    at = np.argmax(up.values)
    assert up.edges[at] <= np.log10(1.5) < up.edges[at + 1]
    assert [text.get_text() for text in ax.texts] == ["25 % zero", "50 % zero"]
    assert legend(ax) == ["λ > 0", "λ < 0"]


def test_weights_of_a_density_count(ax):
    plot.spectral_ridges([[1.5, -1.5]], ["one"], weights=[[0.3, 0.9]], ax=ax)
    up, down = (ax.patches[i].get_data().values for i in (1, 3))
    np.testing.assert_allclose([up.max(), down.min()], [0.15, -0.45])


def test_a_spectrum_of_zeros_is_a_line(ax):
    plot.spectral_ridges([[1.0], [0.0, 0.0]], ["a", "b"], ax=ax)
    assert [text.get_text() for text in ax.texts] == ["0 % zero", "100 % zero"]


def test_updates_are_drawn_between_the_extreme_curvatures(ax):
    times, along = np.array([0.0, 1.0, 10.0]), np.array([np.nan, -0.4, 0.1])
    largest, smallest = np.array([1e3, 1.0, 2.0]), np.array([-0.1, -0.5, -0.2])
    plot.update_curvature(
        times, largest, smallest, along, step_size=0.5, time_unit="step", ax=ax
    )
    for line, values in zip(ax.lines, (largest, smallest, along), strict=False):
        np.testing.assert_array_equal(line.get_ydata(), values)
    np.testing.assert_array_equal(ax.lines[3].get_ydata(), [4.0, 4.0])
    assert legend(ax) == ["λ_max", "λ_min", "along the update", "2/h"]
    assert (ax.get_xlabel(), ax.get_yscale()) == ("step", "symlog")
    assert ax.yaxis.get_transform().linthresh == 1.0  # a thousandth of the largest


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda ax: plot.depth_fan(DEPTHS, BAND, [0.5], ax=ax),
            r"`probabilities` must hold one number a quantile, 3, .* but is \[0.5\]",
        ),
        (
            lambda ax: plot.depth_fan(DEPTHS, BAND, PROBABILITIES, law=[1.0], ax=ax),
            r"`law` must have shape \(3,\), .* but has shape \(1,\)",
        ),
        (lambda ax: plot.spectral_ridges([], [], ax=ax), "0 names for 0 rows"),
        (lambda ax: plot.spectral_ridges([[1.0]], "ab", ax=ax), "2 names for 1 rows"),
        (
            lambda ax: plot.spectral_ridges([[1.0, np.nan]], ["a"], ax=ax),
            r"rows of shape \(m,\) of finite numbers, .* one has shape \(2,\)",
        ),
        (
            lambda ax: plot.spectral_ridges([[1.0]], ["a"], weights=[[1, 2]], ax=ax),
            r"the shapes of `eigenvalues`, but one has \(2,\) for \(1,\)",
        ),
        (
            lambda ax: plot.update_curvature([1.0], [2.0], [1.0], [[1.0]], ax=ax),
            r"`directional` must be that of one run, of shape \(t,\)",
        ),
        (
            lambda ax: plot.update_curvature(
                [1.0], [2.0], [1.0], [1.0], step_size=0.0, ax=ax
            ),
            "`step_size` must be positive, but is 0.0",
        ),
    ],
)
def test_refusals(draw, message, ax):
    with pytest.raises(ValueError, match=message):
        draw(ax)
