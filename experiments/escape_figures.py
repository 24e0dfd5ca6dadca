"""Figures of escape_depth.py: medians, survival, eps, and the way out."""

from pathlib import Path

import numpy as np
from drawing import COLORS, save, size_axis

import plateaux as px

SURVIVE = ("gradient descent", "momentum 0.9", "sign descent", "Adam")
STYLES = {  # colour, marker, dash
    "gradient descent": (COLORS[0], "o", "-"),
    "momentum 0.9": (COLORS[1], "s", "-"),
    "noisy descent": (COLORS[2], "v", "--"),
    "normalised descent": (COLORS[3], "^", "-"),
    "sign descent": (COLORS[4], "D", "-"),
    "RMSprop": ("0.5", "*", "-"),
    "Adam": ("black", "P", "-."),
    "AdamW": (COLORS[5], "X", ":"),
    "saddle-free Newton": ("#882255", "h", "-."),
}


def draw_escapes(
    made: dict, seen: dict, most: dict, path: Path, depth: int = 32
) -> None:
    """Median escape against depth, and survival of the plateau at one depth."""
    import matplotlib.pyplot as plt

    layout = {"layout": "constrained", "width_ratios": (1, 1.2), "figsize": (12, 4.8)}
    fig, (left, right) = plt.subplots(1, 2, **layout)
    depths, names = sorted({d for _, d in seen}), [name for name, _ in seen]
    draw_medians(left, made, {name: most[name] for name in names}, depths)
    chosen = depth if depth in depths else depths[-1]
    survive = [name for name in SURVIVE if name in names]
    summaries = {
        name: px.statistics.escape_summary(seen[name, chosen]).survival
        for name in survive
    }
    colors = [STYLES[name][0] for name in survive]
    px.plot.survival_curves(summaries, colors=colors, ax=right)
    right.set(xscale="log", xlabel="step", ylabel="share still on the plateau")
    right.set_title(f"L = {chosen}", loc="right")
    save(fig, path)


def draw_medians(ax, made: dict, most: dict, depths) -> None:
    """Median escape steps; an arrow up stands where the median is beyond all steps."""
    for name, (color, marker, dash) in STYLES.items():
        if name not in most:
            continue
        rows = np.array([made[f"{name}, L = {d}"]["median"] for d in depths])
        mid, low, high = np.where(np.isinf(rows), np.nan, rows).T
        ends = np.nan_to_num([mid - low, high - mid], nan=0.0)
        # Lines that lie on one another show through dashes.
        style = {"marker": marker, "color": color, "linestyle": dash}
        ax.errorbar(depths, mid, yerr=ends, label=name, markersize=5, **style)
        beyond = [d for d, m in zip(depths, mid, strict=True) if np.isnan(m)]
        ax.plot(beyond, [most[name]] * len(beyond), "^", color=color)
        if beyond and name == SURVIVE[0]:
            at = {"textcoords": "offset points", "ha": "right", "fontsize": "small"}
            ax.annotate("not within 20 000 steps", (beyond[-1], 2e4), (0, 7), **at)
    size_axis(ax, "depth L", depths)
    ax.set(yscale="log", ylabel="median escape step")
    ax.minorticks_off()
    ax.legend(fontsize="small", ncols=2, loc="upper right")
    ax.set_ylim(top=1e6)


def draw_eps(made: dict, depths, every, path: Path) -> None:
    """Shares that escaped, by eps and depth, one panel a precision."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for ax, dtype in zip(axes, ("float64", "float32"), strict=True):
        of = lambda d, e, dtype=dtype: made[f"Adam, eps {e:g}, L = {d}, {dtype}"]
        share = np.array([[of(d, e)["escaped"][0] for e in every] for d in depths])
        px.plot.heat_map(
            share, ("depth L", list(depths)), ("eps of Adam", list(every)), ax=ax
        )
        ax.set_title(f"share that escaped, {dtype}")
    save(fig, path)


def draw_directions(found: dict, path: Path) -> None:
    """Update against curvature, one panel an optimizer."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
    for ax, (name, one) in zip(axes, found.items(), strict=True):
        run, curvature = one["run"], one["curvature"]
        # A little beyond the escape: what follows is another story.
        shown = slice(0, int(np.sum(np.asarray(run.times) < 1.2 * one["time"])) - 1)
        px.plot.update_curvature(
            run.times[shown],
            curvature.largest[shown],
            curvature.smallest[shown],
            one["along"][shown],
            time_unit="step",
            ax=ax,
        )
        ax.axvline(one["time"], color="0.5", linestyle=":")
        ax.set_title(name, loc="right")
    save(fig, path)
