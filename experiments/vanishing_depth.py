"""Deep random networks before training: signals, gradients and curvature vanish.

Neural chains and ReLU networks keep the mean of their squared norms at one, by a few
rare draws; the median decays with depth over width, as exact laws say, and gradient
and Hessian decay with it. Skips and normalisation undo that, in different ways.
Medians over draws, with 95 % intervals; networks whose gradient is exactly zero are
counted as dead, and left out of the medians.

    python experiments/vanishing_depth.py [chains] [widths] [architectures] [spectra]
        [--smoke] [--lanes 2000] [--out FOLDER]
"""

import functools as ft
import math
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.scipy.special import logsumexp
from parts import COLORS, finish, parsed, parser
from scipy import stats

import plateaux as px

curvature = px.diagnostics.curvature
laws = px.statistics
PARTS = ("chains", "widths", "architectures", "spectra")
DEPTHS = (4, 8, 16, 32, 64)
DEEP = (*DEPTHS, 256, 1000)
QUARTILES = (0.25, 0.5, 0.75)
# name -> options of px.networks.chain at depth L, law of log|f| at depth L
CHAINS = {
    "Gaussian": (
        lambda depth: {"initialiser": "lecun"},
        lambda depth: laws.chain_law(depth, "gaussian"),
    ),
    "uniform": (lambda depth: {"initialiser": "lecun_uniform"}, laws.chain_law),
    "ReLU": (lambda depth: {"activation": "relu"}, laws.chain_law),
    "residual": (
        lambda depth: {
            "initialiser": "lecun",
            "scale": depth**-0.5,
            "residual_scale": 1.0,
        },
        lambda depth: laws.residual_chain_law(depth, 1.0),
    ),
}
WIDTHS = (4, 16, 64)
IN_DIM = 4
ONE = {"num_data": 1, "in_dim": IN_DIM}  # one normal input
# name -> activation, initialiser that keeps the mean square, law of log(‖h_L‖²/‖x‖²)
STACKS = {
    "ReLU": ("relu", "he", laws.relu_law),
    "linear": ("identity", "lecun", laws.linear_law),
}
INITIALISERS = ("he", "he_uniform", "xavier", "lecun", "orthogonal", "pytorch")
WIDTH = 8  # of architectures and of spectra
NORMALISED = {"kind": "normalised", "initialiser": "he"}
SKIPS = {"kind": "residual", "initialiser": "lecun", "residual_scale": 1.0}
# name -> options of px.networks.mlp at depth L
ARCHITECTURES = {
    "plain": lambda depth: {},
    "tanh": lambda depth: {"activation": "tanh", "initialiser": "lecun"},
    "residual": lambda depth: SKIPS | {"hidden_scale": depth**-0.5},
    "layer norm": lambda depth: NORMALISED,
    "batch norm": lambda depth: NORMALISED | {"normalisation": "batch"},
    "batch norm, residual": lambda depth: SKIPS | {"normalisation": "batch"},
}
ZERO = 1e-10  # in units of ρ: smaller eigenvalues are rounding
EXPECTED = Path(__file__).parent / "expected" / "vanishing_depth.json"


def median(values) -> list[float]:
    """Median and its 95 % interval by order statistics; NaN of no values."""
    if not len(values):
        return [math.nan] * 3
    return [float(part[0]) for part in laws.quantile_band(np.asarray(values), [0.5])]


def share(which) -> list[float]:
    """How often, with Wilson's 95 % interval."""
    return [float(part) for part in laws.wilson(int(np.sum(which)), len(which))]


def distance(values, law) -> list[float]:
    """Kolmogorov-Smirnov distance to a law, and its 95 % critical value."""
    found = stats.kstest(np.asarray(values), law.cdf).statistic
    return [float(found), float(stats.kstwo.ppf(0.95, len(values)))]


# --- neural chains --------------------------------------------------------------------


def one_datum() -> px.Problem:
    """X = y = 1."""
    return px.Problem(jnp.ones((1, 1)), jnp.ones(1))


@ft.partial(jax.jit, static_argnames=("name", "depth", "lanes"))
def chains(name: str, depth: int, lanes: int) -> dict:
    """Logarithms of |f|, |∂f/∂w_1|, |g|, ρ(H) and the sign of λ_min, by lane."""
    data, options = one_datum(), CHAINS[name][0](depth)

    def look(key):
        network = px.networks.chain(key, depth=depth, **options)
        _, output = px.networks.log_output(network, data.x)
        signals = px.diagnostics.signals(data, network)
        # All units of an alive ReLU chain are active: curved like the linear one.
        active = px.networks.Chain(
            network.weights, residual_scale=network.residual_scale
        )
        bent = curvature.chain_curvature(data, active)
        return {
            "output": output[0],
            "first": signals.gradient[0] - signals.backward[-1],
            "gradient": logsumexp(2 * signals.gradient) / 2,
            "radius": bent.log_radius,
            "negative": bent.sign_smallest < 0,
            "dead": signals.dead,
        }

    return jax.vmap(look)(jax.random.split(jax.random.key(depth), lanes))


def chain_row(name: str, depth: int, drawn: dict) -> dict:
    """What is claimed of one kind of chains at one depth."""
    law, lanes = CHAINS[name][1], len(drawn["dead"])
    made: dict = {"dead": share(drawn["dead"])} if name == "ReLU" else {}
    alive = {key: np.asarray(v)[~np.asarray(drawn["dead"])] for key, v in drawn.items()}
    if name == "ReLU":
        made["dead, law"] = 1 - laws.alive_probability(1, depth - 1)
    if len(alive["output"]) < min(10, lanes):
        return made
    made |= {"log |f|": median(alive["output"]), "log |f|, law": law(depth).median}
    made["log |f|, distance"] = distance(alive["output"], law(depth))
    if name in ("Gaussian", "uniform"):  # a product of all weights but the first
        made["log |df/dw_1|, distance"] = distance(alive["first"], law(depth - 1))
    made["log |g|"] = median(alive["gradient"])
    made["log rho"] = median(alive["radius"])
    made["L |g|/rho"] = median(depth * np.exp(alive["gradient"] - alive["radius"]))
    made["lambda_min < 0"] = share(alive["negative"])
    if name in ("Gaussian", "uniform"):
        made["lambda_min < 0, law"] = indefinite(law(depth), depth)
    return made


def indefinite(law, depth: int) -> float:
    """P[λ_min < 0] of a chain of symmetric weights, the law being that of log|Π|.

    H = Π D [(1 − Π) 1 − (1 − 2Π) 11ᵀ] D, D = diag 1/w: by Sylvester's law of inertia
    H has one eigenvalue of one sign and L − 1 of the other, unless all are ≥ 0, which
    is for (L − 1)/(2L − 1) ≤ Π ≤ 1.
    """
    low, high = law.cdf([math.log((depth - 1) / (2 * depth - 1)), 0.0])
    return 1 - float(high - low) / 2


def part_chains(lanes: int, depths=DEEP) -> tuple[dict, dict]:
    """Every kind of chains at every depth: rows, and log|f| for the figure."""
    rows, seen = {}, {}
    for name in CHAINS:
        for depth in depths:
            drawn = chains(name, depth, lanes)
            row = chain_row(name, depth, drawn)
            rows[f"{name} chain, L = {depth}"] = row
            seen[name, depth] = np.asarray(drawn["output"])
            say(f"{name} chain, L = {depth}", row)
    return rows, seen


# --- depth and width, through the sweep engine ----------------------------------------


def specification(
    activation: str, initialisers, widths, depths, lanes: int
) -> px.sweeps.SweepSpec:
    """Networks as they are drawn, at one datum with y = 1."""
    return px.sweeps.SweepSpec.from_dict(
        {
            "name": "vanishing depth",
            "problem": {"name": "single_index", "coefficients": [[1.0]]} | ONE,
            "network": {
                "kind": "mlp",
                "activation": activation,
                "width": list(widths),
                "depth": list(depths),
            },
            "initialiser": {"name": list(initialisers)},
            "method": {"name": "initialisation"},
            "sweep": {"lanes": lanes, "chunk": min(lanes, 100)},
        }
    )


def measure(spec: px.sweeps.SweepSpec, law=None) -> dict:
    """(initialiser, width, depth) -> what is claimed, and quantiles for the figure."""
    data, found = px.sweep(spec), {}
    for point in px.sweeps.grid(spec):
        network, start = point.settings["network"], point.settings["initialiser"]
        width, depth = network["width"], network["depth"]
        summary = px.sweeps.initial_summary(data, spec, point.index)
        here = data.isel(point=point.index)
        row, fan = stack_row(summary, here, width, depth, law)
        found[start["name"], width, depth] = row, fan
    return found


def stack_row(summary, here, width: int, depth: int, law) -> tuple[dict, Any]:
    """What is claimed of one width and depth, next to the law of ½ log Π.

    By symmetry of signs the masks of a ReLU network may be taken as independent of all
    weights, so ‖∂f/∂W_1‖²/‖x‖² is a product of L factors with the law of ‖h_L‖²'s,
    too. The gradient of the biases makes ‖x‖² 1 + ‖x‖².
    """
    alive = ~here["dead"].values
    made: dict = {"dead": list(map(float, summary.dead))}
    if not alive.any():
        return made, None
    # ‖h_L‖ over the root of its mean square, which the first layer makes √(d/in_dim).
    size = math.log(width / IN_DIM) / 2
    forward = here["log_forward"].values[alive, depth - 1] - size
    square = float(jnp.sum(px.problems.single_index(**ONE).x ** 2))
    first = here["log_gradient"].values[alive, 0] - math.log1p(square) / 2
    first = first - here["log_backward"].values[alive, depth]  # without the residual
    made |= {"log |h|": median(forward), "log |df/dW_1|": median(first)}
    band = laws.quantile_band(forward, QUARTILES)
    if law is None:
        return made, (band, None)
    exact = law(width, depth)
    made["median, law"] = exact.median / 2
    made["log |h|, distance"] = distance(2 * forward, exact)
    made["log |df/dW_1|, distance"] = distance(2 * first, exact)
    return made, (band, exact.quantile(QUARTILES) / 2)


def part_widths(lanes: int, depths=DEPTHS, widths=WIDTHS) -> tuple[dict, dict]:
    """Laws over widths and depths, widths in step with depth, and initialisers."""
    rows, seen = {}, {}
    for name, (activation, start, law) in STACKS.items():
        found = measure(specification(activation, [start], widths, depths, lanes), law)
        for depth in depths if name == "ReLU" else ():
            for width in (max(depth // 2, 2), depth):
                if (start, width, depth) not in found:
                    spec = specification(activation, [start], [width], [depth], lanes)
                    found |= measure(spec, law)
        for (_, width, depth), (row, fan) in sorted(found.items()):
            if activation == "relu":
                row["dead, law"] = 1 - laws.alive_probability(width, depth)
            rows[f"{name}, d = {width}, L = {depth}"] = row
            seen[name, width, depth] = row, fan
            say(f"{name}, d = {width}, L = {depth}", row)
    others = [name for name in INITIALISERS if name != "he"]
    found = measure(specification("relu", others, [16], depths[::2], lanes))
    for (start, _, depth), (row, fan) in found.items():
        rows[f"ReLU, {start}, d = 16, L = {depth}"] = row
        seen[start, 16, depth] = row, fan
        say(f"ReLU, {start}, d = 16, L = {depth}", row)
    return rows, seen


# --- architectures --------------------------------------------------------------------


def regression(num_data: int = 128) -> px.Problem:
    """Y = tanh(1.5 x_1) + x_2/2 on normal inputs."""
    x = np.random.default_rng(0).normal(size=(num_data, WIDTH))
    return px.Problem(x, np.tanh(1.5 * x[:, 0]) + 0.5 * x[:, 1])


def draw(name: str, depth: int, lanes: int) -> px.MLP:
    """Networks without biases between linear maps of variance 1/d, a lane each."""

    def one(key):
        network = px.networks.mlp(
            key,
            widths=(WIDTH,) * depth,
            in_dim=WIDTH,
            embedding="lecun",
            last_layer="lecun",
            **ARCHITECTURES[name](depth),
        )
        return eqx.tree_at(lambda n: n.biases, network, None)

    return jax.vmap(one)(jax.random.split(jax.random.key(0), lanes))


@ft.partial(jax.jit, static_argnames=("name", "depth", "lanes"))
def ends(name: str, depth: int, lanes: int) -> dict:
    """|g|, both ends of the spectrum, and whether they were found, by lane."""
    data = regression()

    def look(network):
        slopes = eqx.filter_grad(lambda n: px.problems.loss(data, n))(network)
        found = curvature.extreme_eigenvalues(data, network, tol=1e-3, max_products=200)
        return {
            "gradient": jnp.linalg.norm(ravel_pytree(slopes)[0]),
            "radius": found.radius,
            "negative": found.smallest < 0,
            "converged": found.largest_converged & found.smallest_converged,
        }

    return jax.vmap(look)(draw(name, depth, lanes))


def part_architectures(lanes: int, depths=(4, 16, 48)) -> dict:
    """|g| and ρ(H) of every architecture at every depth."""
    rows = {}
    for name in ARCHITECTURES:
        for depth in depths:
            found = {k: np.asarray(v) for k, v in ends(name, depth, lanes).items()}
            alive = found["gradient"] > 0
            row = {
                "dead": share(~alive),
                "|g|": median(found["gradient"][alive]),
                "rho": median(found["radius"][alive]),
                "lambda_min < 0": share(found["negative"][alive]),
                "not converged": int(np.sum(~found["converged"][alive])),
            }
            rows[f"{name}, L = {depth}"] = row
            say(f"{name}, L = {depth}", row)
    return rows


# --- spectra --------------------------------------------------------------------------


@ft.partial(jax.jit, static_argnames=("depth", "lanes"))
def chain_spectra(depth: int, lanes: int) -> curvature.SpectralDensity:
    """All eigenvalues of uniform chains, a row each."""
    data = one_datum()
    look = lambda key: curvature.spectral_density(
        data, px.networks.chain(key, depth=depth), dense=True
    )
    return jax.vmap(look)(jax.random.split(jax.random.key(depth), lanes))


@ft.partial(jax.jit, static_argnames=("depth", "lanes"))
def network_spectra(depth: int, lanes: int) -> curvature.SpectralDensity:
    """All eigenvalues of plain ReLU networks, a row each, one after another.

    Lanczos' nodes would not tell the many small eigenvalues from zeros.
    """
    data = regression()
    look = lambda network: curvature.spectral_density(data, network, dense=True)
    return jax.lax.map(look, draw("plain", depth, lanes))


def pooled(found: curvature.SpectralDensity) -> tuple[np.ndarray, np.ndarray, dict]:
    """Nodes and weights of all alive lanes, rounding set to zero; what is claimed."""
    nodes, weights = np.asarray(found.nodes), np.asarray(found.weights)
    radius = np.max(np.abs(nodes), axis=1)
    alive = radius > 0
    nodes, weights, radius = nodes[alive], weights[alive], radius[alive]
    nodes = np.where(np.abs(nodes) < ZERO * radius[:, None], 0.0, nodes)
    claims = {
        "dead": share(~alive),
        "log10 rho": median(np.log10(radius)),
        "negative": median(np.sum(weights * (nodes < 0), axis=1)),
        "zero": median(np.sum(weights * (nodes == 0), axis=1)),
    }
    return nodes.ravel(), weights.ravel(), claims


def lone(values: np.ndarray) -> np.ndarray:
    """Whether one eigenvalue of a row has a sign and all others the other one."""
    negative = np.sum(values < 0, axis=1)
    return (negative == 1) | (negative == values.shape[1] - 1)


def part_spectra(
    lanes: int, depths=DEPTHS, network_depths=(4, 8, 16)
) -> tuple[dict, dict]:
    """Spectra by depth: rows, and nodes and weights for the figure."""
    kinds = {
        "chains": (chain_spectra, lanes, depths),
        "networks": (network_spectra, max(lanes // 20, 2), network_depths),
    }
    rows, seen = {}, {}
    for name, (look, number, where) in kinds.items():
        for depth in where:
            found = look(depth, number)
            *density, row = pooled(found)
            if name == "chains":
                row["one sign alone"] = share(lone(np.asarray(found.nodes)))
            rows[f"spectra of {name}, L = {depth}"] = row
            seen[name, depth] = density
            say(f"spectra of {name}, L = {depth}", row)
    return rows, seen


# --- figures --------------------------------------------------------------------------


def of_depths(bands) -> laws.Interval:
    """Bands of single depths as one band over depths."""
    columns = zip(*bands, strict=True)
    return laws.Interval(*(np.stack(parts, axis=1) for parts in columns))


def lines(ax, rows: dict, groups: dict, key: str) -> None:
    """A claim with its interval against depth, a line a group of row names by depth."""
    for (label, names), color, marker in zip(
        groups.items(), COLORS * 2, "osv^D*osv^D*", strict=False
    ):
        depths = [d for d, name in names.items() if key in rows.get(name, {})]
        mid, low, high = np.array([rows[names[d]][key] for d in depths]).T
        error = [mid - low, high - mid]
        style = {"marker": marker, "markersize": 4, "capsize": 2, "color": color}
        ax.errorbar(depths, mid, error, label=label, **style)
    depth_axis(ax, sorted({d for names in groups.values() for d in names}))


def short_legend(ax, where: str) -> None:
    """Medians, and the law once."""
    found = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    kept = {n.removesuffix(", median"): h for n, h in found.items() if "median" in n}
    kept = {n: h for n, h in kept.items() if "interval" not in n}
    kept["exact law (quartiles)"] = next(h for n, h in found.items() if "law" in n)
    ax.legend(kept.values(), kept.keys(), fontsize="small", loc=where)


def depth_axis(ax, depths) -> None:
    """Depth on a logarithmic axis whose ticks are these."""
    ax.set(xscale="log", xlabel="depth L")
    ax.set_xticks(depths, [f"{d}" for d in depths])
    ax.minorticks_off()


def draw_chains(rows: dict, seen: dict, path: Path) -> None:
    """Outputs and their law; |f|, |g|, ρ; L|g|/ρ; dead ReLU chains."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(2, 2, figsize=(12.5, 9), layout="constrained")
    depths = sorted({depth for _, depth in seen})
    few = [d for d in depths if d <= DEPTHS[-1]]
    for name, color in zip(("Gaussian", "uniform", "residual"), COLORS, strict=False):
        values = np.stack([seen[name, d] for d in few], axis=1)
        exact = [CHAINS[name][1](d).quantile(QUARTILES) for d in few]
        px.plot.depth_fan(
            few,
            laws.quantile_band(values, QUARTILES),
            QUARTILES,
            law=np.array(exact).T,
            log=False,
            quantity="log |f|",
            label=name,
            color=color,
            ax=axes[0, 0],
        )
    depth_axis(axes[0, 0], few)
    short_legend(axes[0, 0], "lower left")
    of = lambda name: {d: f"{name} chain, L = {d}" for d in depths}
    dashes = {"log |f|": ":", "log |g|": "--", "log rho": "-"}
    for key, dash in dashes.items():
        for name, color in zip(("Gaussian", "uniform"), COLORS, strict=False):
            mids = [rows[of(name)[d]][key][0] for d in few]
            style = {"color": color, "marker": "o", "markersize": 3}
            words = f"{name}, {key.replace('rho', 'ρ(H)')}"
            axes[0, 1].plot(few, mids, dash, label=words, **style)
    axes[0, 1].set_ylabel("median")
    depth_axis(axes[0, 1], few)
    lines(axes[1, 0], rows, {n: of(n) for n in ("Gaussian", "uniform")}, "L |g|/rho")
    axes[1, 0].set_ylabel("median of L |g|/ρ(H)")
    lines(axes[1, 1], rows, {"drawn": {d: of("ReLU")[d] for d in few}}, "dead")
    grid = np.arange(few[0], few[-1] + 1)
    dead = [1 - laws.alive_probability(1, int(d) - 1) for d in grid]
    axes[1, 1].plot(grid, dead, ":", color="black", label="1 − 2^{−(L−1)}")
    axes[1, 1].set_ylabel("share of dead ReLU chains")
    for ax in axes.flat[1:]:
        ax.legend(fontsize="small")
    fig.savefig(path, dpi=110)
    plt.close(fig)


def draw_widths(rows: dict, seen: dict, path: Path) -> None:
    """Forward norms and their law; gradients; dead networks; initialisers."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(2, 2, figsize=(12.5, 9), layout="constrained")
    depths = sorted({d for name, _, d in seen if name == "ReLU"})
    fixed = [w for w in WIDTHS if all(("ReLU", w, d) in seen for d in depths)]
    for width, color in zip(fixed, COLORS, strict=False):
        fans = [seen["ReLU", width, d][1] for d in depths]
        px.plot.depth_fan(
            depths,
            of_depths([band for band, _ in fans]),
            QUARTILES,
            law=np.stack([law for _, law in fans], axis=1),
            log=False,
            quantity="log(‖h_L‖/root of its mean square), ReLU",
            label=f"d = {width}",
            color=color,
            ax=axes[0, 0],
        )
    short_legend(axes[0, 0], "lower left")
    of = lambda width: {d: f"ReLU, d = {width(d)}, L = {d}" for d in depths}
    groups = {f"d = {w}": of(lambda _, w=w: w) for w in fixed}
    groups |= {"d = L/2": of(lambda d: max(d // 2, 2)), "d = L": of(lambda d: d)}
    lines(axes[0, 1], rows, groups, "log |df/dW_1|")
    for names in groups.values():
        exact = [rows[names[d]]["median, law"] for d in depths]
        axes[0, 1].plot(depths, exact, ":", color="black", zorder=5)
    axes[0, 1].plot([], [], ":", color="black", label="exact law")
    axes[0, 1].set_ylabel("median of log(‖∂f/∂W_1‖/‖x‖), ReLU")
    narrow = {k: v for k, v in groups.items() if k in ("d = 4", "d = L/2", "d = L")}
    lines(axes[1, 0], rows, narrow, "dead")
    for names in narrow.values():
        exact = [rows[names[d]]["dead, law"] for d in depths]
        axes[1, 0].plot(depths, exact, ":", color="black", zorder=5)
    axes[1, 0].plot([], [], ":", color="black", label="1 − (1 − 2^{−d})^L")
    axes[1, 0].set_ylabel("share of dead networks")
    chosen = depths[::2]
    starts = {"he": {d: f"ReLU, d = 16, L = {d}" for d in chosen}}
    for start in INITIALISERS[1:]:
        starts[start] = {d: f"ReLU, {start}, d = 16, L = {d}" for d in chosen}
    lines(axes[1, 1], rows, starts, "log |h|")
    axes[1, 1].set_ylabel("median of log(‖h_L‖/‖x‖√(4/d)), ReLU, d = 16")
    for ax in axes.flat[1:]:
        ax.legend(fontsize="small")
    fig.savefig(path, dpi=110)
    plt.close(fig)


def draw_architectures(rows: dict, path: Path) -> None:
    """|g| and ρ(H) against depth, a line an architecture."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(12.5, 4.8), layout="constrained")
    depths = sorted({int(name.rpartition("= ")[2]) for name in rows})
    groups = {n: {d: f"{n}, L = {d}" for d in depths} for n in ARCHITECTURES}
    for ax, key, words in zip(axes, ("|g|", "rho"), ("|g|", "ρ(H)"), strict=True):
        lines(ax, rows, groups, key)
        ax.set(yscale="log", ylabel=f"median of {words}")
    axes[0].legend(fontsize="small")
    fig.savefig(path, dpi=110)
    plt.close(fig)


def draw_spectra(seen: dict, path: Path) -> None:
    """Ridges of eigenvalues by depth, one panel for chains and one for networks."""
    import matplotlib.pyplot as plt

    kinds = list(dict.fromkeys(name for name, _ in seen))
    fig, axes = plt.subplots(1, 2, figsize=(13, 5.5), layout="constrained")
    for ax, kind in zip(axes, kinds, strict=True):
        depths = [depth for name, depth in seen if name == kind]
        nodes, weights = zip(*(seen[kind, d] for d in depths), strict=True)
        names = [f"L = {d}" for d in depths]
        px.plot.spectral_ridges(nodes, names, weights=weights, ax=ax)
        words = {"chains": "uniform chains", "networks": f"ReLU, d = {WIDTH}"}
        ax.set_title(words[kind], loc="right")
    fig.savefig(path, dpi=110)
    plt.close(fig)


# --- claims ---------------------------------------------------------------------------


def say(name: str, row: dict) -> None:
    """One line of the table."""
    words = [f"{key} {_number(value)}" for key, value in row.items()]
    print(f"{name:28} " + "; ".join(words), flush=True)


def _number(value) -> str:
    if not isinstance(value, list):
        return f"{value:.4g}"
    if len(value) == 2:
        return "{:.3f} (95 % below {:.3f})".format(*value)
    return "{:.4g} ({:.4g} to {:.4g})".format(*value)


def disagreements(made: dict, expected: dict) -> list[str]:
    """Claims that do not hold.

    Intervals of both runs must overlap, exact numbers must be the same to 1e-9, and
    distances to a law stay below 1.5 times the 95 % value (1 in 2000 does not).
    """
    return [
        f"{name}: {key}"
        for name, wanted in expected.items()
        for key, value in wanted.items()
        if name in made and not _holds(made[name].get(key), value)
    ]


def _holds(got, wanted) -> bool:
    if got is None or not isinstance(wanted, list):
        return got is not None and math.isclose(got, wanted, rel_tol=1e-9)
    if len(wanted) == 2:
        return got[0] < 1.5 * got[1]
    return got[1] <= wanted[2] and wanted[1] <= got[2]


def main() -> None:
    """Run, compare, draw."""
    options = parser("vanishing_depth", __doc__, PARTS, 2000, "40 lanes, L = 4 and 8")
    args = parsed(options, PARTS)
    jax.config.update("jax_enable_x64", True)
    began, parts = time.perf_counter(), args.parts
    lanes = 40 if args.smoke else args.lanes
    few = {"depths": (4, 8)} if args.smoke else {}
    made: dict = {}
    if "chains" in parts:
        rows, seen = part_chains(lanes, **few)
        made |= rows
        draw_chains(rows, seen, args.out / "chains.png")
    if "widths" in parts:
        rows, seen = part_widths(max(lanes // 2, 40), **few)
        made |= rows
        draw_widths(rows, seen, args.out / "widths.png")
    if "architectures" in parts:
        rows = part_architectures(max(lanes // 50, 4), **few)
        made |= rows
        draw_architectures(rows, args.out / "architectures.png")
    if "spectra" in parts:
        smaller = few | {"network_depths": (4,)} if args.smoke else {}
        rows, seen = part_spectra(max(lanes // 10, 20), **smaller)
        made |= rows
        draw_spectra(seen, args.out / "spectra.png")
    finish(args, made, EXPECTED, disagreements, began)


if __name__ == "__main__":
    main()
