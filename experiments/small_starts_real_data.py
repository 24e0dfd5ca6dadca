"""Do the stages of small weights show on real data?

Tanh networks of 64 neurons, all weights normal with standard deviation 1/64, follow
the flow on the diabetes data and on the digits 3 and 8, with the squared loss. Printed:
the level of the best affine predictor, when the stages end, the level on the secondary
plateau, and how many directions the neurons have on the way.

    python experiments/small_starts_real_data.py [--width 64] [--out FOLDER]
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np

import plateaux as px

PROBLEMS = {
    "diabetes": (lambda: px.problems.diabetes(), 3000.0),
    "digits 3 and 8": (
        lambda: px.problems.digits(classes=(3, 8), loss="squared"),
        3000.0,
    ),
}
RECORD = {"condensation": px.diagnostics.condensation}


def train(problem: px.Problem, width: int, end: float) -> px.Trajectory:
    """The flow from small weights."""
    start = px.networks.small(
        jax.random.key(0), width=width, in_dim=problem.in_dim, activation="tanh"
    )
    save = px.log_spaced(200)
    return px.flow(
        problem, start, t1=end, rtol=1e-6, save=save, record=RECORD, max_steps=200_000
    )


def main() -> None:
    """Run, print, draw."""
    import matplotlib.pyplot as plt

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path("runs/small_starts_real_data"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    fig, axes = plt.subplots(
        2, len(PROBLEMS), figsize=(11, 6.5), layout="constrained", sharex="col"
    )
    numbers = {}
    for i, (name, (make, end)) in enumerate(PROBLEMS.items()):
        problem = make()
        run = train(problem, args.width, end)
        found = px.stages.multistage(run, problem)
        shown = np.asarray(run.times) > 0
        times = np.asarray(run.times)[shown]
        px.plot.loss_stages(times, run.losses[shown], found, ax=axes[0, i])
        axes[0, i].set_title(name, loc="left", pad=44)
        axes[0, i].set_xlabel("")
        directions = np.asarray(run.saved["condensation"].num_directions)
        axes[1, i].step(times, directions[shown], where="post")
        axes[1, i].set(
            ylabel="directions of neurons", xscale="log", ylim=(0, args.width)
        )
        axes[1, i].set_xlabel(f"time ({run.time_unit})")
        at = int(np.argmin(np.abs(np.asarray(run.times) - float(found.t90))))
        numbers[name] = {
            "linear_loss": float(found.linear_loss),
            "initial_loss": float(found.initial_loss),
            "t10": float(found.t10),
            "t90": float(found.t90),
            "entry": float(found.entry),
            "exit": float(found.exit),
            "level": float(found.level),
            "last_loss": float(run.losses[-1]),
            "directions": [
                int(directions[0]),
                int(directions[at]),
                int(directions[-1]),
            ],
            "steps": int(run.stats.num_steps),
        }
        print(f"{name}: {numbers[name]}")
    fig.savefig(args.out / "small_starts_real_data.png", dpi=120)
    file = args.out / "small_starts_real_data.json"
    file.write_text(json.dumps(numbers, indent=1) + "\n")
    print(f"figure and numbers: {args.out}")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
