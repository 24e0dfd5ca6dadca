"""How fast descent approaches the flow as its step size vanishes, and where not.

Ten ReLU neurons learn sin 2πx on twenty points, from starts of several sizes (all
weights of the recipe times the scale), by the exact flow and by descent with step sizes
h = 8 to 2⁻¹⁰, to flow time 16. Printed for every scale: the median relative distance
of the last parameters for every h; the order, the slope of log distance in log h over
h ≤ 2⁻⁷; and the h at which descent leaves the flow (median distance 0.5), next to
2/λ_max, the edge of stability, with the largest curvature along the flow.

    python experiments/descent_to_flow.py [--lanes 64] [--out FOLDER]
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import plateaux as px

NEURONS, DATA, END = 10, 20, 16.0
SCALES = (0.3, 1.0, 3.0)
STEP_SIZES = tuple(2.0**-k for k in range(-3, 11))
SMALL = 2.0**-7  # below it the order is fitted
FAR = 0.5  # relative distance that counts as having left the flow
x = np.linspace(-1, 1, DATA)[:, None]
KEEP = {"network": lambda problem, network: network}


def starts(lanes: int, scale: float) -> px.TwoLayer:
    """NumPy seeds 0 to lanes − 1."""
    rows = []
    for seed in range(lanes):
        rng = np.random.default_rng(seed)
        w, b, c = (scale * rng.normal(size=NEURONS) for _ in range(3))
        rows.append(px.TwoLayer(w[:, None], 0.5 * b, c / np.sqrt(NEURONS)))
    return jax.tree.map(lambda *a: jnp.stack(a), *rows)


def vectors(networks) -> np.ndarray:
    """All parameters of every lane in one row."""
    leaves = [np.asarray(leaf) for leaf in (networks.w, networks.b, networks.c)]
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def largest_curvature(problem, runs) -> np.ndarray:
    """max_t λ_max(∇²L) along every flow."""
    top = lambda net: jnp.linalg.eigvalsh(px.dynamics.hessian(problem, net))[-1]
    values = jax.jit(jax.vmap(jax.vmap(top)))(runs.saved["network"])
    return np.asarray(values).max(axis=1)


def distances(problem, networks, flows, step_size: float) -> np.ndarray:
    """Relative distance of descent's last parameters from the flow's; inf: diverged."""
    train = lambda network: px.descend(
        problem,
        network,
        px.gradient_descent(step_size),
        num_steps=round(END / step_size),
        save=px.every(round(END / step_size)),
        watch=False,
    )
    runs = jax.jit(jax.vmap(train))(networks)
    ours, theirs = vectors(flows.network), vectors(runs.network)
    gap = np.linalg.norm(theirs - ours, axis=1) / np.linalg.norm(ours, axis=1)
    return np.where(np.asarray(runs.outcome == px.Outcome.completed), gap, np.inf)


def orders(table: np.ndarray) -> np.ndarray:
    """Slope of log distance in log h over small h, of every lane."""
    small = np.asarray(STEP_SIZES) <= SMALL
    return np.polyfit(np.log(np.asarray(STEP_SIZES)[small]), np.log(table[small]), 1)[0]


def study(lanes: int, scale: float) -> dict:
    """Distances by step size and lane, and the curvature, for one scale."""
    problem = px.Problem(x, np.sin(2 * np.pi * x[:, 0]))
    networks = starts(lanes, scale)
    times = px.at(np.linspace(0, END, 33))
    flows = px.flow_many(problem, networks, t1=END, rtol=1e-10, save=times, record=KEEP)
    assert bool(jnp.all(flows.outcome == px.Outcome.completed))
    table = np.stack([distances(problem, networks, flows, h) for h in STEP_SIZES])
    return {
        "distance": table,
        "curvature": largest_curvature(problem, flows),
        "clean": np.asarray(flows.stats.num_ambiguous == 0),
    }


def leaves_at(table: np.ndarray) -> float:
    """The step size at which the median distance passes FAR, on logarithmic axes."""
    median = np.median(table, axis=1)
    far = np.flatnonzero(median > FAR)
    if not len(far) or far[-1] + 1 == len(STEP_SIZES):
        return np.nan
    k = far[-1]
    high = min(median[k], 1e3)
    share = np.log(FAR / median[k + 1]) / np.log(high / median[k + 1])
    return STEP_SIZES[k + 1] * (STEP_SIZES[k] / STEP_SIZES[k + 1]) ** share


def draw(results: dict, path: Path) -> None:
    """Distance against step size, one colour a scale, the edges of stability dashed."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for color, scale in zip(("C0", "C1", "C2"), results, strict=True):
        table = results[scale]["distance"]
        middle = np.median(table, axis=1)
        shown = np.isfinite(middle)
        h = np.asarray(STEP_SIZES)[shown]
        low, high = np.quantile(table[shown], [0.25, 0.75], axis=1)
        ax.plot(h, middle[shown], "o-", ms=4, color=color, label=f"scale {scale:g}")
        ax.fill_between(
            h, low, np.where(np.isfinite(high), high, 1e3), color=color, alpha=0.2
        )
        edge = 2 / np.median(results[scale]["curvature"])
        ax.axvline(edge, color=color, linestyle="--", linewidth=1)
    guide = np.array([STEP_SIZES[-1], 2.0**-6])
    ax.plot(guide, 3e-4 * guide / guide[0], color="black", linewidth=0.8)
    ax.text(guide[0] * 1.3, 8e-4, "slope 1", fontsize=9)
    ax.plot([], [], "--", color="grey", linewidth=1, label="2/λ_max of the scale")
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="step size h",
        ylabel="relative distance from the flow at time 16",
        ylim=(1e-5, 30),
    )
    ax.legend(frameon=False)
    fig.savefig(path, dpi=130)


def main() -> None:
    """Run all scales, print the table, draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lanes", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path("runs/descent_to_flow"))
    args = parser.parse_args()
    results = {scale: study(args.lanes, scale) for scale in SCALES}
    for scale, result in results.items():
        table, clean = result["distance"], result["clean"]
        slope = orders(table)[clean]
        edge = 2 / np.median(result["curvature"])
        print(f"scale {scale:g}: 2/λ_max {edge:.3f}, leaves the flow at", end=" ")
        print(f"h = {leaves_at(table):.2g}; order {np.median(slope):.3f}", end=" ")
        first = np.mean(np.abs(slope - 1) < 0.1)
        print(f"(quartiles {np.quantile(slope, 0.25):.3f} to", end=" ")
        print(f"{np.quantile(slope, 0.75):.3f}; within 0.1 of 1: {first:.0%})")
        for h, row in zip(STEP_SIZES, table, strict=True):
            failed = np.mean(~np.isfinite(row))
            print(f"  h {h:.5f}  {np.median(row):.2e}  diverged {failed:.0%}")
    args.out.mkdir(parents=True, exist_ok=True)
    draw(results, args.out / "descent_to_flow.png")
    print(f"figure: {args.out / 'descent_to_flow.png'}")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
