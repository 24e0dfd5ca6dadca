"""Which way neurons point before, on and after the plateaus, for four activations.

Networks of 64 neurons, all weights normal with standard deviation 1/64, learn
sin 2x + 0.3 x² − 0.1 by the flow. For tanh, erf, sin and ReLU: at the start, at the end
of the initial plateau, on the secondary one (or at the end of the descent, where that
one is not reached) and at the end: the cosines of all pairs of input weights in order,
the number of directions and the mean |cos| with ẑ weighted by size.

    python experiments/condensation_maps.py [--width 64] [--out FOLDER]
"""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import plateaux as px

ACTIVATIONS = ("tanh", "erf", "sin", "relu")
END = 300.0
RECORD = {
    "similarity": px.diagnostics.cosine_similarity,
    "order": px.diagnostics.display_order,
    "condensation": px.diagnostics.condensation,
}


def train(activation: str, width: int) -> tuple[px.Problem, px.Trajectory]:
    """The flow from small weights."""
    problem = px.problems.sine_and_square()
    start = px.networks.small(
        jax.random.key(0), width=width, in_dim=1, activation=activation
    )
    save = px.at(np.concatenate([[0.0], np.geomspace(0.1, END, 150)]))
    events = {"max_events": 8192} if activation == "relu" else {}
    options = {"t1": END, "rtol": 1e-7, "save": save, "record": RECORD, **events}
    return problem, px.flow(problem, start, **options)


def moments(problem: px.Problem, run: px.Trajectory) -> dict[str, int]:
    """Numbers of the saved times that are looked at."""
    found = px.stages.multistage(run, problem)
    times = np.asarray(run.times)
    number = lambda time: int(np.argmin(np.abs(times - min(float(time), times[-1]))))
    on = np.isfinite(found.entry)
    middle = jnp.sqrt(found.entry * jnp.minimum(found.exit, times[-1]))
    second = ("on the secondary plateau", middle) if on else ("descended", found.t90)
    named = [("start", 0.0), ("end of the initial plateau", found.t10), second]
    return {name: number(time) for name, time in [*named, ("end", times[-1])]}


def main() -> None:
    """Run, print, draw."""
    import matplotlib.pyplot as plt

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path("runs/condensation_maps"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    shape = {"layout": "constrained", "figsize": (13, 3.1 * len(ACTIVATIONS))}
    fig, axes = plt.subplots(len(ACTIVATIONS), 4, **shape)
    numbers: dict[str, dict] = {}
    for row, activation in zip(axes, ACTIVATIONS, strict=True):
        problem, run = train(activation, args.width)
        numbers[activation] = {"outcome": run.outcome._value.tolist()}
        for ax, (name, i) in zip(row, moments(problem, run).items(), strict=True):
            at = jax.tree.map(lambda a, i=i: np.asarray(a[i]), run.saved)
            px.plot.condensation_map(at["similarity"], at["order"], ax=ax)
            time = float(run.times[i])
            ax.set_title(f"{activation}: {name}\nt = {time:.3g}", fontsize="small")
            ax.set(xlabel="", ylabel="")
            of = at["condensation"]
            numbers[activation][name] = {
                "time": time,
                "loss": float(run.losses[i]),
                "directions": int(of.num_directions),
                "weighted_alignment": float(of.weighted_alignment),
                "participation": float(of.participation),
            }
            words = ", ".join(
                f"{k} {v:.3g}" for k, v in numbers[activation][name].items()
            )
            print(f"{activation}, {name}: {words}")
    fig.supylabel("neuron, in order of direction")
    fig.savefig(args.out / "condensation_maps.png", dpi=110)
    file = args.out / "condensation_maps.json"
    file.write_text(json.dumps(numbers, indent=1) + "\n")
    print(f"figure and numbers: {args.out}")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
