"""The staircase over tasks, activations and optimizers.

A d-50-50 network from Xavier weights, biases zero, learns ten tasks by Adam with five
activations: fitting in one, two and five inputs, ten digits, four equations by their
residuals, two by their energies. Two tasks are learned by gradient descent and L-BFGS
too. Printed, one row a run: ε-ranks of the last hidden layer at the start and the end,
and of the first at the end; steps of the rank, those that the loss drops at, Spearman
correlations of loss and rank; last loss and relative error. Every number for
ε = 1e-3 | 1e-6, by volume of the domain (digits: by data). For tanh also over 8 starts.

    python experiments/rank_tasks.py [--smoke] [--only TASK ...] [--out FOLDER]
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import plateaux as px

WIDTHS = (50, 50)
ACTIVATIONS = ("tanh", "sin", "cos", "elu", "relu")
EPSILONS = (1e-3, 1e-6)
STARTS, SPREAD = 8, "tanh"  # the column that has several starts
TIMES, SMOKE = 100, 30  # saved times; steps of a smoke run
STEP_SIZES = {"fit_1d": 0.05, "poisson_1d": 2e-4}  # of gradient descent
STEPS = {"Adam": 1.0, "gradient descent": 5.0, "L-BFGS": 0.25}  # per step of the task
line = px.problems.gauss_legendre  # rules on (−1, 1)
EXPECTED = Path(__file__).parent / "expected" / "rank_tasks.json"


class Task(NamedTuple):
    """What is learned, for how many steps, and where features are measured.

    `rule` None means over the data; `error` is relative, of a network.
    """

    problem: Any
    rule: px.problems.Quadrature | None
    error: Callable[..., Any]
    num_steps: int


def fitting(target, rule, fine, num_steps: int) -> Task:
    """½ mean square; the error is ‖u − f‖/‖f‖ on a finer rule."""
    values = jax.vmap(target)(fine.points)
    size = jnp.sqrt(fine.weights @ values**2)

    def error(network):
        gap = jax.vmap(network)(fine.points) - values
        return jnp.sqrt(fine.weights @ gap**2) / size

    return Task(px.problems.sampled(target, rule), rule, error, num_steps)


def equation(problem, fine, num_steps: int) -> Task:
    """A functional: features and the solution's error on one rule of the domain."""
    error = lambda network: px.problems.solution_error(problem, network, fine).relative
    return Task(problem, fine, error, num_steps)


def digits() -> Task:
    """Cross-entropy of 400 pictures; the error is the share of the others missed."""
    every = px.problems.digits(num_data=1797)
    seen, other = slice(400), slice(400, None)
    problem = px.Problem(every.x[seen], every.y[seen], loss="cross_entropy")
    said = jnp.argmax(every.y[other], axis=1)

    def error(network):
        guess = jnp.argmax(jax.vmap(network)(every.x[other]), axis=1)
        return jnp.mean((guess != said).astype(every.x.dtype))

    return Task(problem, None, error, 1500)


def three_waves(x):
    """Three frequencies."""
    wave = lambda k: jnp.sin(2 * jnp.pi * k * x[0])
    return wave(1) + 0.5 * wave(3) + 0.25 * wave(6)


def two_products(x):
    """Products of sines of two frequencies."""
    product = lambda k: jnp.prod(jnp.sin(jnp.pi * k * x))
    return product(1) + 0.5 * product(2)


def ridge_and_bump(x):
    """A sine of the mean, and a Gaussian."""
    return jnp.sin(2 * jnp.pi * jnp.mean(x)) + 0.5 * jnp.exp(-x @ x)


def square(num: int, first=(-1.0, 1.0)) -> px.problems.Quadrature:
    """A tensor rule of num² points; the first input may have its own domain."""
    return px.problems.tensor(line(num, domain=first), line(num))


def box(num: int, seed: int) -> px.problems.Quadrature:
    """Random points of a cube with five inputs."""
    return px.problems.monte_carlo(num, domain=[(-1.0, 1.0)] * 5, seed=seed)


# Energies with boundary values that make the solution the minimiser, of loss 0.
TASKS: dict[str, Callable[[], Task]] = {
    "fit_1d": lambda: fitting(three_waves, line(250), line(400), 4000),
    "fit_2d": lambda: fitting(two_products, square(18), square(31), 3000),
    "fit_5d": lambda: fitting(ridge_and_bump, box(400, 0), box(2000, 1), 3000),
    "digits": digits,
    "poisson_1d": lambda: equation(
        px.problems.poisson_1d(num_points=80), line(300), 4000
    ),
    "poisson_2d": lambda: equation(
        px.problems.poisson_2d(num_side=12), square(20), 2000
    ),
    "burgers": lambda: equation(
        px.problems.burgers(num_times=8, num_points=24),
        square(20, first=(0.0, 1.0)),
        2000,
    ),
    "allen_cahn": lambda: equation(
        px.problems.allen_cahn(num_points=80), line(300), 4000
    ),
    "ritz_1d": lambda: equation(
        px.problems.ritz_1d(num_points=200, consistent=True), line(300), 4000
    ),
    "ritz_2d": lambda: equation(
        px.problems.ritz_2d(num_side=16, consistent=True), square(20), 2000
    ),
}


def starts(task: Task, activation: str, num: int = 1):
    """Networks of keys 0, 1, …, biases and readout biases zero; on a leading axis."""
    draw = lambda key: px.networks.mlp(
        key,
        widths=WIDTHS,
        in_dim=task.problem.in_dim,
        out_dim=task.problem.out_dim,
        activation=activation,
        initialiser="xavier",
        readout_bias=True,
    )
    return eqx.filter_vmap(draw)(jax.vmap(jax.random.key)(jnp.arange(num)))


def optimizer_of(name: str, task: str):
    """Adam, L-BFGS, or gradient descent with the step size that the task bears."""
    if name == "gradient descent":
        return px.gradient_descent(STEP_SIZES[task])
    return {"Adam": optax.adam(1e-3), "L-BFGS": optax.lbfgs()}[name]


def train(task: Task, networks, optimizer, num_steps: int):
    """Runs of all networks, saved at log-spaced steps."""
    record = {
        "spectra": lambda problem, network: px.diagnostics.spectra(
            problem, network, quadrature=task.rule
        ),
        "error": lambda _, network: task.error(network),
    }
    if isinstance(task.problem, px.problems.Functional):
        record["parts"] = px.problems.part_losses
    run = lambda network: px.descend(
        task.problem,
        network,
        optimizer,
        num_steps=num_steps,
        save=px.log_spaced(TIMES),
        record=record,
        watch=False,
    )
    return eqx.filter_vmap(run)(networks)


def ranks(run, layer: int = -1):
    """By volume, shape (t, 2), of one run."""
    return np.asarray(
        px.diagnostics.epsilon_rank(
            run.saved["spectra"][layer], EPSILONS, relative_to="volume"
        )
    )


def numbers(run) -> dict:
    """What is said of one run; pairs are for the two ε."""
    last, first = ranks(run), ranks(run, 0)
    found = [px.stages.staircase(run, last[:, e]) for e in range(len(EPSILONS))]
    return {
        "start": last[0].tolist(),
        "end": last[-1].tolist(),
        "first_layer": first[-1].tolist(),
        "steps": [int(stairs.num_steps) for stairs in found],
        "matched": [int(np.sum(stairs.matched)) for stairs in found],
        "spearman": [float(stairs.spearman) for stairs in found],
        "loss": float(run.losses[-1]),
        "least_loss": float(np.min(run.losses)),
        "error": float(run.saved["error"][-1]),
        "parts": {k: float(v[-1]) for k, v in run.saved.get("parts", {}).items()},
    }


def cells(names) -> list[tuple[str, str, str]]:
    """(task, activation, optimizer) of every run of some tasks."""
    return [
        (name, *how)
        for name in names
        for how in [(a, "Adam") for a in ACTIVATIONS]
        + [("tanh", o) for o in ("gradient descent", "L-BFGS") if name in STEP_SIZES]
    ]


def fill(cell, smoke: bool, perturb: float):
    """Numbers of a cell and of its other starts, and the run that is drawn."""
    name, activation, optimizer = cell
    task = TASKS[name]()
    several = (activation, optimizer) == (SPREAD, "Adam") and not smoke and not perturb
    many = STARTS if several else 1
    networks = starts(task, activation, many)
    try:
        px.loss(task.problem, jax.tree.map(lambda v: v[0], networks))
    except ValueError as refusal:
        return {"refused": str(refusal)}, None
    networks = jax.tree.map(lambda v: v * (1 + perturb), networks)
    num_steps = SMOKE if smoke else int(STEPS[optimizer] * task.num_steps)
    made = train(task, networks, optimizer_of(optimizer, name), num_steps)
    runs = [jax.tree.map(lambda v, i=i: v[i], made) for i in range(many)]
    found = [numbers(run) for run in runs]
    others = {} if many == 1 else {"starts": found[1:]}
    return found[0] | others, runs[0]


def line_of(cell, found: dict) -> str:
    """A row of the table."""
    name, activation, optimizer = cell
    label = f"{name:11s} {activation:5s} {optimizer:17s}"
    if "refused" in found:
        return label + "refused: no second derivative"
    pair = lambda values: "|".join(f"{v:2d}" for v in values)
    steps = " ".join(
        f"{m:2d} of {s:2d}"
        for m, s in zip(found["matched"], found["steps"], strict=True)
    )
    spearman = " ".join(f"{v:+.2f}" for v in found["spearman"])
    return (
        f"{label}{pair(found['start'])}  {pair(found['end'])}  "
        f"{pair(found['first_layer'])}  {steps}  {spearman}  "
        f"{found['loss']:8.1e} {found['error']:8.1e}"
    )


HEADER = (
    f"{'task':11s} {'φ':5s} {'optimizer':17s}start  end    first  steps matched"
    "    Spearman     loss     error"
)


def spread(found: dict) -> str:
    """Median, least and largest over the starts."""
    many = [found, *found["starts"]]
    words = []
    for key, form in (("end", "g"), ("spearman", "+.2f"), ("loss", ".1e")):
        values = np.array([run[key] for run in many]).reshape(len(many), -1)
        words.append(
            f"{key} "
            + " | ".join(
                f"{np.median(v):{form}} ({min(v):{form}} to {max(v):{form}})"
                for v in values.T
            )
        )
    return f"{'':12s}{len(many)} starts: " + ", ".join(words)


def summary(found: dict) -> dict:
    """How many of the runs show it; pairs are for the two ε."""
    runs = [values for values in found.values() if "refused" not in values]
    get = lambda key: np.array([run[key] for run in runs])
    count = lambda shown: np.sum(shown, axis=0).tolist()
    return {
        "runs": len(runs),
        "rank_rises": count(get("end") > get("start")),
        "later_layer_higher": count(get("end") > get("first_layer")),
        "later_layer_lower": count(get("end") < get("first_layer")),
        "spearman_below_-0.8": count(get("spearman") < -0.8),
        "spearman_above_0": count(get("spearman") > 0),
        "steps_matched": count(get("matched")),
        "steps": count(get("steps")),
    }


def panel(ax, run, bottom: bool, right: bool):
    """Loss (left, black) and ranks (right) over steps; the axis of ranks."""
    steps, shown = np.asarray(run.steps), np.asarray(run.steps) > 0
    ax.loglog(steps[shown], run.losses[shown], color="black", linewidth=1)
    twin = ax.twinx()
    for column, color in enumerate(("tab:blue", "tab:orange")):
        style = {"where": "post", "color": color, "linewidth": 1}
        twin.step(steps[shown], ranks(run)[shown, column], **style)
    twin.set(ylim=(0, WIDTHS[-1] + 2), yticks=(0, 25, 50))
    twin.tick_params(labelright=right, labelsize="x-small", colors="tab:blue")
    ax.tick_params(labelbottom=bottom, labelsize="x-small", which="both")
    return twin


def draw(runs: dict, path: Path, rows, columns) -> None:
    """Small multiples, a row a task; `columns` are (activation, optimizer)."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullLocator

    size = (1.7 * len(columns) + 1.2, 1.15 * len(rows) + 0.9)
    layout = {"figsize": size, "layout": "constrained", "squeeze": False}
    fig, axes = plt.subplots(len(rows), len(columns), sharey="row", **layout)
    for i, name in enumerate(rows):
        for j, (activation, optimizer) in enumerate(columns):
            ax, run = axes[i, j], runs.get((name, activation, optimizer))
            if run is None:
                ax.text(0.5, 0.5, "refused", transform=ax.transAxes, ha="center")
                ax.set(xscale="log", xticks=[])
            else:
                panel(ax, run, True, j == len(columns) - 1)
            if not i:
                ax.set_title(f"{activation}, {optimizer}", fontsize="small")
        axes[i, 0].set_ylabel(name.replace("_", " "), fontsize="small")
        axes[i, 0].set_yscale("log")
        axes[i, 0].yaxis.set_major_locator(LogLocator(numticks=4))
        axes[i, 0].yaxis.set_minor_locator(NullLocator())
    fig.supxlabel("step", fontsize="small")
    fig.supylabel("loss (black)", fontsize="small")
    colors = (("tab:blue", EPSILONS[0]), ("tab:orange", EPSILONS[1]))
    lines = [plt.Line2D([], [], color=c, label=f"ε-rank, ε = {e:g}") for c, e in colors]
    fig.legend(handles=lines, loc="outside upper center", ncols=2, fontsize="small")
    fig.savefig(path, dpi=130)


def far(found: dict, expected: dict, tolerances: dict) -> list[str]:
    """Names of the numbers of a cell that are further off than expected."""
    if "refused" in expected:
        return [] if "refused" in found else ["refused"]
    gap = lambda key, f=np.asarray: np.max(np.abs(f(found[key]) - f(expected[key])))
    gaps = {key: gap(key) for key in ("start", "end", "first_layer", "spearman")}
    gaps["loss"] = gap("loss", lambda v: np.log10(abs(v)))
    return [key for key, value in gaps.items() if not value <= tolerances[key]]


def disagreements(found: dict, expected: dict) -> list[str]:
    """Cells and numbers that are further off than what rounding may have done."""
    return [
        f"{name}: {key}"
        for name, values in found.items()
        for key in far(values, expected["cells"][name], expected["tolerances"])
    ]


def main() -> None:
    """Run, print, draw, compare with the expected numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--smoke", action="store_true", help="a few steps, a run a task"
    )
    parser.add_argument("--only", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument(
        "--perturb", type=float, default=0.0, help="of starts, relative"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/rank_tasks"))
    args = parser.parse_args()
    chosen = cells(args.only)
    if args.smoke:  # activations in turn
        chosen = [(n, ACTIVATIONS[i % 4], "Adam") for i, n in enumerate(args.only)]
    found, drawn = {}, {}
    print(HEADER)
    for cell in chosen:
        values, run = fill(cell, args.smoke, args.perturb)
        found[", ".join(cell)], drawn[cell] = values, run
        print(line_of(cell, values), flush=True)
        if "starts" in values:
            print(spread(values), flush=True)
    print(*(f"{key}: {value}" for key, value in summary(found).items()), sep="\n")
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "rank_tasks.json").write_text(json.dumps(found, indent=1) + "\n")
    if not args.smoke:
        draw(
            drawn, args.out / "tasks.png", args.only, [(a, "Adam") for a in ACTIVATIONS]
        )
        rows = [name for name in args.only if name in STEP_SIZES]
        if rows:
            ways = [("tanh", optimizer) for optimizer in STEPS]
            draw(drawn, args.out / "optimizers.png", rows, ways)
    print(f"figures and numbers: {args.out}")
    if not args.smoke and not args.perturb:
        wrong = disagreements(found, json.loads(EXPECTED.read_text()))
        print(f"differs from {EXPECTED.name}: {wrong}" if wrong else "as expected")
        raise SystemExit(bool(wrong))


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
