"""Leaving the plateau of a deep chain: every optimizer against depth, eps, precision.

Neural chains f = w_1 ⋯ w_L x from uniform weights of variance 1 learn y = 1 at x = 1;
a plateau is left when the loss is below 1/8. Gradient descent takes steeply longer with
depth, methods that divide by the gradient's size do not, until Adam's eps or the
precision stops them. Lanes of one depth share their starts.

    python experiments/escape_depth.py [chains] [eps] [directions] [--smoke]
        [--lanes 256] [--out FOLDER]
"""

import functools as ft
import json
import math
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from parts import COLORS, finish, parsed, parser

import plateaux as px

PARTS = ("chains", "eps", "directions")
STEP, LEVEL, TINY = 0.01, 0.125, 1e-30
DEPTHS = (4, 8, 16, 32, 64)
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
EPS_DEPTHS, EPS = (32, 48, 64, 96), (1e-30, 1e-16, 1e-12, 1e-8, 1e-4)
EPS_STEPS = 5000
EXPECTED = Path(__file__).parent / "expected" / "escape_depth.json"


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
    """What is claimed of one group: [estimate, low, high], None for inf; all causes."""
    summary = px.statistics.escape_summary(found)
    return {
        "escaped": [float(v) for v in summary.escaped],
        "median": [float(v) if np.isfinite(v) else None for v in summary.median],
        "causes": summary.causes,
    }


def part_chains(lanes: int, depths=DEPTHS, shorter: int = 1) -> tuple[dict, dict]:
    """Every optimizer at every depth: numbers, and escape times for the figure."""
    made, seen = {}, {}
    for name, (_, num_steps) in OPTIMIZERS.items():
        for depth in depths:
            few = lanes // 4 if name == "saddle-free Newton" else lanes
            found = escapes(name, depth, few, num_steps // shorter)
            group = f"{name}, L = {depth}"
            made[group], seen[name, depth] = row(found), found
            print(line(group, made[group]), flush=True)
    return made, seen


def part_eps(lanes: int, depths=EPS_DEPTHS, num_steps: int = EPS_STEPS) -> dict:
    """Adam over eps, depth and precision."""
    made = {}
    for dtype in ("float64", "float32"):
        for depth in depths:
            for eps in EPS:
                value = jnp.asarray(eps, dtype)
                found = escapes_of_adam(value, depth, lanes, num_steps, dtype)
                name = f"Adam, eps {eps:g}, L = {depth}, {dtype}"
                made[name] = row(found)
                print(line(name, made[name]), flush=True)
    return made


def line(name: str, of: dict) -> str:
    """One row of the table."""
    escaped, median = of["escaped"][0], of["median"]
    causes = ", ".join(f"{n} {cause}" for cause, n in of["causes"].items() if n)
    told = ["inf" if value is None else f"{value:.4g}" for value in median]
    words = "median {} ({} to {})".format(*told)
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


def part_directions(depth: int = 16, lanes: int = 64, num_steps: int = 20_000) -> dict:
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
    return {"told": of_directions(found), "seen": seen}


def of_directions(found: dict) -> dict:
    """Quartiles over the lanes that escaped."""
    told = {}
    for name, (_, left, out) in found.items():
        escaped = ~np.asarray(left.censored)
        quartiles = lambda values, escaped=escaped: np.quantile(
            np.asarray(values)[escaped], (0.25, 0.5, 0.75)
        ).tolist()
        told[name] = {
            "escaped": int(escaped.sum()),
            "cosine with the lowest eigenvector": quartiles(out.cosine),
            "share in negative eigenspaces": quartiles(out.negative_share),
            "curvature over the lowest": quartiles(out.curvature / out.lowest),
        }
    return told


def draw_escapes(made: dict, seen: dict, path: Path, depth: int = 32) -> None:
    """Median escape against depth, and survival of the plateau at one depth."""
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(
        1, 2, figsize=(13, 5), layout="constrained", width_ratios=(1, 1.2)
    )
    depths = sorted({d for _, d in seen})
    dashes = ("-", "-", "--", "-", "-", "-", "-.", ":", "-.")
    styles = zip(OPTIMIZERS, COLORS * 2, "osv^D*PXh", dashes, strict=False)
    for name, color, marker, dash in styles:
        medians = [made[f"{name}, L = {d}"]["median"] for d in depths]
        mid, low, high = np.array(medians, float).T  # None is NaN
        ends = np.nan_to_num([mid - low, high - mid], nan=0.0)
        # Lines that lie on one another show through dashes.
        style = {"marker": marker, "color": color, "linestyle": dash}
        left.errorbar(depths, mid, yerr=ends, label=name, markersize=5, **style)
        beyond = [d for d, m in zip(depths, mid, strict=True) if np.isnan(m)]
        left.plot(beyond, [OPTIMIZERS[name][1]] * len(beyond), "^", color=color)
    left.annotate(
        "not within 20 000 steps", (DEPTHS[-2], 2e4), (0, 6),
        textcoords="offset points", ha="center", fontsize="small",
    )  # fmt: skip
    left.set(xscale="log", yscale="log", xlabel="depth L", ylabel="median escape step")
    left.set_xticks(depths, [f"{d}" for d in depths])
    left.minorticks_off()
    left.legend(fontsize="small", ncols=2, loc="upper right")
    left.set_ylim(top=1e6)
    chosen = depth if depth in depths else depths[-1]
    summaries = {
        name: px.statistics.escape_summary(seen[name, chosen]).survival
        for name in ("gradient descent", "momentum 0.9", "sign descent", "Adam")
    }
    px.plot.survival_curves(summaries, ax=right)
    right.set(xscale="log", xlabel="step", ylabel="share still on the plateau")
    right.set_title(f"L = {chosen}", loc="right")
    fig.savefig(path, dpi=130)
    plt.close(fig)


def draw_eps(made: dict, path: Path) -> None:
    """Shares that escaped, by eps and depth, one panel a precision."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for ax, dtype in zip(axes, ("float64", "float32"), strict=True):
        share = np.array(
            [
                [made[f"Adam, eps {e:g}, L = {d}, {dtype}"]["escaped"][0] for e in EPS]
                for d in EPS_DEPTHS
            ]
        )
        px.plot.heat_map(
            share, ("depth L", list(EPS_DEPTHS)), ("eps of Adam", list(EPS)), ax=ax
        )
        ax.set_title(f"share that escaped, {dtype}")
    fig.savefig(path, dpi=130)
    plt.close(fig)


def draw_directions(found: dict, path: Path) -> None:
    """Update against curvature, one panel an optimizer."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
    for ax, (name, one) in zip(axes, found.items(), strict=True):
        run, curvature = one["run"], one["curvature"]
        # A little beyond the escape: what follows is another story.
        shown = slice(0, int(np.sum(np.asarray(run.times) < 1.2 * one["time"])) - 1)
        px.plot.update_curvature(
            run.times[shown],
            curvature.largest[shown],
            curvature.smallest[shown],
            one["along"][shown],
            time_unit="step",
            ax=ax,
        )
        ax.axvline(one["time"], color="0.5", linestyle=":")
        ax.set_title(name, loc="right")
    fig.savefig(path, dpi=130)
    plt.close(fig)


def disagreements(made: dict, expected: dict) -> list[str]:
    """Claims off by more than the intervals allow: those of both runs must overlap."""
    ends = lambda row: [math.inf if end is None else end for end in row[1:]]

    def apart(ours, theirs):
        (low, high), (least, most) = ends(ours), ends(theirs)
        return high < least or most < low

    return [
        f"{name}: {key}"
        for name, wanted in expected.items()
        for key in ("escaped", "median")
        if name in made and apart(made[name][key], wanted[key])
    ]


def main() -> None:
    """Run, compare, draw."""
    options = parser("escape_depth", __doc__, PARTS, 256, "8 lanes, L = 4 and 8")
    args = parsed(options, PARTS)
    jax.config.update("jax_enable_x64", True)
    began, parts = time.perf_counter(), args.parts
    made: dict = {}
    if "chains" in parts:
        few = {"depths": (4, 8), "shorter": 20} if args.smoke else {}
        rows, seen = part_chains(8 if args.smoke else args.lanes, **few)
        made |= rows
        draw_escapes(rows, seen, args.out / "escapes.png")
    if "eps" in parts:
        few = {"depths": (8,), "num_steps": 200} if args.smoke else {}
        rows = part_eps(8 if args.smoke else args.lanes // 2, **few)
        made |= rows
        if not args.smoke:
            draw_eps(rows, args.out / "eps.png")
    if "directions" in parts:
        few = {"depth": 4, "lanes": 8, "num_steps": 500} if args.smoke else {}
        found = part_directions(**few)
        told = json.dumps(found["told"], indent=1)
        (args.out / "directions.json").write_text(told + "\n")
        for name, one in found["told"].items():
            print(name, {key: np.round(value, 2) for key, value in one.items()})
        draw_directions(found["seen"], args.out / "directions.png")
    finish(args, made, EXPECTED, disagreements, began)


if __name__ == "__main__":
    main()
