"""What holds for every figure function."""

import inspect
import sys
from types import SimpleNamespace

import jax.numpy as jnp
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from plateaux import plot
from plateaux.statistics import kaplan_meier, quantile_band

TIMES = np.array([0.0, 0.3, 2.0, 30.0])
X = np.linspace(-1, 1, 7)
BAND = quantile_band(np.array([[4.0, 3.0, 2.0, 1.0], [4.0, 2.0, 1.0, 0.5]]), [0.5])

EVENTS = SimpleNamespace(
    time=np.array([0.3, 1.0, 2.0, np.inf]),
    neuron=np.array([0, 2, 2, -1]),
    datum=np.array([1, 3, 3, -1]),
    kind=np.array([1, 2, 0, -1]),
    count=np.array(3),
)
RUN = SimpleNamespace(
    times=TIMES, losses=np.ones(4), events=EVENTS, time_unit="flow time of L"
)
GAP = SimpleNamespace(
    times=TIMES,
    distance=np.array([0.0, 0.1, 0.2, 0.3]),
    nearest_distance=np.array([0.0, 0.1, 0.1, 0.1]),
    matched_distance=None,
    function_distance=np.array([0.0, 0.2, 0.2, 0.2]),
    divergence_time=np.array(2.0),
)
LINES = SimpleNamespace(
    order=np.arange(7),
    count=np.array(2),
    first=np.array([-1.0, 1 / 3]),
    last=np.array([0.0, 1.0]),
    center=np.array([-0.5, 2 / 3]),
    fitted_slope=np.array([1.0, 2.0]),
    fitted_height=np.array([-0.5, 1.0]),
    meet=np.array([0.2]),
    consistent=np.array([True]),
    neurons=np.array([1]),
)
EXPLANATION = SimpleNamespace(
    plateaus=SimpleNamespace(
        start=np.array([0.0, 2.0, np.inf]),
        end=np.array([2.0, 30.0, np.inf]),
        count=np.array(2),
    ),
    floor=np.array([2.0, 0.5, 0.0]),
    latest_exit=np.array([50.0, np.inf, np.inf]),
    time_unit="flow time of L",
)
STAGES = SimpleNamespace(
    t10=np.array(0.3),
    t90=np.array(1.0),
    entry=np.array(2.0),
    exit=np.array(np.inf),
    linear_loss=np.array(2.0),
)
CURVE = kaplan_meier([1.0, 2.0], [False, True])
SETTINGS = {"one": [(np.array([10.0, 12.0]), np.array([1e-3, 1e-4]))]}

FIGURES = {
    plot.loss_curve: (TIMES, jnp.array([4.0, 3.0, 2.0, 1.0])),
    plot.ensemble_band: (TIMES, BAND, [0.5]),
    plot.survival_curves: ({"one": kaplan_meier([1.0, 2.0], [False, True])},),
    plot.kinks: (TIMES, np.ones((4, 3)) * TIMES[:, None], X),
    plot.event_raster: (RUN,),
    plot.floors: (TIMES, np.array([4.0, 3.0, 2.0, 1.0]), EXPLANATION),
    plot.distances: (GAP,),
    plot.activation_raster: (TIMES, np.arange(12).reshape(4, 3)),
    plot.function_snapshots: (X[:, None], np.outer(TIMES, X), TIMES),
    plot.loss_stages: (TIMES, np.array([4.0, 3.0, 2.0, 1.0]), STAGES),
    plot.amplitude_map: (TIMES, np.arange(1.0, 13).reshape(4, 3)),
    plot.rank_staircase: (
        TIMES,
        np.array([4.0, 3.0, 2.0, 1.0]),
        np.array([1, 1, 2, 2]),
    ),
    plot.phase_portrait: (TIMES, np.outer(TIMES, X), np.outer(TIMES, X + 0.3)),
    plot.spectrum_waterfall: (TIMES, np.outer([4.0, 3.0, 2.0, 1.0], [1.0, 0.1])),
    plot.error_bounds: (TIMES, np.array([4.0, 3.0, 2.0, 1.0]), np.ones((4, 2))),
    plot.update_curvature: (TIMES, np.full(4, 2.0), np.full(4, -1.0), np.zeros(4)),
}
# Figures without a time axis, besides those above.
TIMELESS = {
    plot.work_precision: (SETTINGS,),
    plot.local_lines: (X, X**2, LINES),
    plot.distribution: ({"one": np.array([2.0, 3.0])}, 1.0),
    plot.heat_map: (np.eye(2, 3), ("scale", [0.1, 1.0]), ("step size", [1, 2, 3])),
    plot.outcomes: ({"one": {"completed": 3, "diverged": 1}},),
    plot.depth_fan: (np.array([4, 8, 16, 32]), BAND, [0.5]),
    plot.spectral_ridges: ([np.array([1.0, -0.1]), np.array([2.0])], ["4", "8"]),
    plot.rank_ridges: ([np.array([1, 2]), np.array([4])], ["start", "end"]),
    plot.output_map: (X, X, np.outer(X, X)),
    plot.condensation_map: (np.array([[1.0, -0.3], [-0.3, 1.0]]), np.array([1, 0])),
}
FIGURES |= TIMELESS
every_figure = pytest.mark.parametrize(
    ("figure", "arguments"), FIGURES.items(), ids=[f.__name__ for f in FIGURES]
)


def test_every_public_figure_is_tested():
    public = {value for value in vars(plot).values() if inspect.isfunction(value)}
    assert public == set(FIGURES)


@every_figure
def test_draws_into_the_given_axes_and_changes_nothing_else(figure, arguments, undrawn):
    settings = dict(matplotlib.rcParams)
    before = [np.array(a, copy=True) for a in arguments if isinstance(a, np.ndarray)]
    assert figure(*arguments, ax=undrawn) is undrawn
    assert undrawn.has_data()
    assert len(plt.get_fignums()) == 1
    undrawn.figure.canvas.draw()
    assert dict(matplotlib.rcParams) == settings
    after = [a for a in arguments if isinstance(a, np.ndarray)]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


@every_figure
def test_makes_axes_when_it_gets_none(figure, arguments, undrawn):
    made = figure(*arguments)
    assert made is not undrawn
    assert not undrawn.has_data()
    assert len(plt.get_fignums()) == 2


@every_figure
def test_signature_and_documentation_are_kept(figure, arguments):
    parameters = inspect.signature(figure).parameters
    assert list(parameters)[-1] == "ax"
    assert parameters["ax"].kind is inspect.Parameter.KEYWORD_ONLY
    assert "kwargs" not in parameters
    assert figure.__doc__.startswith("Draw")


@pytest.mark.parametrize(
    ("figure", "arguments"),
    [item for item in FIGURES.items() if item[0] not in TIMELESS],
)
def test_the_unit_of_time_is_said(figure, arguments, undrawn):
    ax = figure(*arguments, time_unit="flow time of L", ax=undrawn)
    labels = {axes.get_xlabel() for axes in ax.figure.axes}
    labels |= {axes.get_ylabel() for axes in ax.figure.axes}
    assert "flow time of L" in labels


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'plateaux\[plot\]'"):
        plot.loss_curve(TIMES, TIMES)


TABLE = SimpleNamespace(start=[0.0], end=[1.0, 2.0], censored=[True])


@pytest.mark.parametrize(
    ("draw", "match"),
    [
        (lambda: plot.loss_curve([], []), r"`times` must have shape \(t,\)"),
        (lambda: plot.loss_curve(TIMES, TIMES[1:]), r"`losses` .* 4, .*shape \(3,\)"),
        (
            lambda: plot.loss_curve(TIMES, TIMES, plateaus=TABLE),
            r"`plateaus` must hold columns .* \(1,\), \(2,\)",
        ),
        (
            lambda: plot.ensemble_band(TIMES[1:], BAND, [0.5]),
            r"`band.estimate` must have one entry a time, 3, along axis 1",
        ),
        (
            lambda: plot.ensemble_band(TIMES, BAND, [0.5, 0.9]),
            r"`probabilities` .* quantile, 1, each different, but is \[0.5, 0.9\]",
        ),
        (
            lambda: plot.event_raster(SimpleNamespace(events=None)),
            "one run that was watched, but are None",
        ),
        (lambda: plot.work_precision({}), "`table` must hold at least one method"),
        (
            lambda: plot.work_precision({"one": [([1.0], [1.0, 2.0])]}),
            r"'one' has shapes \(1,\) and \(2,\)",
        ),
        (lambda: plot.survival_curves({}), "`curves` must hold at least one curve"),
        (
            lambda: plot.survival_curves({"one": CURVE}, at_risk=([0.0], {"two": [1]})),
            "`at_risk` must have numbers for every curve, but has none for 'one'",
        ),
        (
            lambda: plot.survival_curves({"one": CURVE}, at_risk=([0.0], {"one": []})),
            r"`at_risk` .* times of shape \(1,\) and, for 'one', .* shape \(0,\)",
        ),
        (
            lambda: plot.heat_map(np.eye(2, 3), ("a", [1, 2, 3]), ("b", [1, 2])),
            r"`values` must have shape \(3, 2\), .* has shape \(2, 3\)",
        ),
        (lambda: plot.outcomes({}), "`counts` must hold at least one group"),
        (
            lambda: plot.outcomes({"one": {"diverged": -2}}),
            "`counts` must hold numbers of runs, but one of 'diverged' is -2",
        ),
        (
            lambda: plot.kinks(TIMES, np.ones((3, 2)), X),
            r"`breakpoints` must have one entry a time, 4, .* \(3, 2\)",
        ),
        (
            lambda: plot.kinks(TIMES, np.ones((4, 2)), np.ones((3, 2))),
            r"univariate, of shape \(K,\) or \(K, 1\) .* \(3, 2\)",
        ),
        (
            lambda: plot.activation_raster(TIMES[:1], np.ones((1, 2), int)),
            r"`activity` must have shape \(t, rows\) with at least two times",
        ),
        (
            lambda: plot.function_snapshots(X, np.ones((4, 3)), TIMES),
            r"`outputs` must have shape \(t, 7\) .* \(4, 3\)",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused(draw, match, undrawn):
    with pytest.raises(ValueError, match=match):
        draw()
