"""The stages of training from small weights, on one page: the reference run.

A tanh network of 256 neurons, all weights normal with standard deviation 1/256, learns
sin 2x + 0.3 x² − 0.1 on 64 data by the flow. Printed: losses at listed times; when the
stages end, measured and predicted by the reduced models from the start alone; what the
neurons do meanwhile; that leaving the secondary plateau is a step of the ε-rank. Drawn:
the loss with its stages, by the flow and by the models; participation ratio;
Wasserstein distance between |c| and |v|; ε-rank of the features.

    python experiments/multistage.py [--width 256] [--seed 0] [--out FOLDER]
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np

import plateaux as px

END, TIMES = 600.0, 400
LISTED = (4.0, 6.0, 8.0, 10.0, 150.0, 200.0)
THRESHOLDS = (1e-2, 1e-3)  # ε of the ranks, of features with weights 1/K
EXPECTED = Path(__file__).parent / "expected" / "multistage.json"


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


def train(problem: px.Problem, network: px.TwoLayer) -> px.Trajectory:
    """The flow, at listed times and at many more."""
    grid = np.concatenate([[0.0], np.geomspace(0.1, END, TIMES), LISTED])
    save = px.at(np.unique(grid))
    return px.flow(problem, network, t1=END, rtol=1e-8, save=save, record=RECORD)


def at(run: px.Trajectory, time: float) -> int:
    """Number of a saved time."""
    return int(np.argmin(np.abs(np.asarray(run.times) - time)))


def numbers(problem, network, run) -> dict:
    """What the experiment claims."""
    stages = px.stages.multistage(run, problem)
    rows = {time: at(run, time) for time in (0.0, *LISTED)}
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
    shown = np.asarray(run.times) > 0
    times = np.asarray(run.times)[shown]
    px.plot.loss_stages(times, run.losses[shown], stages, ax=axes[0])
    model = px.dynamics.reduced.moment_flow(
        problem, network, t1=END, save=px.at(np.asarray(run.times))
    )
    axes[0].plot(times, model.losses[shown], ":", color="black", label="moment flow")
    axes[0].legend(fontsize="small", loc="lower left")
    seen = run.saved["condensation"]
    axes[1].plot(times, seen.participation[shown])
    axes[1].set(ylabel="participation\nratio (neurons)", yscale="log")
    axes[2].plot(times, np.sqrt(network.width) * run.saved["distance"][shown])
    axes[2].set_ylabel("√n W₁(|c|, ‖v‖)")
    for epsilon, style in zip(THRESHOLDS, ("-", "--"), strict=True):
        rank = px.diagnostics.epsilon_rank(run.saved["spectrum"], epsilon)
        axes[3].step(times, rank[shown], style, where="post", label=f"ε = {epsilon:g}")
    axes[3].set(ylabel="ε-rank of\nfeatures", xlabel=f"time ({run.time_unit})")
    axes[3].legend(fontsize="small")
    axes[0].set_xlabel("")
    axes[2].set_ylim(bottom=0)
    for ax in axes:
        ax.set(xscale="log", xlim=(times[0], END))
    fig.savefig(path, dpi=130)


def disagreements(found: dict, expected: dict) -> list[str]:
    """Names of the numbers that differ by more than 1e-3 of their size."""
    flat = lambda value: np.hstack(
        [flat(v) for v in (value.values() if isinstance(value, dict) else value)]
        if isinstance(value, dict | list)
        else [value]
    )
    near = lambda a, b: np.allclose(
        flat(a), flat(b), rtol=1e-3, atol=1e-6, equal_nan=True
    )
    return [name for name in expected if not near(found[name], expected[name])]


def main() -> None:
    """Run, print, draw, compare with the expected numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/multistage"))
    args = parser.parse_args()
    problem, network = px.problems.sine_and_square(), start(args.width, args.seed)
    run = train(problem, network)
    found = numbers(problem, network, run)
    for name, value in found.items():
        print(f"{name}: {value}")
    args.out.mkdir(parents=True, exist_ok=True)
    draw(problem, network, run, args.out / "multistage.png")
    config = {"width": args.width, "seed": args.seed}
    result = {"config": config, "numbers": found}
    (args.out / "multistage.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"figure and numbers: {args.out}")
    expected = json.loads(EXPECTED.read_text())
    if config == expected["config"]:
        wrong = disagreements(found, expected["numbers"])
        print(f"differs from {EXPECTED.name}: {wrong}" if wrong else "as expected")
        raise SystemExit(bool(wrong))


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
