"""Least squares across activation patterns against descent, on eight targets.

Every method trains the same sixteen networks of a target, in float64. Printed: the
median and the best root mean square error of every method, the seconds a network took,
and, in one dimension, the error that no network of this width can go below. Drawn for
every target: error against steps and against seconds.

    python experiments/least_squares_training.py [--smoke] [--target I] [--out FOLDER]

A target that is done has its figure and its numbers in the folder at once, so that the
eight can be run one by one.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from trainers import Budget, Run, methods, rmse, train

import plateaux as px


@dataclass(frozen=True)
class Config:
    """Which targets, how many networks, how long.

    Attributes:
        targets: Names in `targets()`.
        lanes: Networks of a target.
        budget: Steps of every method.
    """

    targets: tuple[str, ...]
    lanes: int = 16
    budget: Budget = Budget()


def targets() -> dict[str, tuple[px.Problem, int]]:
    """Problem and width by name."""

    def line(f, low, high, size):
        x = jnp.linspace(low, high, size)[:, None]
        return px.Problem(x, f(x[:, 0]))

    wave = lambda cycles: lambda x: jnp.sin(cycles * jnp.pi * x)
    step = lambda x: jnp.where(x > 0, 1.0, 0.0)
    one = {
        f"sin {k}πx, n = {n}": (line(wave(k), 0, 1, size), n)
        for k, size, widths in ((2, 100, (5, 10, 20)), (5, 200, (10, 20)))
        for n in widths
    }
    one["x², n = 4"] = line(lambda x: x**2, 0, 1, 100), 4
    one["step, n = 2"] = line(step, -1, 1, 100), 2
    plane = px.problems.product_of_sines(num_side=30)
    return one | {"sin πx₁ sin πx₂, n = 20": (plane, 20)}


SMOKE = Config(("sin 2πx, n = 5",), lanes=2, budget=Budget(20, 200, 20, 10))


def starts(problem: px.Problem, width: int, lanes: int):
    """Unit inner weights, kinks at random points of the data's box."""
    keys = jax.random.split(jax.random.key(0), lanes)
    low, high = np.min(problem.x, axis=0), np.max(problem.x, axis=0)
    draw = lambda key: px.networks.unit_kinks(
        key, width=width, in_dim=problem.in_dim, affine=True, lo=low, hi=high
    )
    return jax.vmap(draw)(keys)


def bound(problem: px.Problem, width: int) -> float | None:
    """The least error of a network of this width, proven, in one dimension."""
    if problem.in_dim > 1:
        return None
    values = px.patterns.segmented_fit(problem, width + 1).values
    return float(rmse(problem, values[width]))


def study(problem: px.Problem, width: int, config: Config) -> dict[str, Run]:
    """All methods on one target, each printed when it is done."""
    begun = starts(problem, width, config.lanes)
    runs = {}
    for name in methods(problem.in_dim):
        runs[name] = train(name, problem, begun, config.budget)
        numbers = row(problem, runs[name])
        print(
            f"  {name:20s} median {numbers['median']:.3e}  best "
            f"{numbers['best']:.3e}  seconds {numbers['seconds']:.3g}",
            flush=True,
        )
    return runs


def row(problem: px.Problem, run: Run) -> dict[str, float]:
    """Median and best error, and seconds a network."""
    last = rmse(problem, run.losses.min(axis=1))
    return {
        "median": float(np.median(last)),
        "best": float(last.min()),
        "worst": float(last.max()),
        "seconds": run.seconds / len(last),
    }


def draw(title, problem, runs, lowest, path: Path) -> None:
    """Median error against steps and against seconds, the proven bound as a line."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", sharey=True)
    colors = plt.get_cmap("tab10").colors
    for color, (name, run) in zip(colors, runs.items(), strict=False):
        middle = np.median(rmse(problem, run.losses), axis=0)
        label = name.replace("_", " ")
        style = "-" if name in ("joint", "neuron", "exact") else "--"
        for ax, along in zip(axes, (run.steps, run.seconds_a_lane), strict=True):
            ax.plot(along[1:], middle[1:], style, color=color, lw=1.4, label=label)
    for ax, axis in zip(axes, ("step", "seconds a network"), strict=True):
        if lowest:
            ax.axhline(lowest, color="black", lw=0.8)
        ax.set(xscale="log", yscale="log", xlabel=axis)
    axes[0].set(ylabel="median root mean square error")
    if lowest:
        right = axes[0].get_xlim()[1]
        axes[0].text(right, lowest, "best possible ", ha="right", va="bottom", size=8)
    fig.suptitle(title)
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, frameon=False, loc="outside right center")
    fig.savefig(path, dpi=130)
    plt.close(fig)


def main() -> None:
    """Run every target, print its table, draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one target, few steps")
    parser.add_argument("--target", type=int, help="only this one, from 0")
    parser.add_argument("--out", type=Path, default=Path("runs/least_squares_training"))
    args = parser.parse_args()
    config = SMOKE if args.smoke else Config(tuple(targets()))
    args.out.mkdir(parents=True, exist_ok=True)
    for index, title in enumerate(config.targets):
        if args.target not in (None, index):
            continue
        problem, width = targets()[title]
        lowest = bound(problem, width)
        best = "" if lowest is None else f", best possible {lowest:.3e}"
        print(title + best, flush=True)
        runs = study(problem, width, config)
        draw(title, problem, runs, lowest, args.out / f"target_{index}.png")
        result = {
            "target": title,
            "best possible": lowest,
            "budget": asdict(config.budget),
            "numbers": {name: row(problem, run) for name, run in runs.items()},
        }
        (args.out / f"target_{index}.json").write_text(json.dumps(result, indent=1))
    print(f"figures and numbers: {args.out}")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
