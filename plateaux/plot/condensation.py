"""Figures of multi-stage dynamics: stages of the loss, and the neurons behind them."""

from typing import Any

import numpy as np

from ._axes import (
    BLUE,
    GREEN,
    ORANGE,
    SKY,
    VERMILLION,
    arrays,
    legend_above,
    log_colors,
    log_time,
    optional_ax,
    until_diverged,
)

# Start and end of every stage, by the names of what was measured.
_STAGES = (
    ("initial plateau", None, "t10", SKY, 0.35),
    ("initial descent", "t10", "t90", ORANGE, 0.3),
    ("secondary plateau", "entry", "exit", GREEN, 0.22),
)


@optional_ax
def loss_stages(
    times: Any,
    losses: Any,
    stages: Any,
    *,
    time_unit: str = "",
    ax: Any = None,
) -> Any:
    """Draw the loss of one run against log time, its stages shaded.

    The initial plateau ends when a tenth of the way to the level of the best affine
    predictor is done, the descent when nine tenths are; the secondary plateau is
    between entry and exit. What was not reached by the end of the run (inf or NaN) is
    shaded to the end if its stage began, and hatched. The level is a dashed line.

    Args:
        times: Saved times, increasing, shape (t,).
        losses: Losses, shape (t,).
        stages: What `px.stages.multistage` returned, of one run: an object with numbers
            `t10`, `t90`, `entry`, `exit` and `linear_loss`.
        time_unit: What one unit of time is, for the label.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ValueError: If shapes do not fit, or the stages are those of a batch.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> from types import SimpleNamespace
        >>> found = SimpleNamespace(
        ...     t10=1.0, t90=3.0, entry=4.0, exit=50.0, linear_loss=0.5
        ... )
        >>> ax = loss_stages([0.0, 1.0, 4.0, 90.0], [1.0, 0.9, 0.5, 0.1], found)
        >>> [text.get_text() for text in ax.get_legend().get_texts()][1:3]
        ['initial descent', 'secondary plateau']
    """
    times, losses = arrays(times, losses=(losses, 0))
    named = ("t10", "t90", "entry", "exit", "linear_loss")
    at = {name: _number(name, getattr(stages, name)) for name in named}
    for words, start, end, color, alpha in _STAGES:
        first = times[0] if start is None else at[start]
        if not np.isfinite(first):
            continue
        over = np.isfinite(at[end])
        ax.axvspan(
            first,
            at[end] if over else times[-1],
            facecolor=color,
            edgecolor=color,
            alpha=alpha,
            linewidth=0,
            hatch=None if over else "///",
            zorder=0,
            label=words if over else f"{words}, still running",
        )
    seen = until_diverged(losses)
    ax.plot(times[:seen], losses[:seen], color=BLUE)
    if np.isfinite(at["linear_loss"]):
        style = {"color": "black", "linestyle": "--", "linewidth": 1}
        ax.axhline(at["linear_loss"], label="best affine predictor", **style)
    if np.isfinite(ax.dataLim.minposy):
        ax.set_yscale("log")
    ax.set_ylabel("loss")
    log_time(ax, times, time_unit)
    ax.set_xlim(times[0], times[-1])
    legend_above(ax)
    return ax


@optional_ax
def condensation_map(similarity: Any, order: Any = None, *, ax: Any = None) -> Any:
    """Draw the cosines between all pairs of input weights, in an order that shows them.

    Red is parallel, blue antiparallel, white orthogonal, in colours that colour-blind
    readers tell apart. Condensed neurons make square blocks of full colour.

    Args:
        similarity: Cosines, shape (n, n), such as `px.diagnostics.cosine_similarity`.
        order: The neurons from first to last, shape (n,), such as
            `px.diagnostics.display_order`; their own order if None.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes; a colour bar is added to their figure.

    Raises:
        ValueError: If shapes do not fit, or `order` leaves neurons out.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> ax = condensation_map([[1.0, -0.6], [-0.6, 1.0]])
        >>> ax.get_ylabel()
        'neuron'
    """
    similarity = np.asarray(similarity, dtype=float)
    count = similarity.shape[0] if similarity.ndim else 0
    if similarity.shape != (count, count) or not count:
        raise ValueError(
            "Argument `similarity` must have shape (n, n), a cosine a pair of neurons, "
            f"but has shape {similarity.shape}."
        )
    own = order is None
    order = np.arange(count) if own else np.asarray(order)
    if order.shape != (count,) or not np.array_equal(np.sort(order), np.arange(count)):
        raise ValueError(
            f"Argument `order` must hold every one of {count} neurons once, but is "
            f"{np.array2string(order, threshold=8, edgeitems=2)}."
        )
    image = ax.imshow(
        similarity[np.ix_(order, order)],
        cmap="RdBu_r",
        vmin=-1,
        vmax=1,
        interpolation="nearest",
    )
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.8, label="cosine of input weights")
    bar.set_ticks([-1, -0.5, 0, 0.5, 1])
    words = "neuron" if own else "neuron, in order of direction"
    ax.set(xlabel=words, ylabel=words)
    return ax


@optional_ax
def amplitude_map(
    times: Any,
    amplitudes: Any,
    *,
    bins: int = 40,
    label: str = "length of input weights",
    time_unit: str = "",
    ax: Any = None,
) -> Any:
    """Draw the histogram of amplitudes at every time as a column of colour.

    Log amplitude against log time; the colour is the share of neurons in a bin, on a
    logarithmic scale so that a single neuron is seen; where there is none it is white.
    The lines are the largest amplitude and the median. A histogram holds from its
    saved time to the next; the last has no next and is not drawn. Amplitudes of 0 have
    no logarithm and are counted nowhere.

    Args:
        times: At least two saved times, increasing, shape (t,).
        amplitudes: ‖v_i‖ or |c_i| of every neuron, shape (t, n), such as a part of
            recorded `px.diagnostics.amplitudes`.
        bins: Number of bins between the smallest and the largest amplitude.
        label: What an amplitude is, for the label.
        time_unit: What one unit of time is, for the label.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes; a colour bar is added to their figure.

    Raises:
        ValueError: If shapes do not fit, or no amplitude is positive.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> ax = amplitude_map([0.0, 1.0, 9.0], [[0.1, 0.2], [0.3, 0.3], [0.5, 3.0]])
        >>> ax.get_yscale()
        'log'
    """
    from matplotlib.colors import LogNorm

    times, amplitudes = arrays(times, amplitudes=(amplitudes, 0))
    if bins < 1:
        raise ValueError(f"Argument `bins` must be at least 1, but is {bins}.")
    positive = amplitudes[np.isfinite(amplitudes) & (amplitudes > 0)]
    if amplitudes.ndim != 2 or times.size < 2 or not positive.size:
        raise ValueError(
            "Argument `amplitudes` must have shape (t, n), at least two times and one "
            f"positive number, but has shape {amplitudes.shape} and {positive.size} "
            "positive numbers."
        )
    low, high = np.log10(positive.min()), np.log10(positive.max())
    # A little wider, so that the ends are inside of the first and last bin.
    edges = np.logspace(low - 1e-6, max(high, low + 0.01) + 1e-6, bins + 1)
    count = amplitudes.shape[1]
    share = [np.histogram(row, edges)[0] / count for row in amplitudes[:-1]]
    mesh = ax.pcolormesh(
        times,
        edges,
        np.ma.masked_equal(np.transpose(share), 0),
        norm=LogNorm(1 / count, 1) if count > 1 else LogNorm(0.5, 1),
        cmap="viridis",
        rasterized=True,
    )
    ax.figure.colorbar(mesh, ax=ax, label="share of neurons")
    ax.plot(times, amplitudes.max(axis=1), color=VERMILLION, label="largest")
    median = np.median(amplitudes, axis=1)
    ax.plot(times, median, color="black", linestyle="--", label="median")
    ax.set(yscale="log", ylabel=label, ylim=(edges[0] / 1.2, edges[-1] * 1.2))
    log_time(ax, times, time_unit)
    legend_above(ax)
    return ax


@optional_ax
def phase_portrait(
    times: Any,
    outer: Any,
    along: Any,
    *,
    log: bool = True,
    time_unit: str = "",
    ax: Any = None,
) -> Any:
    """Draw every neuron in the plane of its outer weight and its input weights along z.

    A dot is a neuron at a saved time, dark early and bright late; a thin line is its
    path from one to the next. While a network is small its neurons run towards the
    dashed diagonal, where the two are equal.

    Args:
        times: Saved times, increasing, shape (t,); a handful reads best.
        outer: Outer weights c_i, shape (t, n).
        along: ẑ·v_i, shape (t, n), such as recorded `px.diagnostics.projection`.
        log: Whether both axes are logarithmic on either side of 0, with a linear piece
            up to the power of ten above the median size at the first time.
        time_unit: What one unit of time is, for the label.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes; a colour bar is added to their figure.

    Raises:
        ValueError: If shapes do not fit.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> along = [[0.1, 0.2], [0.5, -0.3]]
        >>> ax = phase_portrait([0.0, 5.0], [[0.1, -0.1], [0.5, -0.4]], along)
        >>> ax.get_xlabel()
        'outer weight c'
    """
    times, outer, along = arrays(times, outer=(outer, 0), along=(along, 0))
    if outer.ndim != 2 or outer.shape != along.shape:
        raise ValueError(
            "Arguments `outer` and `along` must have shape (t, n), a number a time and "
            f"neuron, but have shapes {outer.shape} and {along.shape}."
        )
    sizes = np.abs([outer, along])
    sizes = np.where(np.isfinite(sizes), sizes, 0)
    reach = 1.3 * sizes.max(initial=0) or 1.0
    ax.plot([-reach, 0, reach], [-reach, 0, reach], "--", color="black", linewidth=0.8)
    ax.plot(outer, along, color="0.75", linewidth=0.5)
    colors = log_colors(times)
    for time, c, a in zip(times, outer, along, strict=True):
        ax.plot(c, a, ".", color=colors.to_rgba(time), markersize=4)
    ax.figure.colorbar(colors, ax=ax, label=time_unit or "time")
    if log:
        _both_sides(ax, np.median(sizes[:, 0]), reach)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
    ax.set(xlabel="outer weight c", ylabel="input weights along z, ẑ·v")
    ax.set_box_aspect(1)
    return ax


def _number(name: str, value: Any) -> float:
    array = np.asarray(value, dtype=float)
    if array.ndim:
        raise ValueError(
            f"Argument `stages` must be those of one run, but `{name}` has shape "
            f"{array.shape}; draw one lane at a time."
        )
    return float(array)


def _both_sides(ax, size: float, reach: float) -> None:
    """Logarithmic axes on either side of a linear piece around 0, ticks apart."""
    linear = 10.0 ** np.ceil(np.log10(size)) if size > 0 else reach
    if linear >= reach:
        return
    powers = np.arange(np.log10(linear).round(), np.log10(reach))
    ticks = 10.0 ** powers[:: max(1, -(-len(powers) // 2))]
    for axis in "xy":
        scale: dict[str, Any] = {"value": "symlog", "linthresh": linear}
        getattr(ax, f"set_{axis}scale")(**scale, linscale=max(1.0, len(powers) / 3))
        ax.set(**{f"{axis}ticks": [*-ticks[::-1], 0, *ticks]})
