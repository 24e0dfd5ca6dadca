"""The staircase: the ε-rank of the features rises in steps while the loss falls.

A 1-50-50-1 tanh network learns sin 2πx + ½ sin 6πx + ¼ sin 12πx on [−1, 1] (400 Gauss
points), by gradient descent from Xavier weights (long clean steps) and by Adam from
Xavier, uniform and structured first weights. Printed: loss and ε-ranks of both hidden
layers at listed steps, the steps of the rank and the drops of the loss they belong to,
Spearman correlations, the lower bound of the error by ε-rank next to the error.

Adam from Xavier weights, whose biases are 0, is chaotic, as the target is odd: the
gradients of the biases are rounding errors that Adam brings to full size. Starts that
differ by 1e-13 have losses from 0.045 to 0.068 after 1000 steps and from 8e-6 to 1.3e-4
after 10 000.

    python experiments/rank_staircase.py [--smoke] [--out FOLDER]
"""

import functools as ft
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from drawing import save

import plateaux as px
from plateaux.experiments import main

WIDTH, STEP_SIZE = 50, 0.05
EPSILONS = (1e-3, 1e-6)  # of Gram matrices in L²(−1, 1), weights of sum 2
BOUNDS = tuple(10.0**-k for k in range(2, 11))


@dataclass(frozen=True)
class Config:
    """All runs.

    Attributes:
        share: Of the steps of every run.
        saves: Saved steps, about, beside the listed ones.
        gammas: Of the structured first layers; the last one is drawn.
    """

    share: float = 1.0
    saves: int = 150
    gammas: tuple[float, ...] = (5.0, 15.0, 40.0)


SMOKE = Config(share=0.02, saves=20, gammas=(40.0,))


@ft.cache
def rule() -> px.problems.Quadrature:
    """The inner product in which everything is measured."""
    return px.problems.gauss_legendre(400)


def target(x):
    """Three frequencies."""
    wave = lambda k: jnp.sin(2 * jnp.pi * k * x[0])
    return wave(1) + 0.5 * wave(3) + 0.25 * wave(6)


def problem() -> px.Problem:
    """½ mean square, the measure dx/2."""
    return px.problems.sampled(target, rule(), name="three waves")


def start(law: str, key: int = 0) -> px.MLP:
    """W_l (drawn as (in, out)), b_l: "xavier" normal without biases, or "uniform"."""
    key, layers = jax.random.PRNGKey(key), []
    for i, o in ((1, WIDTH), (WIDTH, WIDTH), (WIDTH, 1)):
        key, first, second = jax.random.split(key, 3)
        if law == "xavier":
            w = jax.random.normal(first, (i, o)) * np.sqrt(2 / (i + o))
            b = jnp.zeros(o)
        else:
            draw = ft.partial(jax.random.uniform, minval=-1.0, maxval=1.0)
            w, b = draw(first, (i, o)) / np.sqrt(i), draw(second, (o,)) / np.sqrt(i)
        layers.append((w.T, b))
    weights, biases = zip(*layers, strict=True)
    return px.MLP(
        weights[:2], biases[:2], weights[2][0], biases[2][0], activation="tanh"
    )


def structured(gamma: float) -> px.MLP:
    """First layer tanh(γ s_j (x − ξ_j)), ξ evenly spaced, random signs; rest Xavier."""
    xi = jnp.linspace(-1, 1, WIDTH)
    sign = jnp.where(jax.random.bernoulli(jax.random.key(0), 0.5, (WIDTH,)), 1.0, -1.0)
    rest = start("xavier")
    return px.MLP(
        (gamma * sign[:, None], rest.weights[1]),
        (-gamma * sign * xi, rest.biases[1]),
        rest.readout,
        rest.readout_bias,
        activation="tanh",
    )


RECORD = {
    "spectra": lambda _, network: px.diagnostics.spectra(
        None, network, quadrature=rule()
    ),
    "bound": lambda _, network: px.diagnostics.error_bound(
        None, network, BOUNDS, quadrature=rule(), target=target
    ),
}


def train(network, optimizer, num_steps: int, listed, saves: int = 150):
    """A run saved at listed steps and log-spaced ones; gradient descent if None."""
    steps = px.log_spaced(saves).steps(num_steps, None)
    steps = np.union1d(steps, [s for s in listed if s <= num_steps])
    unit = STEP_SIZE if optimizer is None else 1.0  # of time
    times = px.at([unit * float(s) for s in steps])
    optimizer = px.gradient_descent(STEP_SIZE) if optimizer is None else optimizer
    return px.descend(
        problem(), network, optimizer, num_steps=num_steps, save=times, record=RECORD
    )


def ranks(run, layer: int = -1):
    """At every saved time and both ε, shape (t, 2)."""
    return np.asarray(
        px.diagnostics.epsilon_rank(run.saved["spectra"][layer], EPSILONS)
    )


def numbers(run, listed) -> dict:
    """What is claimed of one run."""
    of = {layer: ranks(run, layer) for layer in (0, -1)}
    found = px.stages.staircase(run, of[-1][:, 0])
    bound = run.saved["bound"]
    best = np.max(np.asarray(bound.bound), axis=1)
    shown = sorted({0, *listed, int(run.steps[-1])})
    rows = [int(np.argmax(run.steps == s)) for s in shown if s in run.steps]
    return {
        "steps": [int(run.steps[i]) for i in rows],
        "losses": [float(run.losses[i]) for i in rows],
        "ranks": [of[-1][i].tolist() for i in rows],
        "ranks_first_layer": [of[0][i].tolist() for i in rows],
        "treads": np.asarray(found.rank)[: int(found.treads.count)].tolist(),
        "steps_matched": [int(np.sum(found.matched)), int(found.num_steps)],
        "drops": int(found.num_drops),
        "spearman": float(found.spearman),
        "bound_over_error": [float(v) for v in (best / np.asarray(bound.error))[rows]],
        "bound_holds": bool(np.all(best <= np.asarray(bound.error) + 1e-12)),
    }


def draw(runs: dict, path: Path) -> None:
    """Staircases of the last layer over the losses."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(2, 2, figsize=(12, 8), layout="constrained")
    for ax, (name, run) in zip(axes.flat, runs.items(), strict=True):
        of = ranks(run)
        px.plot.rank_staircase(
            run.times,
            run.losses,
            of,
            labels=[f"ε = {epsilon:g}" for epsilon in EPSILONS],
            treads=px.stages.staircase(run, of[:, 0]),
            time_unit=run.time_unit,
            ax=ax,
        )
        ax.set_title(name, pad=48)
    save(fig, path)


def runs(config: Config) -> dict:
    """All runs by name, with their listed steps."""
    size = lambda steps: max(int(config.share * steps), 20)
    adam = optax.adam(1e-3)
    gd = (1000, 2000, 3000, 40_000)
    of_adam = (500, 1000, 3000, 5000, 10_000)
    made = {
        "gradient descent, Xavier": (start("xavier"), None, 40_000, gd),
        "Adam, Xavier": (start("xavier"), adam, 10_000, of_adam),
        "Adam, uniform": (start("uniform"), adam, 5000, of_adam[:4]),
    }
    for gamma in config.gammas:
        name = f"Adam, structured γ = {gamma:g}"
        made[name] = (structured(gamma), adam, 500, (500,))
    return {
        name: (train(network, optimizer, size(steps), listed, config.saves), listed)
        for name, (network, optimizer, steps, listed) in made.items()
    }


def run(config: Config, out: Path) -> dict:
    """Run, print, draw."""
    made = runs(config)
    found = {name: numbers(run, listed) for name, (run, listed) in made.items()}
    for name, values in found.items():
        print(name)
        for key, value in values.items():
            print(f"    {key}: {value}")
    shown = dict(list(made.items())[:3] + list(made.items())[-1:])
    figure = out / "rank_staircase.png"
    draw({name: run for name, (run, _) in shown.items()}, figure)
    return found


if __name__ == "__main__":
    main(__file__, run, SMOKE)
