"""Least squares across activation patterns against descent, on eight targets.

Every method trains the same sixteen networks of a target, in float64. Printed: the
median and the best root mean square error of every method, the seconds a network took,
and, in one dimension, the error that no network of this width can go below. Drawn for
every target: error against steps and against seconds.

    python experiments/least_squares_training.py [--smoke] [--parts sine-5 …]
        [--out FOLDER]

The targets are the parts, so that they can be run one by one.
"""

from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from drawing import save
from trainers import LOOKS, Budget, Run, methods, rmse, train

import plateaux as px
from plateaux.experiments import main

TARGETS = {
    "sine-5": "sin 2πx, n = 5",
    "sine-10": "sin 2πx, n = 10",
    "sine-20": "sin 2πx, n = 20",
    "fast-sine-10": "sin 5πx, n = 10",
    "fast-sine-20": "sin 5πx, n = 20",
    "square-4": "x², n = 4",
    "step-2": "step, n = 2",
    "plane-20": "sin πx₁ sin πx₂, n = 20",
}


@dataclass(frozen=True)
class Config:
    """Which targets, how many networks, how long.

    Attributes:
        parts: The targets.
        methods: Names in `trainers`; the exact one only where there is one input.
        lanes: Networks of a target.
        budget: Steps of every method.
    """

    parts: tuple[str, ...] = tuple(TARGETS)
    methods: tuple[str, ...] = methods(1)
    lanes: int = 16
    budget: Budget = Budget()


SMOKE = Config(
    ("sine-5",), ("joint", "adam", "l-bfgs"), lanes=2, budget=Budget(20, 200, 20, 10)
)


def target(part: str) -> tuple[px.Problem, int]:
    """Problem and width."""
    name, width = part.rsplit("-", 1)
    if name == "plane":
        return px.problems.product_of_sines(num_side=30), int(width)
    low, high, size, value = {
        "sine": (0, 1, 100, lambda x: jnp.sin(2 * jnp.pi * x)),
        "fast-sine": (0, 1, 200, lambda x: jnp.sin(5 * jnp.pi * x)),
        "square": (0, 1, 100, lambda x: x**2),
        "step": (-1, 1, 100, lambda x: jnp.where(x > 0, 1.0, 0.0)),
    }[name]
    x = jnp.linspace(low, high, size)[:, None]
    return px.Problem(x, value(x[:, 0])), int(width)


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


def study(part: str, config: Config) -> tuple[dict[str, Run], dict]:
    """All methods on one target, each printed when it is done; runs and numbers."""
    problem, width = target(part)
    lowest = bound(problem, width)
    best = "" if lowest is None else f", best possible {lowest:.3e}"
    print(TARGETS[part] + best)
    begun = starts(problem, width, config.lanes)
    runs, error = {}, {}
    for name in config.methods:
        if name not in methods(problem.in_dim):
            continue
        runs[name] = train(name, problem, begun, config.budget)
        last = rmse(problem, runs[name].losses.min(axis=1))
        error[name] = float(np.median(last))
        print(
            f"  {name:20s} median {error[name]:.3e}  best {last.min():.3e}  "
            f"seconds {runs[name].seconds / len(last):.3g}"
        )
    found: dict = {"error": error}
    if lowest is not None and lowest > 1e-12:  # the step is fitted exactly
        found["over the best possible"] = {k: v / lowest for k, v in error.items()}
    return runs, found


def draw(part: str, runs: dict[str, Run], path: Path) -> None:
    """Median error against steps and against seconds, the proven bound as a line."""
    import matplotlib.pyplot as plt

    problem, width = target(part)
    lowest = bound(problem, width)
    fig, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", sharey=True)
    for name, run in runs.items():
        middle = np.median(rmse(problem, run.losses), axis=0)
        for ax, along in zip(axes, (run.steps, run.seconds_a_lane), strict=True):
            ax.plot(along[1:], middle[1:], lw=1.6, **LOOKS[name])
    for ax, axis in zip(axes, ("step", "seconds a network"), strict=True):
        if lowest:
            ax.axhline(lowest, color="black", lw=0.8)
        ax.set(xscale="log", yscale="log", xlabel=axis)
    axes[0].set(ylabel="median root mean square error")
    if lowest:
        right = axes[0].get_xlim()[1]
        axes[0].text(right, lowest, "best possible ", ha="right", va="bottom", size=9)
    fig.suptitle(TARGETS[part])
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, frameon=False, loc="outside right center")
    save(fig, path)


def run(config: Config, out: Path) -> dict:
    """Run every target, print its table, draw it; sin 2πx, n = 10 stands for all."""
    numbers = {}
    for part in config.parts:
        runs, numbers[part] = study(part, config)
        draw(part, runs, out / f"{part}.png")
        if part == "sine-10":
            draw(part, runs, out / "least_squares_training.png")
    return numbers


if __name__ == "__main__":
    main(__file__, run, SMOKE)
