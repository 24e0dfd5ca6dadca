"""Which way neurons point before, on and after the plateaus, for four activations.

Networks of 64 neurons, all weights normal with standard deviation 1/64, learn
sin 2x + 0.3 x² − 0.1 by the flow. For tanh, erf, sin and ReLU: at the start, at the end
of the initial plateau, on the secondary one (or at the end of the descent, where that
one is not reached) and at the end: the cosines of all pairs of input weights in order,
the number of directions and the mean |cos| with ẑ weighted by size.

    python experiments/condensation_maps.py [--smoke] [--out FOLDER]
"""

from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from drawing import save

import plateaux as px
from plateaux.experiments import main


@dataclass(frozen=True)
class Config:
    """One run for each activation.

    Attributes:
        activations: A row of the figure each.
        width: Neurons n; all weights have standard deviation 1/n.
        horizon: Flow time.
        saves: Saved times after the start.
    """

    activations: tuple[str, ...] = ("tanh", "erf", "sin", "relu")
    width: int = 64
    horizon: float = 300.0
    saves: int = 150


SMOKE = Config(("tanh", "relu"), width=16, horizon=20.0, saves=60)
RECORD = {
    "similarity": px.diagnostics.cosine_similarity,
    "order": px.diagnostics.display_order,
    "condensation": px.diagnostics.condensation,
}


def train(activation: str, config: Config) -> tuple[px.Problem, px.Trajectory]:
    """The flow from small weights."""
    problem = px.problems.sine_and_square()
    start = px.networks.small(
        jax.random.key(0), width=config.width, in_dim=1, activation=activation
    )
    times = np.geomspace(0.1, config.horizon, config.saves)
    options = {"t1": config.horizon, "rtol": 1e-7, "record": RECORD}
    events = {"max_events": 8192} if activation == "relu" else {}
    options["save"] = px.at(np.append(0.0, times))
    return problem, px.flow(problem, start, **options, **events)


def moments(problem: px.Problem, run: px.Trajectory) -> dict[str, int]:
    """Numbers of the saved times that are looked at."""
    found = px.stages.multistage(run, problem)
    times = np.asarray(run.times)
    number = lambda time: int(np.argmin(np.abs(times - min(float(time), times[-1]))))
    on = np.isfinite(found.entry)
    middle = jnp.sqrt(found.entry * jnp.minimum(found.exit, times[-1]))
    named = {
        "start": 0.0,
        "end of the initial plateau": found.t10,
        "at the affine predictor": middle if on else found.t90,
        "end": times[-1],
    }
    return {name: number(time) for name, time in named.items()}


def row(run: px.Trajectory, i: int) -> dict:
    """What is claimed of a saved time."""
    of = jax.tree.map(lambda a: a[i], run.saved["condensation"])
    return {
        "time": float(run.times[i]),
        "loss": float(run.losses[i]),
        "directions": int(of.num_directions),
        "weighted_alignment": float(of.weighted_alignment),
        "participation": float(of.participation),
    }


def draw(runs: dict, path: Path) -> None:
    """Cosines between neurons, a row an activation and a column a moment."""
    import matplotlib.pyplot as plt

    layout = {"layout": "compressed", "sharex": True, "sharey": True}
    size = (11, 2.85 * len(runs))
    fig, axes = plt.subplots(len(runs), 4, squeeze=False, figsize=size, **layout)
    for across, (activation, (run, times)) in zip(axes, runs.items(), strict=True):
        for ax, (name, i) in zip(across, times.items(), strict=True):
            similarity, order = (run.saved[k][i] for k in ("similarity", "order"))
            px.plot.condensation_map(np.asarray(similarity), np.asarray(order), ax=ax)
            words = f"{activation}, {name}\ntime {float(run.times[i]):.3g}"
            ax.set_title(words, fontsize="small")
            ax.set(xlabel="", ylabel="")
            if ax is not across[-1]:  # one colour bar a row
                ax.images[0].colorbar.remove()
    fig.supxlabel("neuron, in order of direction")
    fig.supylabel("neuron, in order of direction")
    save(fig, path, dpi=75)


def run(config: Config, out: Path) -> dict:
    """Run, print, draw."""
    runs, numbers = {}, {}
    for activation in config.activations:
        problem, made = train(activation, config)
        times = moments(problem, made)
        runs[activation] = made, times
        numbers[activation] = {name: row(made, i) for name, i in times.items()}
        numbers[activation]["completed"] = bool(made.outcome == px.Outcome.completed)
        for name in times:
            told = numbers[activation][name].items()
            words = ", ".join(f"{key} {value:.3g}" for key, value in told)
            print(f"{activation}, {name}: {words}", flush=True)
    draw(runs, out / "condensation_maps.png")
    return numbers


if __name__ == "__main__":
    main(__file__, run, SMOKE)
