"""Leaving the plateau of deep networks: width, architecture, optimizer; real data.

A narrow deep ReLU network starts on a plateau, where its output and its gradients
nearly vanish. Descent stays there or is slow, methods that divide by the size of the
gradient leave in tens of steps; a width as large as the depth, skips or normalisation
take the plateau away. Lanes of one shape share their starts, whatever the optimizer.

    python experiments/escape_networks.py [widths] [architectures] [digits] [--smoke]
        [--lanes 32] [--file IMAGES.npz] [--arrays x y] [--out FOLDER]
"""

import argparse
import json
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from escape_depth import disagreements, in_steps, line, row

import plateaux as px

PARTS = ("widths", "architectures", "digits")
NUM_DATA, SHARE = 128, 0.5  # a plateau is left at this share of its height
EPS = 1e-8  # of Adam and RMSprop; their gradients here are far larger
OPTIMIZERS = {
    "gradient descent": lambda h: px.gradient_descent(h),
    "momentum 0.9": lambda h: optax.sgd(h, momentum=0.9),
    "normalised descent": lambda h: px.dynamics.normalised_descent(h),
    "sign descent": lambda h: optax.sign_sgd(h),
    "RMSprop": lambda h: optax.rmsprop(h, decay=0.99, eps=EPS, eps_in_sqrt=False),
    "Adam": lambda h: optax.adam(h, eps=EPS),
}
# optimizer, step size, most steps; few steps where all leave within a hundred
NARROW = (
    ("gradient descent", 0.03, 4000),
    ("Adam", 3e-3, 1000),
    ("Adam", 1e-3, 1000),
    ("sign descent", 1e-3, 1000),
    ("RMSprop", 1e-3, 1000),
)
WIDE = (
    ("gradient descent", 0.03, 700),
    ("Adam", 1e-3, 200),
    ("sign descent", 1e-3, 200),
    ("RMSprop", 1e-3, 200),
)
SHAPES = {  # (depth, width) -> runs
    (16, 8): NARROW,
    (32, 8): tuple((name, h, 4000) for name, h, _ in NARROW)
    + (("gradient descent", 0.3, 1000),),
    (8, 8): WIDE,
    (16, 16): WIDE,
    (32, 32): WIDE,
}
DEPTH, WIDTH = 32, 8
PLAIN, PLAIN_TANH = "plain", "plain tanh"
RESIDUAL = {"kind": "residual", "initialiser": "lecun", "residual_scale": 1.0}
ARCHITECTURES = {
    PLAIN: {},
    PLAIN_TANH: {"activation": "tanh", "initialiser": "lecun"},
    "residual": RESIDUAL | {"hidden_scale": DEPTH**-0.5},
    "layer norm": {"kind": "normalised", "normalisation": "layer"},
    "batch norm": {"kind": "normalised", "normalisation": "batch"},
    "batch norm, residual": {"kind": "residual", "normalisation": "batch"},
}
STEP_SIZES = (0.1, 0.03, 0.01, 0.003)  # of descent, the best of which is told
ARCHITECTURE_STEPS = 500
DIGITS_SHAPE, DIGITS_DATA, NUM_PICTURES = (24, 16), 256, 1024
DIGITS_RUNS = (
    ("gradient descent", 0.1, 2000),
    ("momentum 0.9", 0.01, 2000),
    ("normalised descent", 0.1, 2000),
    ("Adam", 1e-3, 2000),
)
EXPECTED = Path(__file__).parent / "expected" / "escape_networks.json"


def problem(width: int) -> px.Problem:
    """Targets tanh(1.5 x_1) + x_2/2 of normal inputs, as many as units in a layer."""
    x = jax.random.normal(jax.random.key(0), (NUM_DATA, width))
    return px.Problem(x, jnp.tanh(1.5 * x[:, 0]) + 0.5 * x[:, 1])


def level(data: px.Problem) -> float:
    """Half of the loss of the output 0."""
    return float(SHARE * 0.5 * jnp.mean(data.y**2))


def starts(
    depth: int, width: int, lanes: int, in_dim=None, out_dim=None, **options
) -> px.MLP:
    """Networks without biases, a lane each: linear map, hidden layers, linear map."""
    how = {"initialiser": "he", "embedding": "lecun", "last_layer": "lecun"} | options

    def one(lane):
        network = px.networks.mlp(
            jax.random.fold_in(jax.random.key(depth), lane),
            widths=(width,) * depth,
            in_dim=in_dim or width,
            out_dim=out_dim,
            **how,
        )
        return eqx.tree_at(lambda net: net.biases, network, None)

    return eqx.filter_jit(jax.vmap(one))(jnp.arange(lanes))


@eqx.filter_jit
def train(data: px.Problem, networks: px.MLP, name: str, step_size, num_steps: int):
    """All lanes by one optimizer, every loss kept, against steps."""
    one = lambda network: px.descend(
        data,
        network,
        OPTIMIZERS[name](step_size),
        num_steps=num_steps,
        save=px.every(1),
        watch=False,
    )
    return in_steps(jax.vmap(one)(networks))


def run(data, networks, name: str, step_size: float, num_steps: int) -> px.Trajectory:
    """The same with a traced step size: one program serves all."""
    return train(data, networks, name, jnp.asarray(step_size), num_steps)


def label(name: str, step_size: float) -> str:
    """Optimizer and step size."""
    return f"{name} {step_size:g}"


def tell(made: dict, name: str, found) -> None:
    """Keep and print one row."""
    made[name] = row(found)
    print(line(name, made[name]), flush=True)


def part_widths(lanes: int, shapes=SHAPES, shorter: int = 1) -> tuple[dict, dict]:
    """Every optimizer for every shape: numbers, and escape times for the figure."""
    made, seen = {}, {}
    for (depth, width), runs in shapes.items():
        data, networks = problem(width), starts(depth, width, lanes)
        for name, step_size, num_steps in runs:
            trained = run(data, networks, name, step_size, num_steps // shorter)
            found = px.stages.escape(trained, data, criterion="loss", level=level(data))
            how = label(name, step_size)
            tell(made, f"L = {depth}, d = {width}: {how}", found)
            seen.setdefault((depth, width), {})[how] = found
    return made, seen


def part_architectures(
    lanes: int, names=tuple(ARCHITECTURES), num_steps: int = ARCHITECTURE_STEPS
) -> tuple[dict, dict]:
    """Descent of the best step size, and Adam: numbers, and runs for the figure."""
    made, seen, data = {}, {}, problem(WIDTH)
    for name in names:
        networks = starts(DEPTH, WIDTH, lanes, **ARCHITECTURES[name])
        plans = [("gradient descent", h) for h in STEP_SIZES] + [("Adam", 1e-3)]
        for optimizer, step_size in plans:
            trained = run(data, networks, optimizer, step_size, num_steps)
            found = px.stages.escape(trained, data, criterion="loss", level=level(data))
            key = f"{name}: {label(optimizer, step_size)}"
            tell(made, key, found)
            seen[key] = trained
    return made, seen


def best_step_size(made: dict, name: str) -> float:
    """Of descent: most lanes left, and then the shortest median."""
    rows = {h: made[f"{name}: {label('gradient descent', h)}"] for h in STEP_SIZES}
    return max(rows, key=lambda h: (rows[h]["escaped"][0], -rows[h]["median"][0]))


def images(path: Path, arrays: tuple[str, str], num_data: int) -> px.Problem:
    """Pictures of a NumPy archive, one row of pixels each, in the units of the digits.

    Pixels have mean 0 and standard deviation 1 over the data used, constant ones are 0.
    """
    with np.load(path) as archive:
        x, labels = (archive[name] for name in arrays)
    rows = np.random.default_rng(0).permutation(len(x))[:num_data]
    x = x[rows].reshape(len(rows), -1).astype(float)
    classes, places = np.unique(labels, return_inverse=True)
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    y = np.eye(len(classes))[np.ravel(places)[rows]]
    return px.Problem(x, y, loss="cross_entropy", name=Path(path).stem)


def pictures(args: argparse.Namespace) -> px.Problem:
    """The bundled digits, or the user's file."""
    if args.file is None:
        return px.problems.digits(num_data=DIGITS_DATA)
    return images(args.file, args.arrays, NUM_PICTURES)


def part_digits(
    lanes: int, data: px.Problem, runs=DIGITS_RUNS, shorter: int = 1, shape=DIGITS_SHAPE
) -> tuple[dict, dict]:
    """A narrow deep network on pictures: numbers, and runs for the figure."""
    made, seen = {}, {}
    sizes = {"in_dim": data.x.shape[1], "out_dim": data.out_dim}
    networks = starts(*shape, lanes, **sizes)
    for name, step_size, num_steps in runs:
        trained = run(data, networks, name, step_size, num_steps // shorter)
        found = px.stages.escape(trained, data, criterion="share", level=SHARE)
        how = label(name, step_size)
        tell(made, f"{data.name}: {how}", found)
        seen[how] = trained, found
    return made, seen


def draw_widths(seen: dict, path: Path, shapes=((32, 8), (32, 32))) -> None:
    """Survival of the plateau by optimizer, the narrow and the wide network."""
    import matplotlib.pyplot as plt

    layout = {"layout": "constrained", "sharex": True, "sharey": True}
    fig, axes = plt.subplots(1, len(shapes), figsize=(13, 5), **layout)
    for ax, (depth, width) in zip(axes, shapes, strict=True):
        curves = {
            how: px.statistics.escape_summary(found).survival
            for how, found in seen[depth, width].items()
        }
        px.plot.survival_curves(curves, ax=ax, time_unit="step", colors=colors(curves))
        ax.set_title(f"{depth} layers, width {width}")
        ax.legend(fontsize="small", loc="lower left")
    axes[0].set(xscale="log", xlim=(3, None), ylabel="share still on the plateau")
    axes[1].set_ylabel("")
    save(fig, path)


def draw_bands(ax, trained: dict) -> None:
    """Quartiles of the loss over lanes, an optimizer each."""
    probabilities = (0.25, 0.5, 0.75)
    for (how, one), color in zip(trained.items(), colors(trained), strict=True):
        band = px.statistics.quantile_band(np.asarray(one.losses), probabilities)
        options = {"label": how, "color": color, "legend": False, "ax": ax}
        at = np.asarray(one.steps[0], float)
        px.plot.ensemble_band(at, band, probabilities, time_unit="step", **options)


def draw_architectures(made: dict, seen: dict, path: Path) -> None:
    """Losses by architecture: descent of the best step size, and Adam."""
    import matplotlib.pyplot as plt

    layout = {"layout": "constrained", "sharex": True, "sharey": True}
    fig, axes = plt.subplots(2, 3, figsize=(14, 8), **layout)
    for ax, name in zip(axes.flat, ARCHITECTURES, strict=True):
        best = label("gradient descent", best_step_size(made, name))
        draw_bands(ax, {how: seen[f"{name}: {how}"] for how in (best, "Adam 0.001")})
        ax.axhline(level(problem(WIDTH)), color="0.5", linestyle=":")
        ax.set(title=name, xlim=(1, None), ylim=(1e-4, 3))
        few_names(ax)
        ax.label_outer()
    save(fig, path)


def draw_digits(seen: dict, path: Path) -> None:
    """Survival of the plateau and losses, by optimizer."""
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
    curves = {
        how: px.statistics.escape_summary(found).survival
        for how, (_, found) in seen.items()
    }
    px.plot.survival_curves(curves, ax=left, time_unit="step", colors=colors(curves))
    left.set(ylabel="share above half of the initial loss", xlim=(3, None))
    left.legend(fontsize="small", loc="lower left")
    draw_bands(right, {how: one for how, (one, _) in seen.items()})
    right.set(xlim=(1, None), ylim=(1e-2, 4))
    few_names(right)
    save(fig, path)


def colors(names) -> list[str]:
    """A colour an optimizer, the same in all figures."""
    kinds = {name: f"C{i}" for i, name in enumerate(OPTIMIZERS)}
    return [kinds[name.rsplit(" ", 1)[0]] for name in names]


def few_names(ax) -> None:
    """A legend of the medians alone: bands and intervals have their colours."""
    handles, names = ax.get_legend_handles_labels()
    kept = {
        name.removesuffix(", median"): handle
        for handle, name in zip(handles, names, strict=True)
        if name.endswith(", median")
    }
    ax.legend(kept.values(), kept.keys(), fontsize="small", loc="lower left")


def save(fig, path: Path) -> None:
    """Write and close a figure."""
    import matplotlib.pyplot as plt

    fig.savefig(path, dpi=130)
    plt.close(fig)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all if none")
    parser.add_argument("--smoke", action="store_true", help="4 lanes, few steps")
    parser.add_argument("--lanes", type=int, default=32)
    parser.add_argument("--file", type=Path, help="pictures for the digits, .npz")
    parser.add_argument("--arrays", nargs=2, default=("x", "y"), help="their names")
    parser.add_argument("--out", type=Path, default=Path("runs/escape_networks"))
    args = parser.parse_args()
    unknown = set(args.parts) - set(PARTS)
    if unknown:
        parser.error(f"parts must be of {', '.join(PARTS)}, but are {sorted(unknown)}")
    return args


def main() -> None:
    """Run, compare, draw."""
    args = arguments()
    jax.config.update("jax_enable_x64", True)
    began, parts, smoke = time.perf_counter(), args.parts or PARTS, args.smoke
    lanes = 4 if smoke else args.lanes
    args.out.mkdir(parents=True, exist_ok=True)
    made: dict = {}
    if "widths" in parts:
        few = {"shapes": {(8, 8): WIDE}, "shorter": 10} if smoke else {}
        rows, seen = part_widths(lanes, **few)
        made |= rows
        if not smoke:
            draw_widths(seen, args.out / "widths.png")
    if "architectures" in parts:
        few = {"names": ("residual",), "num_steps": 20} if smoke else {}
        rows, seen = part_architectures(lanes, **few)
        made |= rows
        if not smoke:
            draw_architectures(rows, seen, args.out / "architectures.png")
    if "digits" in parts:
        few = {"shorter": 20, "shape": (4, 16)} if smoke else {}
        rows, seen = part_digits(max(lanes // 2, 1), pictures(args), **few)
        made |= rows
        draw_digits(seen, args.out / "digits.png")
    (args.out / "numbers.json").write_text(json.dumps(made, indent=1) + "\n")
    if EXPECTED.exists() and not smoke:
        wrong = disagreements(made, json.loads(EXPECTED.read_text()))
        print("disagrees: " + "; ".join(wrong) if wrong else "as expected")
    print(f"{time.perf_counter() - began:.0f} s, results in {args.out}")


if __name__ == "__main__":
    main()
