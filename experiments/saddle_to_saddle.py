"""Deep linear networks learn singular modes one by one: from saddle to saddle.

White inputs, targets of rank 3. From a balanced start along the singular directions
the exact gradient flow must follow the closed law of each mode, for 2, 3 and 4 weight
matrices; from small random starts, which know nothing of these directions, the loss
still stands on the levels ½ Σ s² of the modes not yet learnt, strongest first.

    python experiments/saddle_to_saddle.py [--smoke] [--out FOLDER]
"""

import functools as ft
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from drawing import COLORS, save

import plateaux as px
from plateaux.experiments import main

SINGULAR = (4.0, 2.0, 1.0)
IN_DIM, WIDTH, NUM_DATA = 5, 6, 40
START = {2: 1e-20, 3: 1e-6, 4: 1e-5}  # u_0, the strength of every mode at the start
HORIZON = {2: 20.0, 3: 60.0, 4: 120.0}
SCALE = {2: 1e-10, 3: 0.03, 4: 0.1}  # of random starts, times LeCun's weights


@dataclass(frozen=True)
class Config:
    """Aligned and random starts of each depth.

    Attributes:
        depths: Numbers of weight matrices, of 2, 3 and 4.
        lanes: Random starts of each.
        saves: Saved times of a flow.
    """

    depths: tuple[int, ...] = (2, 3, 4)
    lanes: int = 32
    saves: int = 400


SMOKE = Config(depths=(2,), lanes=2)


def problem() -> px.Problem:
    """Inputs with E[xxᵀ] = I exactly, and y = Σ s_α p_α (q_α·x)."""
    rng = np.random.default_rng(0)
    orthogonal = lambda m, n: np.linalg.qr(rng.normal(size=(m, n)))[0]
    x = np.sqrt(NUM_DATA) * orthogonal(NUM_DATA, IN_DIM)
    left, right = (orthogonal(IN_DIM, len(SINGULAR)) for _ in range(2))
    return px.Problem(x, x @ (left * np.array(SINGULAR) @ right.T), name="three modes")


def aligned(modes, depth: int, strength: float) -> px.MLP:
    """W_l = w Σ_α r_{l,α} r_{l−1,α}ᵀ with w^L = u_0, from the q_α to the p_α."""
    rng = np.random.default_rng(1)
    inner = [
        np.linalg.qr(rng.normal(size=(WIDTH, len(SINGULAR))))[0]
        for _ in range(depth - 1)
    ]
    frames = [np.asarray(modes.right), *inner, np.asarray(modes.left)]
    size = strength ** (1 / depth)
    weights = [
        size * out @ into.T for into, out in zip(frames, frames[1:], strict=False)
    ]
    return px.MLP(weights[:-1], None, weights[-1], activation="identity")


def draw(depth: int, lanes: int) -> px.MLP:
    """Small random starts, a lane each."""

    def one(key):
        network = px.networks.mlp(
            key,
            widths=(WIDTH,) * (depth - 1),
            in_dim=IN_DIM,
            out_dim=IN_DIM,
            activation="identity",
            initialiser="lecun",
            scale=SCALE[depth],
        )
        return px.MLP(network.weights, None, network.readout, activation="identity")

    return jax.vmap(one)(jax.random.split(jax.random.key(depth), lanes))


def flow(data: px.Problem, network: px.MLP, depth: int, saves: int) -> px.Trajectory:
    """Exact gradient flow."""
    return px.flow(
        data,
        network,
        t1=4 * HORIZON[depth],
        rtol=1e-10,
        save=px.log_spaced(saves),
        max_steps=20_000,
    )


def levels() -> np.ndarray:
    """Losses ½ Σ s² with the first α modes learnt."""
    squares = np.square(SINGULAR) / 2
    return np.append(np.cumsum(squares[::-1])[::-1], 0.0)


def lawful(data: px.Problem, depth: int, saves: int) -> dict:
    """The flow from the aligned start next to the law."""
    modes = px.dynamics.reduced.linear_modes(data, depth=depth, start=START[depth])
    run = flow(data, aligned(modes, depth, START[depth]), depth, saves)
    law = modes.loss(run.times)
    return {
        "run": run,
        "law": np.asarray(law),
        "off": float(jnp.max(jnp.abs(run.losses - law))),
        "learnt at": modes.escape_times().tolist(),
    }


def standing(run: px.Trajectory) -> np.ndarray:
    """Losses in the middle of the plateaus of one run, by slope."""
    found = px.plateaus(run, by="slope", min_ratio=1.1)
    count = int(found.count)
    middle = np.sqrt(np.maximum(found.start, run.times[1]) * found.end)[:count]
    return np.interp(np.asarray(middle), run.times, run.losses)


def stand_at(losses: np.ndarray, tolerance: float = 0.03) -> list[bool]:
    """Whether the run stood on each level above 0."""
    return [
        bool(np.any(np.abs(losses / level - 1) < tolerance)) for level in levels()[:-1]
    ]


def random_starts(data: px.Problem, depth: int, lanes: int, saves: int) -> dict:
    """Shares of random starts that stand on each level."""
    one = jax.jit(ft.partial(flow, data, depth=depth, saves=saves))
    networks = draw(depth, lanes)
    lane = lambda i: jax.tree.map(lambda leaf: leaf[i], networks)
    runs = [one(lane(i)) for i in range(lanes)]
    shares = np.mean([stand_at(standing(run)) for run in runs], axis=0)
    done = np.mean([float(run.losses[-1]) < 1e-6 for run in runs])
    return {"runs": runs, "stood": shares.tolist(), "learnt": float(done)}


def draw_figure(found: dict, path: Path) -> None:
    """Losses over time and the law, one panel a depth."""
    import matplotlib.pyplot as plt

    layout = {"layout": "constrained", "sharey": True, "squeeze": False}
    fig, axes = plt.subplots(1, len(found), figsize=(13, 4), **layout)
    for ax, (depth, (exact, random)) in zip(axes[0], found.items(), strict=True):
        for run in random["runs"][:8]:
            ax.plot(run.times[1:], run.losses[1:], color="0.7", linewidth=0.8)
        run = exact["run"]
        style = {"color": COLORS[0], "label": "gradient flow, balanced start"}
        ax.plot(run.times[1:], run.losses[1:], **style)
        ax.plot(run.times[1:], exact["law"][1:], ":", color="black", label="its law")
        ax.plot([], color="0.7", label="random starts")
        for level in levels()[:-1]:
            ax.axhline(level, color="0.85", linewidth=0.8, zorder=0)
        ax.set(xscale="log", xlabel=f"time ({run.time_unit})")
        ax.set(title=f"{depth} matrices", xlim=(1.0, float(run.times[-1])))
    axes[0, 0].set_ylabel("loss")
    axes[0, 0].legend(fontsize="small", loc="upper right")
    save(fig, path)


def numbers(exact: dict, random: dict) -> dict:
    """What is claimed of one depth."""
    return {
        "learnt at": exact["learnt at"],
        "flow off the law": exact["off"],
        "stood": random["stood"],
        "all learnt": random["learnt"],
    }


def run(config: Config, out: Path) -> dict:
    """Run, print, draw."""
    data, found, made = problem(), {}, {}
    for depth in config.depths:
        exact = lawful(data, depth, config.saves)
        random = random_starts(data, depth, config.lanes, config.saves)
        found[depth], made[depth] = (exact, random), numbers(exact, random)
        print(f"{depth} matrices")
        for name, value in made[depth].items():
            words = np.array2string(np.array(value), precision=4)
            print(f"  {name}: {words}", flush=True)
    draw_figure(found, out / "saddle_to_saddle.png")
    return made


if __name__ == "__main__":
    main(__file__, run, SMOKE)
