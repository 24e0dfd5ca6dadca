"""Figures of curvature along a run: extreme eigenvalues, and where updates point."""

from typing import Any

import numpy as np

from ._axes import (
    BLUE,
    VERMILLION,
    arrays,
    check_one,
    legend_above,
    log_time,
    optional_ax,
)


@optional_ax
def update_curvature(
    times: Any,
    largest: Any,
    smallest: Any,
    directional: Any,
    *,
    step_size: Any = None,
    time_unit: str = "",
    ax: Any = None,
) -> Any:
    """Draw the curvature along the updates between the extreme eigenvalues, over time.

    uᵀHu/uᵀu lies between λ_min and λ_max; on a plateau with a negative curvature an
    update that follows it touches the lower edge. The axis is linear around 0, so that
    both signs show, and logarithmic beyond.

    Args:
        times: Saved times, increasing, shape (t,).
        largest: λ_max, shape (t,).
        smallest: λ_min, shape (t,).
        directional: Curvature along the update, shape (t,); NaN where there is none.
        step_size: h of gradient descent: a line at 2/h, beyond which it is unstable.
        time_unit: What one unit of time is, for the label.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ValueError: If shapes do not fit, or the step size is not positive.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> ax = update_curvature([1.0, 9.0], [2.0, 3.0], [-1.0, -0.1], [0.5, 0.2])
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['λ_max', 'λ_min', 'along the update']
    """
    times, largest, smallest, directional = arrays(
        times,
        largest=(largest, 0),
        smallest=(smallest, 0),
        directional=(directional, 0),
    )
    check_one("largest", largest)
    check_one("smallest", smallest)
    check_one("directional", directional)
    ax.plot(times, largest, color=BLUE, label="λ_max")
    ax.plot(times, smallest, color=VERMILLION, label="λ_min")
    ax.fill_between(times, smallest, largest, color="0.5", alpha=0.15, linewidth=0)
    dots: dict[str, Any] = {"color": "black", "markersize": 3, "linewidth": 0.8}
    ax.plot(times, directional, "o-", label="along the update", **dots)
    if step_size is not None:
        if not (np.isfinite(step_size) and step_size > 0):
            raise ValueError(
                f"Argument `step_size` must be positive, but is {step_size}."
            )
        style: dict[str, Any] = {"color": "black", "linewidth": 1, "linestyle": "--"}
        ax.axhline(2 / step_size, label="2/h", **style)
    _both_signs(ax, np.concatenate([largest, smallest, directional]))
    ax.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    ax.set_ylabel("curvature")
    log_time(ax, times, time_unit)
    legend_above(ax, columns=4)
    return ax


def _both_signs(ax: Any, values: np.ndarray) -> None:
    """Logarithmic on both sides of 0, from a thousandth of the largest size down."""
    sizes = np.abs(values[np.isfinite(values)])
    if sizes.size and sizes.max() > 0:
        threshold = 10.0 ** np.floor(np.log10(sizes.max()) - 3)
        ax.set_yscale("symlog", linthresh=threshold)
        ax.yaxis.get_major_locator().set_params(numticks=9)
