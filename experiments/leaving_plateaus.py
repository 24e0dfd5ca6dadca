"""From a plateau of gradient flow on with every method: how long until it is left.

Gradient flow trains a batch of networks to a flow time at which many stand on a
plateau: their loss is near the floor of their pattern. From there every method goes on.
Below the floor a network can only come by another activation pattern, whatever the
method, so a plateau counts as left when the loss is 0.1 % below its floor. Printed: the
share of plateaus each method leaves, and its median steps and seconds to do so.

    python experiments/leaving_plateaus.py [--smoke] [--out FOLDER]
"""

from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from drawing import save
from trainers import LOOKS, Budget, Run, methods, train

import plateaux as px
from plateaux.experiments import main


@dataclass(frozen=True)
class Config:
    """The plateaus and how long they are tried.

    Attributes:
        lanes: Networks that the flow trains.
        neurons: Their width.
        data: Points of sin 2πx on [−1, 1].
        horizon: Flow time of the start.
        excess: Largest (L − floor)/floor that counts as on a plateau.
        left: Relative fall below the floor that counts as having left.
        methods: Names in `trainers`.
        budget: Steps of every method.
    """

    lanes: int = 256
    neurons: int = 10
    data: int = 20
    horizon: float = 1000.0
    excess: float = 0.05
    left: float = 1e-3
    methods: tuple[str, ...] = methods(1)
    budget: Budget = Budget(anls=200, descent=20_000, quasi_newton=1000, saves=400)


SMOKE = Config(
    lanes=6,
    neurons=4,
    data=10,
    horizon=50.0,
    excess=0.2,
    methods=("neuron", "gradient descent"),
    budget=Budget(5, 200, 20, 20),
)


def starts(config: Config):
    """Gaussian weights, as the sweeps of initialisations use."""
    keys = jax.random.split(jax.random.key(0), config.lanes)
    draw = lambda key: px.networks.he(
        key, width=config.neurons, in_dim=1, bias="normal", affine=True
    )
    return jax.vmap(draw)(keys)


def plateaus(config: Config):
    """Problem, networks on a plateau, and the floors of their patterns."""
    x = jnp.linspace(-1, 1, config.data)[:, None]
    problem = px.Problem(x, jnp.sin(2 * jnp.pi * x[:, 0]))
    runs = px.flow_many(problem, starts(config), t1=config.horizon, rtol=1e-8)
    fit = jax.jit(jax.vmap(lambda net: px.patterns.cell_fit(problem, net).value))
    floors, losses = np.asarray(fit(runs.network)), np.asarray(runs.losses[:, -1])
    near = (losses - floors <= config.excess * floors) & (floors > 1e-8)
    chosen = np.flatnonzero(near)
    return problem, jax.tree.map(lambda a: a[chosen], runs.network), floors[chosen]


def left_at(run: Run, floors: np.ndarray, config: Config) -> np.ndarray:
    """The first saved step below the floor, inf where there is none."""
    below = run.losses < (1 - config.left) * floors[:, None]
    first = np.argmax(below, axis=1)
    return np.where(below.any(axis=1), run.steps[first], np.inf)


def row(run: Run, floors: np.ndarray, config: Config) -> dict[str, float]:
    """Share left, and the median steps of all, inf if under half leave."""
    steps = left_at(run, floors, config)
    return {
        "left": float(np.mean(np.isfinite(steps))),
        "steps": float(np.median(steps)),
    }


def draw(runs: dict[str, Run], floors, config: Config, path: Path) -> None:
    """Share of plateaus left against steps."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for name, run in runs.items():
        steps = np.sort(left_at(run, floors, config))
        share = np.arange(1, len(steps) + 1) / len(steps)
        seen = np.isfinite(steps)
        along = np.append(steps[seen], run.steps[-1])
        up = np.append(share[seen], np.mean(seen))
        ax.step(along, up, where="post", **LOOKS[name])
    ax.set(
        xscale="log",
        xlabel="step",
        ylabel=f"share of {len(floors)} plateaus left",
        ylim=(0, 1.02),
    )
    ax.legend(frameon=False, fontsize=8)
    save(fig, path)


def run(config: Config, out: Path) -> dict:
    """Find the plateaus, try every method, print and draw."""
    problem, networks, floors = plateaus(config)
    print(f"{len(floors)} of {config.lanes} networks stand on a plateau")
    if not len(floors):
        raise SystemExit("no plateau was found: raise the horizon or the excess")
    runs, found = {}, {}
    for name in config.methods:
        runs[name] = train(name, problem, networks, config.budget)
        found[name] = row(runs[name], floors, config)
        left, steps = found[name]["left"], found[name]["steps"]
        pace = runs[name].seconds / len(floors) / runs[name].steps[-1]
        print(
            f"  {name:20s} left {left:.0%}  steps {steps:.4g}  "
            f"seconds {steps * pace:.3g}"
        )
    draw(runs, floors, config, out / "leaving_plateaus.png")
    return {"plateaus": len(floors), "methods": found}


if __name__ == "__main__":
    main(__file__, run, SMOKE)
