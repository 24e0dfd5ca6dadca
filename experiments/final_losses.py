"""Where 4096 initialisations end, method by method, against the best possible loss.

Ten neurons and an affine part learn sin 2πx on 100 points from 4096 random starts. No
network of this width has a loss below DP₁₁, the best fit by eleven lines. Printed for
every method: quantiles of final error over that bound; drawn: the whole distribution.

    python experiments/final_losses.py [--smoke] [--out FOLDER]
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from least_squares_training import bound, starts
from trainers import Budget, rmse, train

import plateaux as px


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


SMOKE = Config(lanes=8, chunk=4, budget=Budget(10, 100, 10, 2))


def finals(config: Config) -> tuple[float, dict[str, np.ndarray], dict[str, float]]:
    """The bound, and by method the final errors and seconds."""
    x = jnp.linspace(0, 1, config.data)[:, None]
    problem = px.Problem(x, jnp.sin(2 * jnp.pi * x[:, 0]))
    networks = starts(problem, config.neurons, config.lanes)
    errors, seconds = {}, {}
    for name in config.methods:
        run = train(name, problem, networks, config.budget, config.chunk)
        errors[name] = rmse(problem, run.losses.min(axis=1))
        seconds[name] = run.seconds
        print(f"  {name}: {seconds[name]:.0f} seconds", flush=True)
    lowest = bound(problem, config.neurons)
    assert lowest is not None
    return lowest, errors, seconds


def main() -> None:
    """Train, print quantiles, draw the distributions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="eight networks")
    parser.add_argument("--out", type=Path, default=Path("runs/final_losses"))
    args = parser.parse_args()
    config = SMOKE if args.smoke else Config()
    lowest, errors, seconds = finals(config)
    print(f"error over the best possible, {lowest:.4e}:")
    table = {}
    for name, values in errors.items():
        levels = np.quantile(values / lowest, [0.0, 0.1, 0.5, 0.9, 1.0])
        table[name] = dict(
            zip(("best", "10%", "50%", "90%", "worst"), levels.tolist(), strict=True)
        )
        print(f"  {name:14s}", "  ".join(f"{level:8.4g}" for level in levels))
    args.out.mkdir(parents=True, exist_ok=True)
    draw({k: v / lowest for k, v in errors.items()}, args.out / "final_losses.png")
    result = {"config": asdict(config), "numbers": table, "seconds": seconds}
    (args.out / "final_losses.json").write_text(json.dumps(result, indent=1))
    print(f"figure and numbers: {args.out}")


def draw(ratios: dict[str, np.ndarray], path: Path) -> None:
    """Empirical distribution of error over the bound, a line a method."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for name, values in ratios.items():
        share = np.arange(1, len(values) + 1) / len(values)
        ax.step(np.sort(values), share, where="post", label=name.replace("_", " "))
    ax.axvline(1, color="black", lw=0.8)
    ax.set(
        xscale="log",
        xlabel="root mean square error over the best possible",
        ylabel=f"share of {len(values)} networks",
        ylim=(0, 1.02),
    )
    ax.legend(frameon=False)
    fig.savefig(path, dpi=130)
    plt.close(fig)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
