"""How long the two plateaus of small weights last, over widths and initial sizes.

`initial`: the sweep of stage_times.toml (widths, exponents α and factors s of the
initial size s n^{−α}, 256 starts each): the time at which a tenth of the descent to the
best affine predictor is done, t10, and its slope in log n next to the predicted
(2α − 1)/(2λ).

`secondary`: tanh networks without bias on y = tanh 2x, all of whose neurons condense
along one direction; the length of the plateau at the best affine predictor next to two
laws: entry to blow-up of the fastest neuron of each run, 0.634/(|μ| max w²), and its
median over starts, known before any run from the order statistics of Gaussian weights.

`sign`: the same networks on 0.3 x + 0.1 x³, whose cubic drive has the other sign: who
has left the plateau by time 2000.

    python experiments/stage_times.py [--parts initial secondary sign] [--smoke]
        [--out FOLDER]
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from drawing import COLORS, save, size_axis

import plateaux as px
from plateaux.experiments import main

Part = Literal["initial", "secondary", "sign"]
SPEC = Path(__file__).parent / "stage_times.toml"
TOGETHER = 32  # lanes of a batch
NETWORK = {"network": lambda problem, network: network}


@dataclass(frozen=True)
class Config:
    """Three parts; see above.

    Attributes:
        parts: Which of them.
        lanes: Starts of every width and size.
        initial_widths: Neurons n for the initial plateau; those of stage_times.toml
            if empty.
        widths: Neurons for the secondary plateau.
        alphas: Exponents of the size n^−α for the secondary plateau.
        sign_widths: Neurons for either sign of the drive.
        sign_horizon: Flow time for these.
    """

    parts: tuple[Part, ...] = get_args(Part)
    lanes: int = 256
    initial_widths: tuple[int, ...] = ()
    widths: tuple[int, ...] = (16, 64, 256)
    alphas: tuple[float, ...] = (1.0, 1.5)
    sign_widths: tuple[int, ...] = (16, 64)
    sign_horizon: float = 2000.0


SMOKE = Config(
    lanes=4,
    initial_widths=(32,),
    widths=(16,),
    alphas=(1.5,),
    sign_widths=(16,),
    sign_horizon=464.0,
)


def tanh() -> px.networks.Activation:
    """The activation of all networks here."""
    return px.networks.activation("tanh")


def median_interval(values) -> list[float]:
    """Median and its 95 % interval by order statistics."""
    band = px.statistics.quantile_band(np.asarray(values)[:, None], [0.5])
    return [float(np.ravel(part)[0]) for part in (band.estimate, band.low, band.high)]


# --- the initial plateau --------------------------------------------------------------


def specification(config: Config) -> px.sweeps.SweepSpec:
    """That of stage_times.toml, with lanes and widths of the configuration."""
    entries = px.sweeps.read_spec(SPEC).to_dict()
    chunk = min(config.lanes, entries["sweep"]["chunk"])
    entries["sweep"] |= {"lanes": config.lanes, "chunk": chunk}
    if config.initial_widths:
        entries["network"] |= {"width": list(config.initial_widths)}
    return px.sweeps.SweepSpec.from_dict(entries)


def initial(config: Config) -> dict:
    """t10 over widths and initial sizes next to the law, and slopes in log n."""
    spec = specification(config)
    data, rows = px.sweep(spec), {}
    problem = px.problems.sine_and_square()
    rate = px.dynamics.reduced.small_weights(problem, tanh()).rate
    linear_loss = px.dynamics.reduced.affine_fit(problem).loss
    crossing = jax.vmap(px.stages.first_below, in_axes=(None, 0, 0))
    for point in px.sweeps.grid(spec):
        start, i = point.settings["initialiser"], point.index
        alpha, scale = start["alpha"], start["scale"]
        width = point.settings["network"]["width"]
        losses = jnp.asarray(data["loss"].values[i])
        level = losses[:, 0] - 0.1 * (losses[:, 0] - linear_loss)
        t10 = crossing(jnp.asarray(data["times"].values[i]), losses, level)
        # of white inputs, from the mean of u_0
        mean_size = jnp.asarray(scale**2 * width ** (1 - 2 * alpha) / 2)
        law = px.dynamics.reduced.LogisticLaw(rate, rate, mean_size)
        row = {"t10": median_interval(t10), "law": float(law.descent_time(0.1))}
        rows.setdefault(f"α = {alpha:g}, s = {scale:g}", {})[f"n = {width}"] = row
    for name, of in rows.items():
        alpha = float(name.split(",")[0].removeprefix("α = "))
        if len(of) > 1:
            of["slope"] = slope(of, "t10")
        of["slope, law"] = (2 * alpha - 1) / (2 * float(rate))
        print(f"{name}: {of}", flush=True)
    return rows


def columns(of: dict, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Widths n of the rows "n = …", and a number or an interval of each."""
    rows = {name: row for name, row in of.items() if name.startswith("n = ")}
    widths = np.array([float(name.removeprefix("n = ")) for name in rows])
    return widths, np.array([row[key] for row in rows.values()])


def slope(of: dict, key: str, log: bool = False) -> float:
    """Slope of a time, or of its logarithm, in log n."""
    widths, values = columns(of, key)
    times = values if values.ndim == 1 else values[:, 0]
    return float(np.polyfit(np.log(widths), np.log(times) if log else times, 1)[0])


# --- the secondary plateau ------------------------------------------------------------


def starts(width: int, alpha: float, lanes: int) -> px.TwoLayer:
    """Small tanh networks without bias."""
    draw = lambda i: px.networks.small(
        jax.random.fold_in(jax.random.key(0), i),
        width=width,
        in_dim=1,
        alpha=alpha,
        activation="tanh",
        bias="zero",
    )
    return jax.vmap(draw)(jnp.arange(lanes))


def stages_of(problem, networks, t1: float) -> px.stages.Multistage:
    """Stages of all lanes, in parts whose networks fit into the memory."""
    total = networks.b.shape[0]
    parts = []
    for at in range(0, total, TOGETHER):
        some = jax.tree.map(lambda a, at=at: a[at : at + TOGETHER], networks)
        runs = px.flow_many(
            problem,
            some,
            t1=t1,
            rtol=1e-6,
            save=px.log_spaced(300),
            record=NETWORK,
            lanes=min(TOGETHER, total),
            max_steps=100_000,
            method="explicit",
        )
        parts.append(px.stages.multistage(runs, problem))
    return jax.tree.map(lambda *rows: np.concatenate(rows), *parts)


def secondary(config: Config) -> dict:
    """Lengths of the secondary plateau over widths, beside the laws."""
    problem, rows = px.problems.hyperbolic_tangent(), {}
    for alpha in config.alphas:
        of: dict = {
            f"n = {width}": length_row(problem, width, alpha, config.lanes)
            for width in config.widths
        }
        if len(config.widths) > 1:
            of["exponent"] = slope(of, "length", log=True)
            of["exponent, law"] = slope(of, "law", log=True)
        rows[f"α = {alpha:g}"] = of
    return rows


def length_row(problem, width: int, alpha: float, lanes: int) -> dict:
    """Length of the secondary plateau for one width, beside the laws."""
    found = stages_of(problem, starts(width, alpha, lanes), 400.0 + 4 * width)
    drive = px.dynamics.reduced.cubic_drive(problem, tanh()).rate
    linear = px.dynamics.reduced.affine_fit(problem).coefficients[0]
    law = found.predicted_exit - found.entry
    reached = np.isfinite(found.entry)
    size = jnp.sqrt(linear * _largest_share(width))
    row = {
        "length": median_interval(found.duration[reached]),
        "over law of run": median_interval((found.duration / law)[reached]),
        "law": float(px.dynamics.reduced.blow_up_time(drive, size, size)),
        "left": int(np.sum(np.isfinite(found.exit))),
    }
    print(f"α = {alpha:g}, n = {width}: {row}", flush=True)
    return row


def _largest_share(width: int, draws: int = 4000) -> float:
    """Median of max_k g_k²/Σ g² of Gaussian g: the largest neuron's share."""
    g = np.random.default_rng(0).normal(size=(draws, width)) ** 2
    return float(np.median(g.max(axis=1) / g.sum(axis=1)))


def sign(config: Config) -> dict:
    """What became of the secondary plateau, for either sign of the drive."""
    found = {}
    for name in ("hyperbolic_tangent", "odd_cubic"):
        problem = getattr(px.problems, name)()
        for width in config.sign_widths:
            networks = starts(width, 1.0, config.lanes)
            stages = stages_of(problem, networks, config.sign_horizon)
            ends = {
                one.name: int(np.sum(stages.escape == one)) for one in px.stages.Escape
            }
            found[f"{name}, n = {width}"] = ends
            print(f"{name}, {width} neurons: {ends}", flush=True)
    return found


def draw(found: dict, path: Path) -> None:
    """Times over widths with their laws, one panel for each plateau that was timed."""
    import matplotlib.pyplot as plt

    panels = {"initial": _draw_initial, "secondary": _draw_secondary}
    panels = {name: panel for name, panel in panels.items() if name in found}
    if not panels:
        return
    size = {"figsize": (5.5 * len(panels), 4.6), "layout": "constrained"}
    fig, axes = plt.subplots(1, len(panels), squeeze=False, **size)
    for ax, (name, panel) in zip(axes[0], panels.items(), strict=True):
        panel(ax, found[name])
    save(fig, path)


def _draw_initial(ax, found: dict) -> None:
    """A colour an exponent, a marker a factor of the size."""
    exponents = sorted({name.split(",")[0] for name in found})
    for name, of in found.items():
        widths, t10 = columns(of, "t10")
        error = [t10[:, 0] - t10[:, 1], t10[:, 2] - t10[:, 0]]
        color = COLORS[exponents.index(name.split(",")[0])]
        style = {"fmt": "o" if name.endswith("s = 1") else "s", "color": color}
        ax.errorbar(widths, t10[:, 0], error, label=name, **style)
        # Where the start is not small the law has no time above 0.
        _, law = columns(of, "law")
        ax.plot(widths, np.where(law > 0, law, np.nan), color=color, linewidth=1)
    size_axis(ax, "neurons n", widths)
    ax.set_ylabel("end of the initial plateau (flow time)")
    ax.set_ylim(0, 1.5 * max(np.max(columns(of, "t10")[1]) for of in found.values()))
    ax.set_title(
        r"weights of size $s\,n^{-\alpha}$; lines: logistic law", fontsize="medium"
    )
    ax.legend(fontsize="small", loc="upper left", ncols=2)


def _draw_secondary(ax, found: dict) -> None:
    """A colour an exponent; the law has none."""
    for i, (name, of) in enumerate(found.items()):
        widths, length = columns(of, "length")
        error = [length[:, 0] - length[:, 1], length[:, 2] - length[:, 0]]
        # Side by side: the lengths of both are the same.
        style = {"fmt": "os"[i], "color": COLORS[i], "label": f"{name}, median"}
        ax.errorbar(widths * 1.06**i, length[:, 0], error, **style)
        law = columns(of, "law")[1]
        ax.plot(widths, law, color="black", linewidth=1, label=None if i else "law")
    size_axis(ax, "neurons n", widths)
    ax.set(yscale="log", ylabel="length of the secondary plateau (flow time)")
    ax.set_title("law: blow-up of the largest Gaussian neuron", fontsize="medium")
    ax.legend(fontsize="small", loc="upper left")


def run(config: Config, out: Path) -> dict:
    """Run the parts asked for, print, draw."""
    parts = {
        "initial": lambda: initial(config),
        "secondary": lambda: secondary(config),
        "sign": lambda: sign(config),
    }
    found = {name: parts[name]() for name in config.parts}
    draw(found, out / "stage_times.png")
    return found


if __name__ == "__main__":
    main(__file__, run, SMOKE)
