"""Figures of rank_starts.py: ranks, losses, and losses next to their bounds."""

from pathlib import Path

import numpy as np
from drawing import COLORS, save

import plateaux as px

QUARTILES = (0.25, 0.5, 0.75)


def draw_ranks(seen: dict, epsilon: float, path: Path) -> None:
    """Ridges of the ε-ranks of both layers, at the start and at the end."""
    import matplotlib.pyplot as plt

    layout = {"layout": "constrained", "sharex": True, "sharey": True}
    fig, axes = plt.subplots(2, 2, figsize=(11, 10), **layout)
    for layer, row in enumerate(axes):
        for ax, at, when in zip(
            row, (0, -1), ("at the start", "at the end"), strict=True
        ):
            some = [one["ranks"][layer][:, at, 0] for one in seen.values()]
            px.plot.rank_ridges(some, list(seen), ax=ax)
            ax.set_xlabel(f"ε-rank of layer {layer + 1}, ε = {epsilon:g}, {when}")
    save(fig, path)


def draw_losses(seen: dict, path: Path) -> None:
    """Bands of the loss, one panel a start, with the median of the first start."""
    import matplotlib.pyplot as plt

    num = 1 + len(seen) // 4  # of rows: one panel is left for the legend
    layout = {"layout": "constrained", "sharex": True, "sharey": True}
    size = (13, 2.6 * num + 0.6)
    fig, axes = plt.subplots(num, 4, figsize=size, squeeze=False, **layout)
    probabilities = (0.1, *QUARTILES, 0.9)
    first = next(iter(seen))
    band = {
        name: px.statistics.quantile_band(one["losses"], probabilities)
        for name, one in seen.items()
    }
    for ax, (name, one) in zip(axes.flat, seen.items(), strict=False):
        px.plot.ensemble_band(
            one["steps"],
            band[name],
            probabilities,
            time_unit="step",
            legend=False,
            ax=ax,
        )
        compared = band[first].estimate[2]
        ax.plot(one["steps"], compared, ":", color="black", label=f"{first}, median")
        ax.set_title(name)
        ax.label_outer()
    for ax in axes.flat[len(seen) :]:
        ax.axis("off")
    for ax in axes.flat[max(len(seen) - 4, 0) : len(seen)]:  # nothing stands below
        ax.tick_params(labelbottom=True)
        ax.set_xlabel("step")
    axes.flat[-1].legend(*axes.flat[0].get_legend_handles_labels(), loc="center")
    save(fig, path)


def draw_bounds(found: dict, path: Path) -> None:
    """Last losses and what the ε-rank forces, quartiles a start."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7.5, 5), layout="constrained")
    places = np.arange(len(found))[::-1]
    for name, color, label in (
        ("loss, last", "black", "loss at the end"),
        ("loss forced by the rank", COLORS[0], "its lower bound by ε-rank"),
    ):
        low, mid, high = np.array([np.array(of[name])[:, 0] for of in found.values()]).T
        shift = 0.12 if color == "black" else -0.12
        ax.errorbar(
            mid, places + shift, xerr=[mid - low, high - mid], fmt="o", color=color,
            label=f"{label}, quartiles",
        )  # fmt: skip
    ax.set_yticks(places, list(found))
    ax.set(xscale="log", xlabel="loss")
    ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.4, 1.12), ncols=2)
    ax.grid(axis="x", color="0.9")
    save(fig, path)
