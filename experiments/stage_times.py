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

    python experiments/stage_times.py [initial secondary sign] [--lanes 256]
        [--widths 16 64 256] [--out FOLDER]
"""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import plateaux as px

SPEC = Path(__file__).parent / "stage_times.toml"
ALPHAS = (1.0, 1.5)
TOGETHER = 32  # lanes of a batch
TANH = px.networks.activation("tanh")
NETWORK = {"network": lambda problem, network: network}


def median_interval(values) -> list[float]:
    """Median and its 95 % interval by order statistics."""
    band = px.statistics.quantile_band(np.asarray(values)[:, None], [0.5])
    return [float(np.ravel(part)[0]) for part in (band.estimate, band.low, band.high)]


# --- the initial plateau --------------------------------------------------------------


def initial(out: Path, lanes: int) -> dict:
    """t10 over widths and initial sizes, and its slope in log n."""
    spec = px.sweeps.read_spec(SPEC)
    entries = spec.to_dict()
    entries["sweep"] |= {"lanes": lanes, "chunk": min(lanes, entries["sweep"]["chunk"])}
    data = px.sweep(px.sweeps.SweepSpec.from_dict(entries), out / "initial")
    problem = px.problems.sine_and_square()
    rate = px.dynamics.reduced.small_weights(problem, TANH).rate
    linear_loss = px.dynamics.reduced.affine_fit(problem).loss
    crossing = jax.vmap(px.stages.first_below, in_axes=(None, 0, 0))
    of_point = lambda name, dtype: data[name].values.astype(dtype)
    alphas, scales = (of_point(f"initialiser.{v}", float) for v in ("alpha", "scale"))
    points = zip(alphas, scales, of_point("network.width", int), strict=True)
    rows, slopes = [], {}
    for i, (alpha, scale, width) in enumerate(points):
        losses = jnp.asarray(data["loss"].values[i])
        level = losses[:, 0] - 0.1 * (losses[:, 0] - linear_loss)
        t10 = crossing(jnp.asarray(data["times"].values[i]), losses, level)
        # of white inputs, from the mean of u_0
        mean_size = jnp.asarray(scale**2 * width ** (1 - 2 * alpha) / 2)
        law = px.dynamics.reduced.LogisticLaw(rate, rate, mean_size)
        predicted = law.descent_time(0.1)
        median = median_interval(t10)
        rows.append([alpha, scale, int(width), *median, float(predicted)])
    for alpha, scale in sorted(set(zip(alphas, scales, strict=True))):
        of = np.array([row for row in rows if row[:2] == [alpha, scale]])
        slope = np.polyfit(np.log(of[:, 2]), of[:, 3], 1)[0]
        law = (2 * alpha - 1) / (2 * rate)
        slopes[f"α = {alpha:g}, s = {scale:g}"] = [float(slope), float(law)]
    return {"t10": rows, "slope_and_prediction": slopes}


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
            lanes=TOGETHER,
            max_steps=100_000,
            method="explicit",
        )
        parts.append(px.stages.multistage(runs, problem))
    return jax.tree.map(lambda *rows: np.concatenate(rows), *parts)


def secondary(lanes: int, widths) -> dict:
    """Lengths of the secondary plateau over widths, beside the laws."""
    problem = px.problems.hyperbolic_tangent()
    drive = px.dynamics.reduced.cubic_drive(problem, TANH).rate
    slope = px.dynamics.reduced.affine_fit(problem).coefficients[0]
    rows = []
    for alpha in ALPHAS:
        for width in widths:
            found = stages_of(problem, starts(width, alpha, lanes), 400.0 + 4 * width)
            law = found.predicted_exit - found.entry
            reached = np.isfinite(found.entry)
            size = jnp.sqrt(slope * _largest_share(width))
            rows.append(
                {
                    "alpha": alpha,
                    "width": int(width),
                    "length": median_interval(found.duration[reached]),
                    "over_law_of_run": median_interval((found.duration / law)[reached]),
                    "law": float(px.dynamics.reduced.blow_up_time(drive, size, size)),
                    "left": int(np.sum(np.isfinite(found.exit))),
                    "lanes": lanes,
                }
            )
            print(json.dumps(rows[-1]))
    return {"lengths": rows, "exponent": _exponents(rows)}


def _largest_share(width: int, draws: int = 4000) -> float:
    """Median of max_k g_k²/Σ g² of Gaussian g: the largest neuron's share."""
    g = np.random.default_rng(0).normal(size=(draws, width)) ** 2
    return float(np.median(g.max(axis=1) / g.sum(axis=1)))


def _exponents(rows) -> dict:
    """Slopes of log length and of the log law in log width."""
    fit = lambda of, values: float(
        np.polyfit(np.log([row["width"] for row in of]), np.log(values), 1)[0]
    )
    found = {}
    for alpha in ALPHAS:
        of = [row for row in rows if row["alpha"] == alpha]
        if len(of) > 1:
            lengths, laws = [r["length"][0] for r in of], [r["law"] for r in of]
            found[str(alpha)] = [fit(of, lengths), fit(of, laws)]
    return found


def sign(lanes: int) -> dict:
    """Who has left the secondary plateau by time 2000, for either sign of the drive."""
    found = {}
    for name in ("hyperbolic_tangent", "odd_cubic"):
        problem = getattr(px.problems, name)()
        for width in (16, 64):
            stages = stages_of(problem, starts(width, 1.0, lanes), 2000.0)
            ends = {
                one.name: int(np.sum(stages.escape == one)) for one in px.stages.Escape
            }
            found[f"{name}, {width} neurons"] = ends
            print(f"{name}, {width} neurons: {ends}")
    return found


def draw(found: dict, path: Path) -> None:
    """Times over widths with their laws, one panel for each plateau that was timed."""
    import matplotlib.pyplot as plt

    panels = {"initial": _draw_initial, "secondary": _draw_secondary}
    panels = {name: panel for name, panel in panels.items() if name in found}
    if not panels:
        return
    size = {"figsize": (5 * len(panels), 4.2), "layout": "constrained"}
    fig, axes = plt.subplots(1, len(panels), squeeze=False, **size)
    for ax, (name, panel) in zip(axes[0], panels.items(), strict=True):
        panel(ax, found[name])
        ax.legend(fontsize="small", loc="upper left", ncols=2)
    fig.savefig(path, dpi=130)


def _draw_initial(ax, found: dict) -> None:
    rows = found["t10"]
    for alpha, scale in sorted({tuple(row[:2]) for row in rows}):
        of = np.array([row for row in rows if row[:2] == [alpha, scale]])
        error = [of[:, 3] - of[:, 4], of[:, 5] - of[:, 3]]
        name = f"α = {alpha:g}, s = {scale:g}"
        marker = "o" if scale == 1 else "s"
        dots = ax.errorbar(of[:, 2], of[:, 3], error, fmt=marker, label=name)
        # Where the start is not small the law has no time above 0.
        law = np.where(of[:, 6] > 0, of[:, 6], np.nan)
        ax.plot(of[:, 2], law, color=dots[0].get_color(), linewidth=1)
    ax.set(xscale="log", xlabel="neurons n", ylabel="end of the initial plateau (time)")
    ax.set_ylim(0, 1.4 * max(row[3] for row in rows))
    ax.set_title("weights of size s n^−α; lines: logistic law", fontsize="medium")


def _draw_secondary(ax, found: dict) -> None:
    for i, alpha in enumerate(ALPHAS):
        of = [row for row in found["lengths"] if row["alpha"] == alpha]
        widths = np.array([row["width"] for row in of])
        length = np.array([row["length"] for row in of])
        error = [length[:, 0] - length[:, 1], length[:, 2] - length[:, 0]]
        # Side by side: the lengths of both are the same.
        at, name = widths * 1.06**i, f"α = {alpha:g}"
        ax.errorbar(at, length[:, 0], error, fmt="os"[i], label=name)
        law = [row["law"] for row in of]
        ax.plot(widths, law, color="black", linewidth=1, label=None if i else "law")
    ax.set(xscale="log", yscale="log", xlabel="neurons n")
    ax.set_ylabel("length of the secondary plateau (time)")
    ax.set_title("law: blow-up of the largest Gaussian neuron", fontsize="medium")


def main() -> None:
    """Run the parts asked for, print, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=["initial", "secondary", "sign"])
    parser.add_argument("--lanes", type=int, default=256)
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--out", type=Path, default=Path("runs/stage_times"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "stage_times.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    for part in args.parts:
        found[part] = {
            "initial": lambda: initial(args.out, args.lanes),
            "secondary": lambda: secondary(args.lanes, args.widths),
            "sign": lambda: sign(args.lanes),
        }[part]()
        print(part, json.dumps(found[part], indent=1))
        file.write_text(json.dumps(found, indent=1) + "\n")
    draw(found, args.out / "stage_times.png")
    print(f"figure and numbers: {args.out}")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
