"""Leaving the plateau of a deep chain: every optimizer against depth, eps, precision.

Neural chains f = w_1 ⋯ w_L x from uniform weights of variance 1 learn y = 1 at x = 1;
a plateau is left when the loss is below 1/8. Gradient descent takes steeply longer with
depth, methods that divide by the gradient's size do not, until Adam's eps or the
precision stops them. Lanes of one depth share their starts.

    python experiments/escape_depth.py [--parts chains eps directions] [--smoke]
        [--out FOLDER]
"""

import functools as ft
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from escape_figures import draw_directions, draw_eps, draw_escapes

import plateaux as px
from plateaux.experiments import main

Part = Literal["chains", "eps", "directions"]
STEP, LEVEL, TINY = 0.01, 0.125, 1e-30
# name -> optimizer, most steps; saddle-free Newton takes an eigendecomposition a step
OPTIMIZERS = {
    "gradient descent": (lambda: px.gradient_descent(STEP), 20_000),
    "momentum 0.9": (lambda: optax.sgd(STEP, momentum=0.9), 20_000),
    "noisy descent": (lambda: px.dynamics.noisy_descent(STEP), 20_000),
    "normalised descent": (lambda: px.dynamics.normalised_descent(STEP), 2000),
    "sign descent": (lambda: optax.sign_sgd(STEP), 2000),
    "RMSprop": (
        lambda: optax.rmsprop(STEP, decay=0.99, eps=TINY, eps_in_sqrt=False),
        2000,
    ),
    "Adam": (lambda: optax.adam(STEP, b2=0.99, eps=TINY), 2000),
    "AdamW": (lambda: optax.adamw(STEP, b2=0.99, eps=TINY), 2000),
    "saddle-free Newton": (lambda: px.dynamics.saddle_free_newton(0.1), 300),
}


@dataclass(frozen=True)
class Config:
    """Three parts: optimizers over depth, Adam over eps, and the way out.

    Attributes:
        parts: Which of them.
        lanes: Starts of each depth; half of them for eps, a quarter for saddle-free
            Newton and for directions.
        optimizers: Which, over depth.
        depths: Numbers of weights L.
        share: Of the most steps of every optimizer.
        eps: Of Adam.
        eps_depths: Depths for these.
        eps_steps: Steps for these.
        way_depth: Depth of the chains whose way out is seen.
        way_steps: Steps of these.
    """

    parts: tuple[Part, ...] = get_args(Part)
    lanes: int = 256
    optimizers: tuple[str, ...] = tuple(OPTIMIZERS)
    depths: tuple[int, ...] = (4, 8, 16, 32, 64)
    share: float = 1.0
    eps: tuple[float, ...] = (1e-30, 1e-16, 1e-12, 1e-8, 1e-4)
    eps_depths: tuple[int, ...] = (32, 48, 64, 96)
    eps_steps: int = 5000
    way_depth: int = 16
    way_steps: int = 20_000


SMOKE = Config(
    lanes=16,
    optimizers=("gradient descent", "Adam"),
    depths=(4,),
    share=0.05,
    eps=(1e-30, 1e-2),
    eps_depths=(4,),
    eps_steps=200,
    way_depth=4,
    way_steps=500,
)


def problem(dtype=None) -> px.Problem:
    """One datum, x = y = 1."""
    one = jnp.ones((1, 1), dtype or jnp.result_type(float))
    return px.Problem(one, one[:, 0])


def chains(depth: int, lanes: int, dtype=None) -> px.networks.Chain:
    """Uniform weights of variance 1, a lane each."""
    draw = lambda key: px.networks.chain(key, depth=depth, dtype=dtype)
    return jax.vmap(draw)(jax.random.split(jax.random.key(depth), lanes))


@ft.partial(jax.jit, static_argnames=("name", "depth", "lanes", "num_steps"))
def escapes(name: str, depth: int, lanes: int, num_steps: int):
    """Escape times of one optimizer at one depth."""
    data = problem()
    train = lambda network: px.descend(
        data, network, OPTIMIZERS[name][0](), num_steps=num_steps, save=px.every(1)
    )
    runs = in_steps(jax.vmap(train)(chains(depth, lanes)))
    return px.stages.escape(runs, data, criterion="loss", level=LEVEL)


def in_steps(run: px.Trajectory) -> px.Trajectory:
    """The run with steps for times, also of plain descent."""
    steps = run.steps.astype(run.times.dtype)
    return eqx.tree_at(lambda r: r.times, run, steps)


@ft.partial(jax.jit, static_argnames=("depth", "lanes", "num_steps", "dtype"))
def escapes_of_adam(eps, depth: int, lanes: int, num_steps: int, dtype: str):
    """The same of Adam, for an eps and a precision."""
    data = problem(dtype)
    optimizer = optax.adam(STEP, b2=0.99, eps=eps)
    train = lambda network: px.descend(
        data, network, optimizer, num_steps=num_steps, save=px.every(1)
    )
    runs = jax.vmap(train)(chains(depth, lanes, dtype))
    return px.stages.escape(runs, data, criterion="loss", level=LEVEL)


def row(found) -> dict:
    """What is claimed of one group: [estimate, low, high] and causes."""
    summary = px.statistics.escape_summary(found)
    return {
        "escaped": [float(value) for value in summary.escaped],
        "median": [float(value) for value in summary.median],
        "causes": summary.causes,
    }


def part_chains(config: Config) -> tuple[dict, dict]:
    """Every optimizer at every depth: numbers, and escape times for the figure."""
    made, seen = {}, {}
    for name in config.optimizers:
        num_steps = int(config.share * OPTIMIZERS[name][1])
        lanes = config.lanes // 4 if name == "saddle-free Newton" else config.lanes
        for depth in config.depths:
            found = escapes(name, depth, lanes, num_steps)
            group = f"{name}, L = {depth}"
            made[group], seen[name, depth] = row(found), found
            print(line(group, made[group]), flush=True)
    return made, seen


def part_eps(config: Config) -> dict:
    """Adam over eps, depth and precision."""
    made, lanes = {}, config.lanes // 2
    for dtype in ("float64", "float32"):
        for depth in config.eps_depths:
            for eps in config.eps:
                value = jnp.asarray(eps, dtype)
                found = escapes_of_adam(value, depth, lanes, config.eps_steps, dtype)
                name = f"Adam, eps {eps:g}, L = {depth}, {dtype}"
                made[name] = row(found)
                print(line(name, made[name]), flush=True)
    return made


def line(name: str, of: dict) -> str:
    """One row of the table."""
    escaped, median = of["escaped"][0], of["median"]
    causes = ", ".join(f"{n} {cause}" for cause, n in of["causes"].items() if n)
    words = "median {:.4g} ({:.4g} to {:.4g})".format(*median)
    return f"{name:42} {100 * escaped:3.0f} %  {words}; {causes}"


@ft.partial(jax.jit, static_argnames=("name", "depth", "lanes", "num_steps"))
def ways_out(name: str, depth: int, lanes: int, num_steps: int):
    """Runs that keep their networks, their escapes, and the directions of these.

    The displacement is that from the start to the first saved network below the level,
    or to the last one, seen from the Hessian at the start.
    """
    data = problem()
    train = lambda network: px.descend(
        data,
        network,
        OPTIMIZERS[name][0](),
        num_steps=num_steps,
        save=px.log_spaced(150),
        record={"network": lambda problem, network: network},
    )
    runs = in_steps(jax.vmap(train)(chains(depth, lanes)))

    def direction(run):
        low = run.losses < LEVEL
        at = jnp.where(jnp.any(low), jnp.argmax(low), low.size - 1)
        start, end = (
            jax.tree.map(lambda leaf, i=i: leaf[i], run.saved["network"])
            for i in (0, at)
        )
        return px.stages.escape_direction(data, start, end)

    left = px.stages.escape(runs, data, criterion="loss", level=LEVEL)
    return runs, left, jax.vmap(direction)(runs)


def part_directions(depth: int, lanes: int, num_steps: int) -> tuple[dict, dict]:
    """Ways out by descent, sign descent and Adam: numbers, and one lane's curvature."""
    names = ("gradient descent", "sign descent", "Adam")
    found = {name: ways_out(name, depth, lanes, num_steps) for name in names}
    times = np.asarray(found[names[0]][1].time)
    # The lane that descent takes longest for and still leaves shows most.
    lane = int(np.argmax(np.where(np.isfinite(times), times, -1)))
    seen = {}
    for name in (names[0], names[-1]):
        runs, left, _ = found[name]
        run = jax.tree.map(lambda leaf: leaf[lane], runs)
        path = run.saved["network"]
        seen[name] = {
            "run": run,
            "curvature": px.diagnostics.curvature.curvature_along(problem(), path),
            "along": px.diagnostics.curvature.curvature_of_steps(problem(), path),
            "time": float(left.time[lane]),
        }
    return of_directions(found), seen


def of_directions(found: dict) -> dict:
    """Quartiles over the lanes that escaped."""
    told = {}
    for name, (_, left, out) in found.items():
        escaped = ~np.asarray(left.censored)
        quartiles = lambda values, escaped=escaped: np.quantile(
            np.asarray(values)[escaped], (0.25, 0.5, 0.75)
        )
        told[f"way out, {name}"] = {
            "number": int(escaped.sum()),
            "cosine with the lowest eigenvector": quartiles(out.cosine),
            "share in negative eigenspaces": quartiles(out.negative_share),
            "curvature over the lowest": quartiles(out.curvature / out.lowest),
        }
    return told


def run(config: Config, out: Path) -> dict:
    """Run, print, draw."""
    made: dict = {}
    if "chains" in config.parts:
        rows, seen = part_chains(config)
        made |= rows
        most = {name: num_steps for name, (_, num_steps) in OPTIMIZERS.items()}
        draw_escapes(rows, seen, most, out / "escape_depth.png")
    if "eps" in config.parts:
        rows = part_eps(config)
        made |= rows
        draw_eps(rows, config.eps_depths, config.eps, out / "eps.png")
    if "directions" in config.parts:
        size = config.way_depth, config.lanes // 4, config.way_steps
        told, ways = part_directions(*size)
        for name, one in told.items():
            words = [f"{key} {np.round(value, 2)}" for key, value in one.items()]
            print(f"{name}: {', '.join(words)}", flush=True)
        made |= told
        draw_directions(ways, out / "directions.png")
    return made


if __name__ == "__main__":
    main(__file__, run, SMOKE)
