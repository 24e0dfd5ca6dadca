"""Do the stages of small weights show on real data?

Tanh networks of 64 neurons, all weights normal with standard deviation 1/64, follow
the flow on the diabetes data and on the digits 3 and 8, with the squared loss. Printed:
the level of the best affine predictor, when the stages end, the level on the secondary
plateau, and how many directions the neurons have on the way.

    python experiments/small_starts_real_data.py [--smoke] [--out FOLDER]
"""

from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from drawing import COLORS, save

import plateaux as px
from plateaux.experiments import main

RECORD = {"condensation": px.diagnostics.condensation}


@dataclass(frozen=True)
class Config:
    """One run for each set of data.

    Attributes:
        width: Neurons n; all weights have standard deviation 1/n.
        horizon: Flow time.
        saves: Saved times after the start.
    """

    width: int = 64
    horizon: float = 3000.0
    saves: int = 200


SMOKE = Config(width=16, horizon=30.0, saves=60)


def problems() -> dict[str, px.Problem]:
    """Both sets of data, squared losses."""
    digits = px.problems.digits(classes=(3, 8), loss="squared")
    return {"diabetes": px.problems.diabetes(), "digits 3 and 8": digits}


def train(problem: px.Problem, config: Config) -> px.Trajectory:
    """The flow from small weights."""
    start = px.networks.small(
        jax.random.key(0),
        width=config.width,
        in_dim=problem.in_dim,
        activation="tanh",
    )
    return px.flow(
        problem,
        start,
        t1=config.horizon,
        rtol=1e-6,
        save=px.log_spaced(config.saves),
        record=RECORD,
        max_steps=200_000,
    )


def directions(run: px.Trajectory) -> np.ndarray:
    """Of the neurons, at every saved time."""
    return np.asarray(run.saved["condensation"].num_directions)


def numbers(run: px.Trajectory, found: px.stages.Multistage) -> dict:
    """What is claimed: levels, times, and directions first, at t90 and last."""
    at = int(np.argmin(np.abs(np.asarray(run.times) - float(found.t90))))
    names = ("linear_loss", "initial_loss", "t10", "t90", "entry", "exit", "level")
    return {name: float(getattr(found, name)) for name in names} | {
        "last_loss": float(run.losses[-1]),
        "directions": directions(run)[[0, at, -1]].tolist(),
    }


def draw(runs: dict, width: int, path: Path) -> None:
    """Losses with their stages over numbers of directions, a column a problem."""
    import matplotlib.pyplot as plt

    layout = {"layout": "constrained", "sharex": "col", "figsize": (11, 6.5)}
    fig, axes = plt.subplots(2, len(runs), **layout)
    for (above, below), (name, (run, found)) in zip(axes.T, runs.items(), strict=True):
        shown = np.asarray(run.times) > 0
        times = np.asarray(run.times)[shown]
        px.plot.loss_stages(times, run.losses[shown], found, ax=above)
        above.set_title(name, loc="left", pad=44)
        above.set_xlabel("")
        below.step(times, directions(run)[shown], where="post", color=COLORS[0])
        below.set(ylabel="directions of neurons", xscale="log", ylim=(0, width))
        below.set_xlabel(f"time ({run.time_unit})")
    save(fig, path)


def run(config: Config, out: Path) -> dict:
    """Run, print, draw."""
    runs, found = {}, {}
    for name, problem in problems().items():
        made = train(problem, config)
        stages = px.stages.multistage(made, problem)
        runs[name], found[name] = (made, stages), numbers(made, stages)
        print(f"{name}: {found[name]}", flush=True)
    draw(runs, config.width, out / "small_starts_real_data.png")
    return found


if __name__ == "__main__":
    main(__file__, run, SMOKE)
