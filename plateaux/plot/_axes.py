"""What all figures share: the axes, log time, colours, and losses that diverged."""

import functools
import importlib
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import numpy as np

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# Okabe & Ito (2008), told apart under the common colour deficiencies; black is left
# for data, yellow is too pale on white.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)
COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
DASHES = ("-", "--", "-.", ":")
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def optional_ax(draw: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Give a figure function new axes when it gets none; its signature stays."""

    @functools.wraps(draw)
    def with_axes(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if kwargs.get("ax") is None:
            kwargs["ax"] = new_axes()
        return draw(*args, **kwargs)

    return with_axes


def new_axes() -> Any:
    """Axes of a new pyplot figure, so that a notebook shows it."""
    require_matplotlib()
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def require_matplotlib() -> None:
    """Refuse to go on without matplotlib, in a sentence that says what to install."""
    try:
        importlib.import_module("matplotlib")
    except ImportError as error:
        raise ImportError(
            "Figures need matplotlib, which is not installed; run "
            "`pip install 'plateaux[plot]'`."
        ) from error


def log_time(ax: Any, times: np.ndarray, time_unit: str, *, axis: str = "x") -> None:
    """Make an axis logarithmic in time; if there is a time 0, linear below a decade."""
    positive = times[np.isfinite(times) & (times > 0)]
    if positive.size:
        scale: dict[str, Any] = {"value": "log"}
        if np.any(times == 0):
            # A whole power of ten keeps the tick of 0 and the next one apart.
            threshold = 10.0 ** np.ceil(np.log10(positive.min()))
            scale = {"value": "symlog", "linthresh": threshold, "linscale": 1.0}
        ax.set(**{f"{axis}margin": 0})
        getattr(ax, f"set_{axis}scale")(**scale)
        getattr(ax, f"{axis}axis").get_major_locator().set_params(numticks=8)
    getattr(ax, f"set_{axis}label")(time_unit or "time")


def time_ticks(times: Any, most: int = 7) -> np.ndarray:
    """Ticks of `log_time`'s axis: 0 if drawn, and powers of ten, at most so many."""
    times = np.asarray(times)
    positive = times[np.isfinite(times) & (times > 0)]
    first = [0.0] if np.any(times == 0) else []
    if not positive.size:
        return np.array(first)
    low = np.ceil(np.log10(positive.min()) - 1e-9)
    powers = np.arange(low, np.floor(np.log10(positive.max()) + 1e-9) + 1)
    stride = -(-len(powers) // max(most - len(first), 1))
    return np.array([*first, *(10.0 ** powers[:: max(stride, 1)])])


def log_colors(times: np.ndarray) -> Any:
    """Colours of log time, early dark and late bright; 0 has the first one's."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize

    positive = times[times > 0]
    span = (positive.min(), positive.max()) if positive.size else (0.0, 1.0)
    norm = LogNorm if positive.size and span[0] < span[1] else Normalize
    return ScalarMappable(norm(*span, clip=True), cmap="viridis")


def arrays(times: Any, **others: tuple[Any, int]) -> tuple[np.ndarray, ...]:
    """Times (t,) and arrays whose given axis is time, checked, as NumPy arrays."""
    times = np.asarray(times)
    if times.ndim != 1 or times.size == 0:
        raise ValueError(
            "Argument `times` must have shape (t,) with at least one time, but has "
            f"shape {times.shape}."
        )
    found = [times]
    for name, (value, axis) in others.items():
        array = np.asarray(value)
        if array.ndim <= axis or array.shape[axis] != times.size:
            raise ValueError(
                f"Argument `{name}` must have one entry a time, {times.size}, along "
                f"axis {axis}, but has shape {array.shape}."
            )
        found.append(array)
    return tuple(found)


def event_columns(events: Any) -> tuple[np.ndarray, ...]:
    """Time, neuron, datum and kind of a run's events, without unused rows."""
    if events is None or np.asarray(events.time).ndim != 1:
        raise ValueError(
            "Events must be those of one run that was watched, but "
            + ("are None." if events is None else f"have shape {events.time.shape}.")
        )
    count = int(events.count)
    names = ("time", "neuron", "datum", "kind")
    return tuple(np.asarray(getattr(events, name))[:count] for name in names)


def slides(columns: tuple[np.ndarray, ...], end) -> Iterator[tuple[Any, ...]]:
    """(neuron, datum, start, end) of every slide, until the pair's next event.

    A collapse of the neuron ends it too; the end of the run, if nothing else does.
    """
    time, neuron, datum, kind = columns
    slide, collapse = 2, 3  # of `px.EventKind`
    for i in np.flatnonzero(kind == slide):
        later = (neuron == neuron[i]) & (np.arange(len(time)) > i)
        over = later & ((datum == datum[i]) | (kind == collapse))
        stop = time[np.argmax(over)] if over.any() else end
        yield neuron[i], datum[i], time[i], stop


def until_diverged(values: np.ndarray) -> int:
    """Number of leading finite values."""
    finite = np.isfinite(values)
    return values.size if finite.all() else int(np.argmin(finite))


def place_legend(ax: Any) -> None:
    """A legend in the emptier corner: falling curves leave two of them free."""
    if not ax.get_legend_handles_labels()[1]:
        return
    drawn = [line.get_xydata() for line in ax.lines]
    drawn += [c.get_paths()[0].vertices for c in ax.collections if c.get_paths()]
    points = np.concatenate([p for p in drawn if len(p)] or [np.zeros((0, 2))])
    ax.autoscale_view()
    with np.errstate(all="ignore"):
        x, y = ax.transAxes.inverted().transform(ax.transData.transform(points)).T
    lower_left = np.sum((x < 0.5) & (y < 0.45))
    upper_right = np.sum((x > 0.5) & (y > 0.55))
    ax.legend(loc="upper right" if upper_right < lower_left else "lower left")


def legend_above(ax: Any, *handles: Any, columns: int = 2) -> None:
    """Names above the axes, where they hide nothing; of all that have one, or some."""
    some = {"handles": handles} if handles else {}
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1)}
    ax.legend(**some, **place, ncols=columns, frameon=False)


def short_number(value: Any) -> str:
    """Three digits (all those of a number in the thousands); infinity as its sign."""
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    digits = ".0f" if 1e3 <= abs(value) < 1e6 else ".3g"
    return f"{value:{digits}}".replace("-", "−")


def power(value: float) -> str:
    """A number by powers of ten if it is small or large."""
    digits, _, exponent = f"{value:.2e}".partition("e")
    digits = f"{float(digits):g}"
    if -2 <= int(exponent) <= 3:
        return f"{float(f'{value:.3g}'):g}"
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPTS)
    return power if digits == "1" else f"{digits}·{power}"


def whole_numbers(axis: Any) -> None:
    """Ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))


def columns(name: str, array: np.ndarray) -> np.ndarray:
    """Numbers of one or several thresholds as (t, e)."""
    if array.ndim not in (1, 2) or not array.size:
        raise ValueError(
            f"Argument `{name}` must have shape (t,), or (t, e) for several "
            f"thresholds, but has shape {array.shape}; draw one run at a time."
        )
    return array.reshape(len(array), -1)


def check_one(name: str, array: np.ndarray) -> None:
    """Refuse what is not the one run's."""
    if array.ndim != 1:
        raise ValueError(
            f"Argument `{name}` must be that of one run, of shape (t,), but has shape "
            f"{array.shape}."
        )


def line_names(given: Any, count: int, argument: str, word: str) -> list[str]:
    """A name a line: those given, or a word, numbered if there are several."""
    if given is None:
        return [word] if count == 1 else [f"{word} {i + 1}" for i in range(count)]
    if isinstance(given, str) or len(given) != count:
        raise ValueError(
            f"Argument `{argument}` must have one entry a line, {count}, but is "
            f"{given!r}."
        )
    return list(given)


def line_color(i: int) -> str:
    """The colour of the i-th line."""
    return COLORS[i % len(COLORS)]
