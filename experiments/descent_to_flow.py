"""How fast descent approaches the flow as its step size vanishes, and where not.

Ten ReLU neurons learn sin 2πx on twenty points, from starts of several sizes (all
weights of the recipe times the scale), by the exact flow and by descent with step sizes
h = 8 to 2⁻¹⁰, to flow time 16. Printed for every scale: the median relative distance
of the last parameters for every h; the order, the slope of log distance in log h over
h ≤ 2⁻⁷; and the h at which descent leaves the flow (median distance 0.5), next to
2/λ_max, the edge of stability, with the largest curvature along the flow.

    python experiments/descent_to_flow.py [--smoke] [--out FOLDER]
"""

from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from drawing import COLORS, save

import plateaux as px
from plateaux.experiments import main

NEURONS = 10
SMALL = 2.0**-7  # up to it the order is fitted
FAR = 0.5  # relative distance that counts as having left the flow
KEEP = {"network": lambda problem, network: network}


@dataclass(frozen=True)
class Config:
    """Which starts, for how long, by which steps.

    Attributes:
        lanes: Starts of every size.
        scales: Sizes of the starts.
        end: Flow time.
        step_sizes: Of descent, falling; two at least are to be at most 2⁻⁷.
        data: Points of sin 2πx on [−1, 1].
        rtol: Tolerance of the flow.
    """

    lanes: int = 64
    scales: tuple[float, ...] = (0.3, 1.0, 3.0)
    end: float = 16.0
    step_sizes: tuple[float, ...] = tuple(2.0**-k for k in range(-3, 11))
    data: int = 20
    rtol: float = 1e-10


SMOKE = Config(
    lanes=4, scales=(1.0,), end=8.0, step_sizes=(4.0, 1.0, 2.0**-3, 2.0**-8, 2.0**-10)
)


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


def distances(problem, networks, flows, step_size: float, end: float) -> np.ndarray:
    """Relative distance of descent's last parameters from the flow's; inf: diverged."""
    train = lambda network: px.descend(
        problem,
        network,
        px.gradient_descent(step_size),
        num_steps=round(end / step_size),
        save=px.every(round(end / step_size)),
        watch=False,
    )
    runs = jax.jit(jax.vmap(train))(networks)
    ours, theirs = vectors(flows.network), vectors(runs.network)
    gap = np.linalg.norm(theirs - ours, axis=1) / np.linalg.norm(ours, axis=1)
    return np.where(np.asarray(runs.outcome == px.Outcome.completed), gap, np.inf)


def orders(table: np.ndarray, step_sizes) -> np.ndarray:
    """Slope of log distance in log h over small h, of every lane."""
    h = np.asarray(step_sizes)
    small = h <= SMALL
    return np.polyfit(np.log(h[small]), np.log(table[small]), 1)[0]


def study(config: Config, scale: float) -> dict:
    """Distances by step size and lane, and the curvature, for one scale."""
    x = np.linspace(-1, 1, config.data)[:, None]
    problem = px.Problem(x, np.sin(2 * np.pi * x[:, 0]))
    networks = starts(config.lanes, scale)
    times = px.at(np.linspace(0, config.end, 33))
    flows = px.flow_many(
        problem, networks, t1=config.end, rtol=config.rtol, save=times, record=KEEP
    )
    assert bool(jnp.all(flows.outcome == px.Outcome.completed))
    from_flow = lambda h: distances(problem, networks, flows, h, config.end)
    return {
        "distance": np.stack([from_flow(h) for h in config.step_sizes]),
        "curvature": largest_curvature(problem, flows),
        "clean": np.asarray(flows.stats.num_ambiguous == 0),
    }


def leaves_at(table: np.ndarray, step_sizes) -> float:
    """The step size at which the median distance passes FAR, on logarithmic axes."""
    median = np.median(table, axis=1)
    far = np.flatnonzero(median > FAR)
    if not len(far) or far[-1] + 1 == len(step_sizes):
        return np.nan
    k = far[-1]
    high = min(median[k], 1e3)
    share = np.log(FAR / median[k + 1]) / np.log(high / median[k + 1])
    return step_sizes[k + 1] * (step_sizes[k] / step_sizes[k + 1]) ** share


def numbers(result: dict, step_sizes) -> dict[str, float]:
    """What is claimed of one scale."""
    table = result["distance"]
    order = orders(table, step_sizes)[result["clean"]]
    return {
        "order": np.median(order),
        "within 0.1 of order 1": np.mean(np.abs(order - 1) < 0.1),
        "edge of stability": 2 / np.median(result["curvature"]),
        "leaves the flow at": leaves_at(table, step_sizes),
    }


def draw(results: dict, step_sizes, end: float, path: Path) -> None:
    """Distance against step size, one colour a scale, the edges of stability dashed."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for color, scale in zip(COLORS, results, strict=False):
        table = results[scale]["distance"]
        middle = np.median(table, axis=1)
        shown = np.isfinite(middle)
        h = np.asarray(step_sizes)[shown]
        low, high = np.quantile(table[shown], [0.25, 0.75], axis=1)
        ax.plot(h, middle[shown], "o-", ms=4, color=color, label=f"scale {scale:g}")
        ax.fill_between(
            h, low, np.where(np.isfinite(high), high, 1e3), color=color, alpha=0.2
        )
        edge = 2 / np.median(results[scale]["curvature"])
        ax.axvline(edge, color=color, linestyle="--", linewidth=1)
    guide = np.array([step_sizes[-1], 2.0**-6])
    ax.plot(guide, 3e-4 * guide / guide[0], color="black", linewidth=0.8)
    ax.text(guide[0], 6e-4, "slope 1", fontsize=9, va="bottom", rotation=26)
    ax.plot([], [], "--", color="grey", linewidth=1, label="2/λ_max of the scale")
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="step size h (flow time)",
        ylabel=f"relative distance from the flow at time {end:g}",
        ylim=(1e-5, 30),
    )
    ax.legend(frameon=False)
    save(fig, path)


def tell(scale: float, result: dict, found: dict[str, float], step_sizes) -> None:
    """One scale in words, then the median distance of every step size."""
    print(
        f"scale {scale:g}: 2/λ_max {found['edge of stability']:.3f}, leaves the flow "
        f"at h = {found['leaves the flow at']:.2g}; order {found['order']:.3f}, "
        f"within 0.1 of 1: {found['within 0.1 of order 1']:.0%}"
    )
    for h, row in zip(step_sizes, result["distance"], strict=True):
        failed = np.mean(~np.isfinite(row))
        print(f"  h {h:.5f}  {np.median(row):.2e}  diverged {failed:.0%}")


def run(config: Config, out: Path) -> dict:
    """Run all scales, print the table, draw it."""
    results, found = {}, {}
    for scale in config.scales:
        results[scale] = study(config, scale)
        found[f"scale {scale:g}"] = numbers(results[scale], config.step_sizes)
        tell(scale, results[scale], found[f"scale {scale:g}"], config.step_sizes)
    draw(results, config.step_sizes, config.end, out / "descent_to_flow.png")
    return found


if __name__ == "__main__":
    main(__file__, run, SMOKE)
