"""A staircase: one ReLU neuron and an affine part learn a parabola, plateau by plateau.

Gradient flow on y = x², x = 1/20, 2/20, …, 1, from a kink between the fourth and the
fifth datum. The kink passes one datum after another; between two of them the pattern is
constant and the loss comes near the floor of that pattern, half the residual sums of
squares of the regression lines on the two sides. The flow stops for good with nine data
to the left of the kink, though ten would be better: the lines of nine and eleven data
meet inside their gap, so this is a local minimum. From there the joint least-squares
method goes on to ten data and the least loss there is; those that move one neuron while
the affine part is held stay, as no single kink is better. Printed: what `px.explain`
says of every plateau, the proven distance of the last loss from the best of its width,
and the steps that `px.anls` takes from the flow's end.

    python experiments/staircase.py [--smoke] [--out FOLDER]
"""

from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from drawing import save

import plateaux as px
from plateaux.experiments import main

KEEP = {"network": lambda problem, network: network}
METHODS = ("joint", "neuron", "exact")


@dataclass(frozen=True)
class Config:
    """One staircase.

    Attributes:
        data: Points j/data, j = 1 … data.
        kink: Where the kink starts, in steps of the grid.
        outer: The neuron's outer weight at the start; its slope is 1.
        horizon: Flow time of L = Σ ½ r².
        rtol: Tolerance of the flow.
        methods: Of the least-squares training that goes on from the flow's end.
    """

    data: int = 20
    kink: float = 4.5
    outer: float = 1.2
    horizon: float = 1e4
    rtol: float = 1e-10
    methods: tuple[str, ...] = METHODS


SMOKE = Config(horizon=2.0, methods=("joint",))


def setting(config: Config) -> tuple[px.Problem, px.TwoLayer]:
    """The problem and the start."""
    x = jnp.arange(1.0, config.data + 1)[:, None] / config.data
    start = px.TwoLayer(
        [[1.0]], [-config.kink / config.data], [config.outer], [0.0, 0.0]
    )
    return px.Problem(x, x[:, 0] ** 2, normalisation="sum"), start


def train(config: Config) -> tuple[px.Problem, px.Trajectory]:
    """The flow, once for its events and once more with the networks at all of them."""
    problem, start = setting(config)
    options = {"t1": config.horizon, "rtol": config.rtol, "max_events": 64}
    first = px.flow(problem, start, **options)
    save = px.stages.at_events(first)
    return problem, px.flow(problem, start, save=save, record=KEEP, **options)


def go_on(
    problem: px.Problem, network: px.TwoLayer, methods: tuple[str, ...] = METHODS
) -> dict[str, px.Trajectory]:
    """Least-squares training from where the flow has stopped, by method."""
    return {m: px.anls(problem, network, num_steps=30, method=m) for m in methods}


def left_of_kink(problem: px.Problem, network: px.TwoLayer) -> int:
    """Data at which the neuron is off."""
    return int(jnp.sum(~px.patterns.pattern(network, problem.x)))


def numbers(problem: px.Problem, run: px.Trajectory, table, further) -> dict:
    """What the experiment claims."""
    count = int(table.plateaus.count)
    proof = px.patterns.certify(problem, run.network)
    return {
        "left_of_kink": np.sum(~np.asarray(table.pattern[:count, 0]), axis=1).tolist(),
        "floors": [float(f) for f in table.floor[:count]],
        "ends": [float(t) for t in table.plateaus.end[: count - 1]],
        "proven_ends": [float(t) for t in table.latest_exit[: count - 1]],
        "last_loss": float(run.losses[-1]),
        "best_loss": float(proof.lower),
        "anls_losses": [float(more.losses[-1]) for more in further.values()],
        "anls_left_of_kink": [
            left_of_kink(problem, more.network) for more in further.values()
        ],
    }


def draw(run: px.Trajectory, table, bound: float, path: Path) -> None:
    """Loss, floors and proven exits."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
    px.plot.floors(run.times, run.losses, table, bound=bound, ax=ax)
    ax.legend(loc="upper right")
    save(fig, path)


def run(config: Config, out: Path) -> dict:
    """Run, print, draw."""
    problem, trajectory = train(config)
    table = px.explain(problem, trajectory)
    further = go_on(problem, trajectory.network, config.methods)
    found = numbers(problem, trajectory, table, further)
    print(table.describe())
    print(f"last loss {found['last_loss']:.8f}, best possible {found['best_loss']:.8f}")
    for name, more in further.items():
        best = float(more.losses[-1])
        steps = int(jnp.argmax(more.losses <= best * (1 + 1e-9)))
        left = left_of_kink(problem, more.network)
        print(f"from there {name:7} in {steps} steps to {best:.8f}, {left} data left")
    draw(trajectory, table, found["best_loss"], out / "staircase.png")
    return found


if __name__ == "__main__":
    main(__file__, run, SMOKE)
