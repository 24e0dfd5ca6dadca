"""Initialisations compared: what a high ε-rank at the start is worth.

1-50-50-1 tanh networks learn the three waves of rank_staircase.py by Adam, an ensemble
from each of ten laws of the first weights; in "trained beforehand" the first layer is
trained on the share of its neurons that are ε-dependent before it sees the target.
Quartiles over starts, with 95 % intervals: ε-ranks of both layers at the start and at
the end, losses after half and all of the steps, steps of the ε-rank of layer 2, and the
lower bound of the error by ε-rank next to the error.

In float32, which resolves ε = 1e-6 here (the library refuses an ε that it does not) and
halves the time. Single runs of Adam from Xavier's and orthogonal weights depend on
rounding (see rank_staircase.py); Xavier's medians in float64 are within the tolerances.

    python experiments/rank_starts.py [--smoke] [--out FOLDER]
"""

import functools as ft
import math
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import rank_staircase as waves
from rank_figures import QUARTILES, draw_bounds, draw_losses, draw_ranks
from scipy.stats import spearmanr

import plateaux as px
from plateaux.experiments import main

EPSILONS = (1e-3, 1e-6)  # of Gram matrices in L²(−1, 1), weights of sum 2
BOUNDS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
TIMES = 60  # saved, about
PRE_SIZE = 3e-2  # step size of Adam on the rank deficit
PRE_POINTS = 100  # of its quadrature: twice the neurons
BEFOREHAND = "trained beforehand"

# Options of px.networks.mlp. With the zero biases of Xavier's first layer all features
# are odd, which no gradient of the rank deficit changes: PyTorch's layer is trained.
STARTS = {
    "Xavier": {},
    "PyTorch": {"initialiser": "pytorch"},
    "orthogonal": {"initialiser": "orthogonal"},
    "structured, γ = 5": {"first_layer_options": {"gamma": 5.0}},
    "structured, γ = 15": {"first_layer_options": {"gamma": 15.0}},
    "structured, γ = 40": {"first_layer_options": {"gamma": 40.0}},
    "uniform kinks": {"first_layer": "uniform_kinks"},
    "random Fourier": {
        "first_layer": "random_fourier",
        "first_layer_options": {"sigma": 2 * math.pi},
    },
    "multi-scale": {"first_layer": "multi_scale"},
    "local features": {"first_layer": "local_features"},
    BEFOREHAND: {"first_layer": "pytorch"},
}


@dataclass(frozen=True)
class Config:
    """An ensemble for each law of the first weights.

    Attributes:
        starts: Which laws.
        lanes: Networks of each.
        steps: Of Adam.
        pre_steps: Of Adam on the rank deficit, for those trained beforehand.
    """

    starts: tuple[str, ...] = tuple(STARTS)
    lanes: int = 128
    steps: int = 1000
    pre_steps: int = 300


SMOKE = Config(("Xavier", "structured, γ = 40", BEFOREHAND), 8, 20, 20)


def draw(name: str, lanes: int, width: int = waves.WIDTH) -> px.MLP:
    """Networks of one law, a lane each; the last layers of all but two are Xavier's."""
    how = {"initialiser": "xavier"} | STARTS[name]
    if "first_layer_options" in how:
        how = {"first_layer": "structured"} | how
    one = ft.partial(
        px.networks.mlp,
        widths=(width, width),
        in_dim=1,
        activation="tanh",
        readout_bias=True,
        **how,
    )
    return jax.vmap(one)(jax.random.split(jax.random.key(0), lanes))


@ft.partial(jax.jit, static_argnames="num_steps")
def beforehand(networks: px.MLP, num_steps: int) -> px.MLP:
    """The networks with first layers trained on the rank deficit of the larger ε."""
    rule = px.problems.gauss_legendre(PRE_POINTS)
    deficit = px.diagnostics.RankDeficit(rule, epsilon=EPSILONS[0])
    train = lambda network: px.descend(
        deficit, network, optax.adam(PRE_SIZE), num_steps=num_steps, save=px.at([0.0])
    )
    return jax.vmap(train)(networks).network


@ft.partial(jax.jit, static_argnames="num_steps")
def train(problem: px.Problem, networks: px.MLP, rule, num_steps: int) -> px.Trajectory:
    """All lanes by Adam, saved at log-spaced steps and at the middle one."""
    steps = px.log_spaced(TIMES).steps(num_steps, None)
    times = px.at(np.union1d(steps, [num_steps // 2]).astype(float))
    spectra = lambda _, network: px.diagnostics.spectra(None, network, quadrature=rule)
    one = lambda network: px.descend(
        problem,
        network,
        optax.adam(1e-3),
        num_steps=num_steps,
        save=times,
        record={"spectra": spectra},
    )
    return jax.vmap(one)(networks)


@jax.jit
def bounds(networks: px.MLP, rule) -> px.diagnostics.ErrorBound:
    """Errors and their lower bounds by ε-rank, of every lane."""
    of = lambda network: px.diagnostics.error_bound(
        None, network, BOUNDS, quadrature=rule, target=waves.target
    )
    return jax.vmap(of)(networks)


def ranks(runs: px.Trajectory, layer: int) -> np.ndarray:
    """ε-ranks of one layer, shape (lanes, times, 2)."""
    found = px.diagnostics.epsilon_rank(runs.saved["spectra"][layer], EPSILONS)
    return np.asarray(found)


def forced_losses(bound: px.diagnostics.ErrorBound) -> np.ndarray:
    """½ mean square that the best bound of a lane leaves, shape (lanes,)."""
    best = np.max(np.asarray(bound.bound), axis=1, initial=0.0)
    return best**2 / (2 * float(jnp.sum(waves.rule().weights)))


def rows_of(interval) -> list[list[float]]:
    """Estimate and ends of the interval: one row, or one a quartile."""
    return np.transpose([np.ravel(part) for part in interval]).astype(float).tolist()


def quartiles(values) -> list[list[float]]:
    """Of one number a lane, each with its interval."""
    values = np.asarray(values, float)[:, None]
    return rows_of(px.statistics.quantile_band(values, QUARTILES))


_staircases = jax.jit(jax.vmap(px.stages.staircase))


def outcomes(runs: px.Trajectory) -> list[str]:
    """How every lane ended."""
    fine = np.asarray(runs.outcome == px.Outcome.completed)
    return ["completed" if ok else "not completed" for ok in fine]


def staircases(runs: px.Trajectory) -> px.statistics.StaircaseSummary:
    """Of the ε-rank of layer 2 at the larger ε."""
    found = _staircases(runs, ranks(runs, 1)[:, :, 0])
    return px.statistics.staircase_summary(found, runs.losses, outcomes=outcomes(runs))


def numbers(runs: px.Trajectory) -> dict:
    """What is claimed of an ensemble: rows (estimate, low, high) of each number."""
    bound = bounds(runs.network, waves.rule())
    losses = np.asarray(runs.losses)
    middle = int(np.argmax(runs.steps[0] == runs.steps[0, -1] // 2))
    stairs = staircases(runs)
    found = {
        f"rank {layer + 1} at {epsilon:g}, {when}": quartiles(
            ranks(runs, layer)[:, at, i]
        )
        for layer in (0, 1)
        for i, epsilon in enumerate(EPSILONS)
        for when, at in (("first", 0), ("last", -1))
    }
    found |= {
        "loss, half": quartiles(losses[:, middle]),
        "loss, last": quartiles(losses[:, -1]),
        "loss forced by the rank": quartiles(forced_losses(bound)),
        "bound over error": quartiles(np.max(bound.bound, axis=1) / bound.error),
    }
    told = {
        "steps": stairs.num_steps,
        "rise of a step": stairs.height,
        "waiting time": stairs.treads.median_dwell,
        "share with a drop": stairs.matched,
        "Spearman": stairs.spearman,
    }
    found |= {name: rows_of(one) for name, one in told.items() if one is not None}
    counts = stairs.treads.pooled_plateaus, stairs.treads.censored_plateaus
    return found | {
        "treads and censored": [int(n) for n in counts],
        "completed": outcomes(runs).count("completed"),
    }


def median(rows: list) -> list[float]:
    """Estimate and interval ends of the median."""
    return rows[len(rows) // 2]


def claims(found: dict) -> dict:
    """Medians that are finite: of ranks and steps alone, of others with intervals.

    Intervals of ranks often have no length, though rounding may lift an eigenvalue over
    the threshold.
    """
    made = {}
    for name, rows in found.items():
        if isinstance(rows, list) and isinstance(rows[0], list):
            middle, low, high = median(rows)
            whole = name.startswith("rank") or name == "steps"
            if math.isfinite(middle):
                made[name] = middle if whole else [middle, low, high]
    return made


def worth(found: dict) -> dict[str, float]:
    """Spearman correlations of median last losses and ranks of layer 2, over starts."""
    of = lambda name: [median(one[name])[0] for one in found.values()]
    return {
        when: float(
            spearmanr(of(f"rank 2 at {EPSILONS[0]:g}, {when}"), of("loss, last"))[0]
        )
        for when in ("first", "last")
    }


TABLES = (
    [f"rank 1 at {e:g}, {when}" for e in EPSILONS for when in ("first", "last")],
    [f"rank 2 at {e:g}, {when}" for e in EPSILONS for when in ("first", "last")],
    ["loss, half", "loss, last", "loss forced by the rank", "bound over error"],
    ["steps", "rise of a step", "waiting time", "share with a drop", "Spearman"],
)


def table(found: dict, names) -> list[str]:
    """Medians with their intervals, a line a start."""
    words = lambda rows: "{:.3g} ({:.3g} to {:.3g})".format(*median(rows))
    lines = [["", *names]] + [
        [start, *(words(of[name]) if name in of else "none" for name in names)]
        for start, of in found.items()
    ]
    sizes = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(size) for cell, size in zip(line, sizes, strict=True))
        for line in lines
    ]


def ensemble(name: str, config: Config) -> tuple[dict, dict]:
    """Numbers of one start, and what is drawn of it."""
    networks = draw(name, config.lanes)
    if name == BEFOREHAND:
        networks = beforehand(networks, config.pre_steps)
    runs = train(waves.problem(), networks, waves.rule(), config.steps)
    seen = {
        "steps": np.asarray(runs.steps[0], float),
        "losses": np.asarray(runs.losses),
        "ranks": [ranks(runs, layer) for layer in (0, 1)],
    }
    return numbers(runs), seen


def run(config: Config, out: Path) -> dict:
    """Run, print, draw; in float32."""
    with jax.enable_x64(False):
        return compare(config, out)


def compare(config: Config, out: Path) -> dict:
    """The same in the precision that is set."""
    found, seen, began = {}, {}, time.perf_counter()
    for name in config.starts:
        found[name], seen[name] = ensemble(name, config)
        print(f"{name}: {(time.perf_counter() - began):.0f} s", flush=True)
    for names in TABLES:
        print("", *table(found, names), sep="\n")
    values = worth(found)
    print("", "Spearman of last loss and ε-rank of layer 2, over starts:", sep="\n")
    print(", ".join(f"{when} {value:.2f}" for when, value in values.items()))
    draw_bounds(found, out / "rank_starts.png")
    draw_ranks(seen, EPSILONS[0], out / "ranks.png")
    draw_losses(seen, out / "losses.png")
    made = {name: claims(of) for name, of in found.items()}
    return made | {"Spearman over starts": values}


if __name__ == "__main__":
    main(__file__, run, SMOKE)
