"""The stages of training from small weights, on one page: the reference run.

A tanh network of 256 neurons, all weights normal with standard deviation 1/256, learns
sin 2x + 0.3 x² − 0.1 on 64 data by the flow. Printed: losses at listed times; when the
stages end, measured and predicted by the reduced models from the start alone; what the
neurons do meanwhile; that leaving the secondary plateau is a step of the ε-rank. Drawn:
the loss with its stages, by the flow and by the models; participation ratio;
Wasserstein distance between |c| and |v|; ε-rank of the features.

    python experiments/multistage.py [--smoke] [--out FOLDER]
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from drawing import COLORS, save

import plateaux as px
from plateaux.experiments import main

LISTED = (4.0, 6.0, 8.0, 10.0, 150.0, 200.0)
THRESHOLDS = (1e-2, 1e-3)  # ε of the ranks, of features with weights 1/K


@dataclass(frozen=True)
class Config:
    """One run from small weights.

    Attributes:
        width: Neurons n; all weights have standard deviation 1/n.
        seed: Of NumPy's draws of the weights.
        horizon: Flow time.
        saves: Saved times, evenly spaced in log time.
    """

    width: int = 256
    seed: int = 0
    horizon: float = 600.0
    saves: int = 400


SMOKE = Config(width=64, horizon=120.0, saves=120)


def start(width: int, seed: int = 0, alpha: float = 1.0) -> px.TwoLayer:
    """c, w, b ~ N(0, n^{−2α}), drawn by NumPy in this order."""
    draws = np.random.default_rng(seed).normal(size=3 * width) * width**-alpha
    inner = draws[width:].reshape(width, 2)
    return px.TwoLayer(inner[:, :1], inner[:, 1], draws[:width], activation="tanh")


RECORD = {
    "network": lambda problem, network: network,
    "condensation": px.diagnostics.condensation,
    "distance": px.diagnostics.amplitude_distance,
    "spectrum": px.diagnostics.spectrum,
}


def listed(config: Config) -> list[float]:
    """The start and the listed times of the run."""
    return [0.0, *(time for time in LISTED if time <= config.horizon)]


def train(problem, network: px.TwoLayer, config: Config) -> px.Trajectory:
    """The flow, at listed times and at many more."""
    spaced = np.geomspace(0.1, config.horizon, config.saves)
    times = px.at(np.union1d(spaced, listed(config)))
    options = {"t1": config.horizon, "rtol": 1e-8, "save": times, "record": RECORD}
    return px.flow(problem, network, **options)


def at(run: px.Trajectory, time: float) -> int:
    """Number of a saved time."""
    return int(np.argmin(np.abs(np.asarray(run.times) - time)))


def numbers(problem, network, run, config: Config) -> dict:
    """What the experiment claims."""
    stages = px.stages.multistage(run, problem)
    rows = {time: at(run, time) for time in listed(config)}
    seen = run.saved["condensation"]
    ranks = {
        epsilon: px.diagnostics.epsilon_rank(run.saved["spectrum"], epsilon)
        for epsilon in THRESHOLDS
    }
    model = px.dynamics.reduced.moment_flow(problem, network, t1=20.0)
    loss = np.interp(model.times, run.times, run.losses)
    early = np.asarray(model.times) <= float(stages.entry)
    root = np.sqrt(network.width)
    return {
        "linear_loss": float(stages.linear_loss),
        "losses": {str(t): float(run.losses[i]) for t, i in rows.items()},
        "measured": [float(v) for v in (stages.t10, stages.t90, stages.exit)],
        "predicted": [
            float(v)
            for v in (stages.predicted_t10, stages.predicted_t90, stages.predicted_exit)
        ],
        "entry": float(stages.entry),
        "level": float(stages.level),
        "largest_gap_to_the_moment_flow": float(
            np.max(np.abs(loss - np.asarray(model.losses))[early])
        ),
        "distance": {
            str(t): float(root * run.saved["distance"][i]) for t, i in rows.items()
        },
        "participation": {
            str(t): float(seen.participation[i]) for t, i in rows.items()
        },
        "rank_treads": {str(e): treads(run, of) for e, of in ranks.items()},
        "ranks": {
            str(e): [int(of[0]), int(of[at(run, 100.0)]), int(of[-1])]
            for e, of in ranks.items()
        },
    }


def treads(run, ranks) -> list:
    """Rank, start and end of every tread of the staircase."""
    found = px.stages.staircase(run, ranks)
    used = slice(0, int(found.treads.count))
    columns = (found.rank, found.treads.start, found.treads.end)
    return [[float(v) for v in column[used]] for column in columns]


def draw(problem, network, run, path: Path) -> None:
    """Loss, participation ratio, distance and ranks over one axis of time."""
    import matplotlib.pyplot as plt

    stages = px.stages.multistage(run, problem)
    layout = {"sharex": True, "layout": "constrained", "figsize": (8, 10)}
    fig, axes = plt.subplots(4, 1, height_ratios=(2, 1, 1, 1), **layout)
    shown, end = np.asarray(run.times) > 0, float(run.times[-1])
    times = np.asarray(run.times)[shown]
    px.plot.loss_stages(times, run.losses[shown], stages, ax=axes[0])
    model = px.dynamics.reduced.moment_flow(
        problem, network, t1=end, save=px.at(np.asarray(run.times))
    )
    axes[0].plot(times, model.losses[shown], ":", color="black", label="moment flow")
    axes[0].legend(fontsize="small", loc="lower left")
    seen = run.saved["condensation"]
    axes[1].plot(times, seen.participation[shown], color=COLORS[0])
    axes[1].set(ylabel="participation\nratio (neurons)", yscale="log")
    distance = np.sqrt(network.width) * run.saved["distance"][shown]
    axes[2].plot(times, distance, color=COLORS[0])
    axes[2].set_ylabel("√n W₁(|c|, ‖v‖)")
    for epsilon, dash, color in zip(THRESHOLDS, ("-", "--"), COLORS, strict=False):
        rank = px.diagnostics.epsilon_rank(run.saved["spectrum"], epsilon)[shown]
        style = {"linestyle": dash, "color": color, "label": f"ε = {epsilon:g}"}
        axes[3].step(times, rank, where="post", **style)
    axes[3].set(ylabel="ε-rank of\nfeatures", xlabel=f"time ({run.time_unit})")
    axes[3].legend(fontsize="small")
    axes[0].set_xlabel("")
    axes[2].set_ylim(bottom=0)
    for ax in axes:
        ax.set(xscale="log", xlim=(times[0], end))
    save(fig, path)


def run(config: Config, out: Path) -> dict:
    """Run, print, draw."""
    problem, network = px.problems.sine_and_square(), start(config.width, config.seed)
    trajectory = train(problem, network, config)
    found = numbers(problem, network, trajectory, config)
    for name, value in found.items():
        print(f"{name}: {value}")
    draw(problem, network, trajectory, out / "multistage.png")
    return found


if __name__ == "__main__":
    main(__file__, run, SMOKE)
