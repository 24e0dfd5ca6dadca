"""Where 4096 initialisations end, method by method, against the best possible loss.

Ten neurons and an affine part learn sin 2πx on 100 points from 4096 random starts. No
network of this width has a loss below DP₁₁, the best fit by eleven lines. Printed for
every method: quantiles of final error over that bound; drawn: the whole distribution.

    python experiments/final_losses.py [--smoke] [--out FOLDER]
"""

from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from drawing import save
from least_squares_training import bound, starts
from trainers import LOOKS, Budget, rmse, train

import plateaux as px
from plateaux.experiments import main


@dataclass(frozen=True)
class Config:
    """How many networks, and how long each method has.

    Attributes:
        lanes: Networks.
        chunk: Networks trained together; it divides the lanes.
        neurons: Width.
        data: Points of sin 2πx on [0, 1].
        methods: Names in `trainers`.
        budget: Steps of every method.
    """

    lanes: int = 4096
    chunk: int = 512
    neurons: int = 10
    data: int = 100
    methods: tuple[str, ...] = ("joint", "neuron", "gauss_newton", "l-bfgs", "adam")
    budget: Budget = Budget(anls=100, descent=10_000, quasi_newton=500, saves=2)


LEVELS = {"best": 0.0, "10 %": 0.1, "50 %": 0.5, "90 %": 0.9, "worst": 1.0}
SMOKE = Config(
    lanes=8, chunk=4, methods=("joint", "adam"), budget=Budget(10, 100, 10, 2)
)


def finals(config: Config) -> tuple[float, dict[str, np.ndarray]]:
    """The bound, and by method the final errors."""
    x = jnp.linspace(0, 1, config.data)[:, None]
    problem = px.Problem(x, jnp.sin(2 * jnp.pi * x[:, 0]))
    networks = starts(problem, config.neurons, config.lanes)
    errors = {}
    for name in config.methods:
        done = train(name, problem, networks, config.budget, config.chunk)
        errors[name] = rmse(problem, done.losses.min(axis=1))
        print(f"  {name}: {done.seconds:.0f} seconds")
    lowest = bound(problem, config.neurons)
    assert lowest is not None
    return lowest, errors


def draw(ratios: dict[str, np.ndarray], path: Path) -> None:
    """Empirical distribution of error over the bound, a line a method."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for name, values in ratios.items():
        share = np.arange(1, len(values) + 1) / len(values)
        ax.step(np.sort(values), share, where="post", **LOOKS[name])
    ax.axvline(1, color="black", lw=0.8)
    ax.set(
        xscale="log",
        xlabel="root mean square error over the best possible",
        ylabel=f"share of {len(values)} networks",
        ylim=(0, 1.02),
    )
    ax.legend(frameon=False)
    save(fig, path)


def run(config: Config, out: Path) -> dict:
    """Train, print quantiles, draw the distributions."""
    lowest, errors = finals(config)
    ratios = {name: values / lowest for name, values in errors.items()}
    draw(ratios, out / "final_losses.png")
    print(f"error over the best possible, {lowest:.4e}: {', '.join(LEVELS)}")
    quantiles = {}
    for name, values in ratios.items():
        levels = np.quantile(values, list(LEVELS.values()))
        quantiles[name] = dict(zip(LEVELS, levels.tolist(), strict=True))
        print(f"  {name:14s}", "  ".join(f"{level:8.4g}" for level in levels))
    return {"best possible": lowest, "over the best possible": quantiles}


if __name__ == "__main__":
    main(__file__, run, SMOKE)
