"""The staircase over tasks, activations and optimizers.

A d-50-50 network from Xavier weights, biases zero, learns ten tasks by Adam with five
activations: fitting in one, two and five inputs, ten digits, four equations by their
residuals, two by their energies. Two tasks are learned by gradient descent and L-BFGS
too. Printed, one row a run: ε-ranks of the last hidden layer at the start and the end,
and of the first at the end; steps of the rank, those that the loss drops at, Spearman
correlations of loss and rank; last loss and relative error. Every number for
ε = 1e-3 | 1e-6 times the volume of the domain, for digits 1e-1 | 1e-2, with weights of
sum 1. For tanh also over 8 starts.

Adam from zero biases on an odd target is chaotic: the gradients of the biases are
rounding errors, which Adam brings to full size. Starts that differ by 1e-13 end with
ranks that differ by 3 and losses by a factor of 2 (seen by `--perturb 1e-13`, on fit_1d
and poisson_1d); the tolerances leave room above.

    python experiments/rank_tasks.py [--parts TASK ...] [--smoke] [--out FOLDER]
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from drawing import COLORS, save
from learning_tasks import TASKS, Task

import plateaux as px
from plateaux.experiments import main

Part = Literal[
    "fit_1d",
    "fit_2d",
    "fit_5d",
    "digits",
    "poisson_1d",
    "poisson_2d",
    "burgers",
    "allen_cahn",
    "ritz_1d",
    "ritz_2d",
]
WIDTHS = (50, 50)
SPREAD = "tanh"  # the column that has several starts
TIMES = 100  # saved
STEP_SIZES = {"fit_1d": 0.05, "poisson_1d": 2e-4}  # of gradient descent
STEPS = {"Adam": 1.0, "gradient descent": 5.0, "L-BFGS": 0.25}  # per step of the task


@dataclass(frozen=True)
class Config:
    """One run, or several, for each task and activation.

    Attributes:
        parts: Which tasks.
        activations: By Adam; tanh by the other optimizers too, on two of the tasks.
        starts: Of tanh by Adam.
        share: Of the steps of every task.
        perturb: Relative change of the starts, to see what rounding does.
    """

    parts: tuple[Part, ...] = get_args(Part)
    activations: tuple[str, ...] = ("tanh", "sin", "cos", "elu", "relu")
    starts: int = 8
    share: float = 1.0
    perturb: float = 0.0


SMOKE = Config(("fit_1d",), ("tanh",), starts=2, share=0.005)


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


def ranks(run, epsilons, layer: int = -1):
    """By volume, shape (t, 2), of one run."""
    return np.asarray(
        px.diagnostics.epsilon_rank(
            run.saved["spectra"][layer], epsilons, relative_to="volume"
        )
    )


def numbers(run, epsilons) -> dict:
    """What is said of one run; pairs are for the two ε."""
    last, first = ranks(run, epsilons), ranks(run, epsilons, 0)
    found = [px.stages.staircase(run, last[:, e]) for e in (0, 1)]
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


def curves(run, epsilons) -> dict:
    """What is drawn of a run: its loss and ranks after the start."""
    shown = np.asarray(run.steps) > 0
    values = {"steps": run.steps, "losses": run.losses, "ranks": ranks(run, epsilons)}
    return {name: np.asarray(value)[shown].tolist() for name, value in values.items()}


def cells(config: Config) -> list[tuple[str, str, str]]:
    """(task, activation, optimizer) of every run."""
    return [
        (name, *how)
        for name in config.parts
        for how in [(a, "Adam") for a in config.activations]
        + [("tanh", o) for o in ("gradient descent", "L-BFGS") if name in STEP_SIZES]
    ]


def fill(cell, config: Config):
    """Numbers of a cell and of its other starts, and its curves."""
    name, activation, optimizer = cell
    task = TASKS[name]()
    many = config.starts if (activation, optimizer) == (SPREAD, "Adam") else 1
    networks = starts(task, activation, many)
    try:
        px.loss(task.problem, jax.tree.map(lambda v: v[0], networks))
    except ValueError:  # no second derivative
        return {"refused": True}, None
    networks = jax.tree.map(lambda v: v * (1 + config.perturb), networks)
    num_steps = max(int(config.share * STEPS[optimizer] * task.num_steps), 2)
    made = train(task, networks, optimizer_of(optimizer, name), num_steps)
    runs = [jax.tree.map(lambda v, i=i: v[i], made) for i in range(many)]
    found = [numbers(run, task.epsilons) for run in runs]
    others = {} if many == 1 else {"starts": found[1:]}
    return found[0] | others, curves(runs[0], task.epsilons)


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


def panel(ax, run: dict, *, leftmost: bool, rightmost: bool) -> None:
    """Loss (black, left axis) and both ranks (right axis) over steps."""
    ax.loglog(run["steps"], run["losses"], color="black", linewidth=1)
    ax.set_xlim(1, max(run["steps"]))
    ax.tick_params(labelleft=leftmost, labelsize="x-small")
    twin = ax.twinx()
    for rank, color in zip(np.transpose(run["ranks"]), COLORS, strict=False):
        twin.step(run["steps"], rank, where="post", color=color, linewidth=1)
    twin.set(ylim=(0, WIDTHS[-1] + 2), yticks=(0, 25, 50))
    twin.tick_params(labelright=rightmost, labelsize="x-small")


def draw(runs: dict, path: Path, rows, columns) -> None:
    """Small multiples, a row a task; `columns` are (activation, optimizer)."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullLocator

    size = (1.6 * len(columns) + 1.5, 1.05 * len(rows) + 1.4)
    layout = {"figsize": size, "layout": "constrained", "squeeze": False}
    fig, axes = plt.subplots(len(rows), len(columns), sharey="row", **layout)
    for i, name in enumerate(rows):
        made = [j for j, way in enumerate(columns) if (name, *way) in runs]
        for j, (activation, optimizer) in enumerate(columns):
            ax, run = axes[i, j], runs.get((name, activation, optimizer))
            if run is None:
                ax.text(0.5, 0.5, "refused", transform=ax.transAxes, ha="center")
                ax.tick_params(left=False, bottom=False, labelbottom=False)
            else:
                panel(ax, run, leftmost=j == 0, rightmost=j == made[-1])
            ax.xaxis.set_major_locator(LogLocator(numticks=4))
            ax.xaxis.set_minor_locator(NullLocator())
            if i == 0:
                ax.set_title(f"{activation}, {optimizer}", fontsize="small")
        axes[i, 0].set_ylabel(name.replace("_", " "), fontsize="small")
        axes[i, 0].yaxis.set_major_locator(LogLocator(numticks=4))
        axes[i, 0].yaxis.set_minor_locator(NullLocator())
    fig.supxlabel("step", fontsize="small")
    draw_legend(fig, len(columns))
    save(fig, path)


def draw_legend(fig, columns: int) -> None:
    """The loss and both ranks, with the sides of their axes."""
    import matplotlib.pyplot as plt

    words = {
        "loss (left)": "black",
        "ε-rank (right), ε = 1e-3 (digits: 1e-1)": COLORS[0],
        "ε-rank (right), ε = 1e-6 (digits: 1e-2)": COLORS[1],
    }
    lines = [
        plt.Line2D([], [], color=color, label=name) for name, color in words.items()
    ]
    place = {"loc": "outside upper center", "fontsize": "small"}
    fig.legend(handles=lines, ncols=3 if columns > 3 else 1, **place)


def draw_all(drawn: dict, config: Config, out: Path) -> None:
    """A figure of the activations, and one of the optimizers."""
    columns = [(name, "Adam") for name in config.activations]
    draw(drawn, out / "rank_tasks.png", config.parts, columns)
    rows = [name for name in config.parts if name in STEP_SIZES]
    if rows:
        draw(drawn, out / "optimizers.png", rows, [("tanh", name) for name in STEPS])


def run(config: Config, out: Path) -> dict:
    """Run, print, draw."""
    found, drawn = {}, {}
    print(HEADER)
    for cell in cells(config):
        values, curve = fill(cell, config)
        found[", ".join(cell)] = values
        drawn |= {} if curve is None else {cell: curve}
        print(line_of(cell, values), flush=True)
        if "starts" in values:
            print(spread(values), flush=True)
    told = summary(found)
    print(*(f"{key}: {value}" for key, value in told.items()), sep="\n")
    draw_all(drawn, config, out)
    return found | {"summary": told}


if __name__ == "__main__":
    main(__file__, run, SMOKE)
