"""Leaving the plateau of deep networks: width, architecture, optimizer; real data.

A narrow deep ReLU network starts on a plateau, where its output and its gradients
nearly vanish. Descent stays there or is slow, methods that divide by the size of the
gradient leave within hundreds of steps; a width as large as the depth or skips take the
plateau away. Lanes of one shape share their starts, whatever the optimizer.

The plateau is left below 3/4 of its height, the loss of the output 0. Next to it stands
the share below 1/2 of it, as is usual, which a narrow network reaches much later: its
layers let pass one side of one direction, and functions c·relu(v·x) come no lower than
0.506 of the height (d = 8), a second plateau.

    python experiments/escape_networks.py [--parts widths architectures digits]
        [--file IMAGES.npz --arrays x y] [--smoke] [--out FOLDER]
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from deep_networks import (
    ARCHITECTURES,
    OPTIMIZERS,
    SHARES,
    WIDTH,
    height,
    images,
    label,
    problem,
    run_steps,
    starts,
    tell,
)
from drawing import save
from escape_figures import STYLES

import plateaux as px
from plateaux.experiments import main

Part = Literal["widths", "architectures", "digits"]
LEFT = "3/4"


def plan(of_descent: int, of_others: int, rates: tuple = (1e-3,)) -> tuple:
    """Runs of one shape, (optimizer, step size, most steps): others need fewer."""
    others = [("Adam", h) for h in rates] + [("sign descent", 1e-3), ("RMSprop", 1e-3)]
    first = ("gradient descent", 0.03, of_descent)
    return (first, *((name, h, of_others) for name, h in others))


SHAPES = {  # (depth, width) -> runs
    (16, 8): plan(4000, 1000, (3e-3, 1e-3)),
    (32, 8): (*plan(4000, 2000, (3e-3, 1e-3)), ("gradient descent", 0.3, 1000)),
    (8, 8): plan(2000, 600),
    (16, 16): plan(700, 200),
    (32, 32): plan(700, 200),
}
STEP_SIZES = (0.1, 0.03, 0.01, 0.003)  # of descent, the best of which is told
DIGITS_DATA, NUM_PICTURES = 256, 1024
DIGITS_RUNS = (
    ("gradient descent", 0.1, 2000),
    ("momentum 0.9", 0.01, 2000),
    ("normalised descent", 0.1, 2000),
    ("Adam", 1e-3, 1000),
)


@dataclass(frozen=True)
class Config:
    """Three parts: shapes, architectures, and pictures.

    Attributes:
        parts: Which of them.
        lanes: Starts of each shape; half of them for pictures.
        shapes: Depths and widths.
        optimizers: Which of them for shapes and pictures.
        share: Of the steps of every optimizer, for shapes and pictures.
        architectures: Which of them.
        architecture_depth: Layers of each.
        architecture_steps: Steps of each.
        pictures_shape: Depth and width of the network for pictures.
        file: Pictures, a NumPy archive; the bundled digits if empty.
        arrays: Names of pictures and labels in the file.
    """

    parts: tuple[Part, ...] = get_args(Part)
    lanes: int = 32
    shapes: tuple[tuple[int, int], ...] = tuple(SHAPES)
    optimizers: tuple[str, ...] = tuple(OPTIMIZERS)
    share: float = 1.0
    architectures: tuple[str, ...] = tuple(ARCHITECTURES)
    architecture_depth: int = 32
    architecture_steps: int = 500
    pictures_shape: tuple[int, int] = (24, 16)
    file: str = ""
    arrays: tuple[str, str] = ("x", "y")


SMOKE = Config(
    lanes=8,
    shapes=((8, 8),),
    optimizers=("gradient descent",),
    share=0.02,
    architectures=("residual",),
    architecture_depth=4,
    architecture_steps=20,
    pictures_shape=(2, 16),
)


def chosen(runs, config: Config) -> list[tuple[str, float, int]]:
    """Runs of the optimizers asked for, with their share of steps."""
    return [
        (name, step_size, int(config.share * num_steps))
        for name, step_size, num_steps in runs
        if name in config.optimizers
    ]


def part_widths(config: Config) -> tuple[dict, dict]:
    """Every optimizer for every shape: numbers, and escape times for the figure."""
    made, seen = {}, {}
    for depth, width in config.shapes:
        data, networks = problem(width), starts(depth, width, config.lanes)
        for name, step_size, num_steps in chosen(SHAPES[depth, width], config):
            trained = run_steps(data, networks, name, step_size, num_steps)
            how = label(name, step_size)
            group = f"L = {depth}, d = {width}: {how}"
            found = tell(made, group, trained, data, height(data))
            seen.setdefault((depth, width), {})[how] = found
    return made, seen


def part_architectures(config: Config) -> tuple[dict, dict]:
    """Descent of the best step size, and Adam: numbers, and runs for the figure."""
    made, seen, data = {}, {}, problem(WIDTH)
    plans = [("gradient descent", h) for h in STEP_SIZES] + [("Adam", 1e-3)]
    for name in config.architectures:
        depth, options = config.architecture_depth, ARCHITECTURES[name]
        networks = starts(depth, WIDTH, config.lanes, **options(depth))
        for how in plans:
            trained = run_steps(data, networks, *how, config.architecture_steps)
            group = f"{name}: {label(*how)}"
            tell(made, group, trained, data, height(data))
            seen[group] = trained
    return made, seen


def best_step_size(made: dict, name: str) -> float:
    """Of descent: most lanes left, and then the shortest median."""
    row_of = lambda h: made[f"{name}: {label('gradient descent', h)}, {LEFT}"]
    order = lambda h: (row_of(h)["escaped"][0], -row_of(h)["median"][0])
    return max(STEP_SIZES, key=order)


def pictures(config: Config) -> px.Problem:
    """The bundled digits, or the user's file."""
    if not config.file:
        return px.problems.digits(num_data=DIGITS_DATA)
    return images(Path(config.file), config.arrays, NUM_PICTURES)


def part_pictures(
    lanes: int, data: px.Problem, runs, shape: tuple[int, int]
) -> tuple[dict, dict]:
    """A narrow deep network on pictures: numbers, and runs for the figure."""
    made, seen = {}, {}
    sizes = {"in_dim": data.x.shape[1], "out_dim": data.out_dim}
    networks = starts(*shape, lanes, **sizes)
    for name, step_size, num_steps in runs:
        trained = run_steps(data, networks, name, step_size, num_steps)
        how = label(name, step_size)
        found = tell(made, f"{data.name}: {how}", trained, data)
        seen[how] = trained, found
    return made, seen


def draw_survival(ax, found: dict, share: str) -> None:
    """How long the plateau lasts, a curve an optimizer."""
    curves = {
        how: px.statistics.escape_summary(one[share]).survival
        for how, one in found.items()
    }
    px.plot.survival_curves(curves, ax=ax, time_unit="step", colors=colors(curves))
    ax.set_ylabel(f"lanes above {share} of the height")
    ax.legend(fontsize="small", loc="upper right")


def draw_widths(seen: dict, path: Path, shapes=((32, 8), (32, 32))) -> None:
    """Survival above 3/4 and 1/2 by optimizer, the narrow and the wide network.

    With the step sizes that both have; of the first shape if these were not run.
    """
    import matplotlib.pyplot as plt

    shapes = [shape for shape in shapes if shape in seen] or list(seen)[:1]
    layout = {"layout": "constrained", "sharex": True, "sharey": True}
    size = {"figsize": (5.5 * len(shapes), 7.5), "squeeze": False}
    fig, axes = plt.subplots(len(SHARES), len(shapes), **size, **layout)
    for across, share in zip(axes, SHARES, strict=True):
        for ax, (depth, width) in zip(across, shapes, strict=True):
            both = {how: seen[depth, width][how] for how in seen[shapes[-1]]}
            draw_survival(ax, both, share)
            ax.set_title(f"{depth} layers, width {width}")
            ax.label_outer()
            ax.get_legend().remove()
    axes[0, -1].legend(fontsize="small", loc="upper right")  # one for all
    save(fig, path)


def draw_bands(ax, trained: dict) -> None:
    """Quartiles of the loss over lanes, an optimizer each."""
    probabilities = (0.25, 0.5, 0.75)
    for (how, one), color in zip(trained.items(), colors(trained), strict=True):
        shown = np.unique(np.geomspace(1, one.steps.shape[1] - 1, 200).astype(int))
        losses = np.asarray(one.losses)[:, shown]
        band = px.statistics.quantile_band(losses, probabilities)
        options = {"label": how, "color": color, "legend": False, "ax": ax}
        at = np.asarray(one.steps[0], float)[shown]
        px.plot.ensemble_band(at, band, probabilities, time_unit="step", **options)


def draw_architectures(made: dict, seen: dict, names, path: Path) -> None:
    """Losses by architecture: descent of the best step size, and Adam."""
    import matplotlib.pyplot as plt

    layout = {"layout": "constrained", "sharex": True, "sharey": True}
    shape = -(-len(names) // 3), min(len(names), 3)
    size = {"figsize": (4.5 * shape[1], 4 * shape[0]), "squeeze": False}
    fig, axes = plt.subplots(*shape, **size, **layout)
    for ax, name in zip(axes.flat, names, strict=False):
        best = label("gradient descent", best_step_size(made, name))
        draw_bands(ax, {how: seen[f"{name}: {how}"] for how in (best, "Adam 0.001")})
        for share in SHARES.values():
            ax.axhline(share * height(problem(WIDTH)), color="0.5", linestyle=":")
        ax.set(title=name, xlim=(1, None), ylim=(1e-3, 5))
        few_names(ax)
        ax.label_outer()
    save(fig, path)


def draw_digits(seen: dict, path: Path) -> None:
    """Survival of the plateau and losses, by optimizer."""
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
    draw_survival(left, {how: found for how, (_, found) in seen.items()}, LEFT)
    left.set_ylabel(f"lanes above {LEFT} of the initial loss")
    draw_bands(right, {how: one for how, (one, _) in seen.items()})
    right.set(xlim=(1, None), ylim=(1e-2, 4))
    few_names(right)
    save(fig, path)


def colors(names) -> list[str]:
    """A colour an optimizer, the same in all figures."""
    return [STYLES[name.rsplit(" ", 1)[0]][0] for name in names]


def few_names(ax) -> None:
    """A legend of the medians alone: bands and intervals have their colours."""
    handles, names = ax.get_legend_handles_labels()
    kept = {
        name.removesuffix(", median"): handle
        for handle, name in zip(handles, names, strict=True)
        if name.endswith(", median")
    }
    ax.legend(kept.values(), kept.keys(), fontsize="small", loc="lower left")


def run(config: Config, out: Path) -> dict:
    """Run, print, draw."""
    made: dict = {}
    if "widths" in config.parts:
        rows, seen = part_widths(config)
        made |= rows
        draw_widths(seen, out / "escape_networks.png")
    if "architectures" in config.parts:
        rows, seen = part_architectures(config)
        made |= rows
        names = config.architectures
        draw_architectures(rows, seen, names, out / "architectures.png")
    if "digits" in config.parts:
        lanes, runs = max(config.lanes // 2, 1), chosen(DIGITS_RUNS, config)
        shape = config.pictures_shape
        rows, seen = part_pictures(lanes, pictures(config), runs, shape)
        made |= rows
        draw_digits(seen, out / "digits.png")
    return made


if __name__ == "__main__":
    main(__file__, run, SMOKE)
