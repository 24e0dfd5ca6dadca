"""Figures of the parts: laws against depth, architectures, spectra."""

from pathlib import Path

import numpy as np
from drawing import COLORS, save, size_axis

import plateaux as px

from .architectures import WIDTH
from .chains import CHAINS
from .rows import QUARTILES
from .widths import INITIALISERS

laws = px.statistics
SHOWN = 64  # the largest depth of most panels


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
        if not depths:
            continue
        mid, low, high = np.array([rows[names[d]][key] for d in depths]).T
        error = [mid - low, high - mid]
        style = {"marker": marker, "markersize": 4, "capsize": 2, "color": color}
        ax.errorbar(depths, mid, error, label=label, **style)
    depths = sorted({d for names in groups.values() for d in names})
    size_axis(ax, "depth L", depths)


def short_legend(ax, where: str) -> None:
    """Medians, and the law once."""
    found = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    kept = {n.removesuffix(", median"): h for n, h in found.items() if "median" in n}
    kept = {n: h for n, h in kept.items() if "interval" not in n}
    kept["exact law (quartiles)"] = next(h for n, h in found.items() if "law" in n)
    ax.legend(kept.values(), kept.keys(), fontsize="small", loc=where)


def draw_chains(rows: dict, seen: dict, path: Path) -> None:
    """Outputs and their law; |f|, |g|, ρ; L|g|/ρ; dead ReLU chains."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(2, 2, figsize=(12.5, 9), layout="constrained")
    depths = sorted({depth for _, depth in seen})
    few = [d for d in depths if d <= SHOWN]
    kinds = {name for name, _ in seen}
    shown = [n for n in ("Gaussian", "uniform", "residual") if n in kinds]
    both = [n for n in ("Gaussian", "uniform") if n in kinds]
    for name, color in zip(shown, COLORS, strict=False):
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
    size_axis(axes[0, 0], "depth L", few)
    short_legend(axes[0, 0], "lower left")
    of = lambda name: {d: f"{name} chain, L = {d}" for d in depths}
    dashes = {"log |f|": ":", "log |g|": "--", "log rho": "-"}
    for key, dash in dashes.items():
        for name, color in zip(both, COLORS, strict=False):
            mids = [rows[of(name)[d]][key][0] for d in few]
            style = {"color": color, "marker": "o", "markersize": 3}
            words = f"{name}, {key.replace('rho', 'ρ(H)')}"
            axes[0, 1].plot(few, mids, dash, label=words, **style)
    axes[0, 1].set_ylabel("median of the logarithm")
    size_axis(axes[0, 1], "depth L", few)
    lines(axes[1, 0], rows, {n: of(n) for n in both}, "L |g|/rho")
    axes[1, 0].set_ylabel("median of L |g|/ρ(H)")
    lines(axes[1, 1], rows, {"drawn": {d: of("ReLU")[d] for d in few}}, "dead")
    grid = np.arange(few[0], few[-1] + 1)
    dead = [1 - laws.alive_probability(1, int(d) - 1) for d in grid]
    axes[1, 1].plot(grid, dead, ":", color="black", label="$1 - 2^{-(L-1)}$")
    axes[1, 1].set_ylabel("share of dead ReLU chains")
    for ax in axes.flat[1:]:
        if ax.get_legend_handles_labels()[0]:
            ax.legend(fontsize="small")
    save(fig, path)


def draw_widths(rows: dict, seen: dict, widths, path: Path) -> None:
    """Forward norms and their law; gradients; dead networks; initialisers."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(2, 2, figsize=(12.5, 9), layout="constrained")
    depths = sorted({d for name, _, d in seen if name == "ReLU"})
    fixed = [w for w in widths if all(("ReLU", w, d) in seen for d in depths)]
    for width, color in zip(fixed, COLORS, strict=False):
        fans = [seen["ReLU", width, d][1] for d in depths]
        px.plot.depth_fan(
            depths,
            of_depths([band for band, _ in fans]),
            QUARTILES,
            law=np.stack([law for _, law in fans], axis=1),
            log=False,
            quantity=r"log($\Vert h_L\Vert$/root of its mean square), ReLU",
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
    axes[0, 1].set_ylabel(
        r"median of log($\Vert\partial f/\partial W_1\Vert/\Vert x\Vert$), ReLU"
    )
    narrow = {k: v for k, v in groups.items() if k in ("d = 4", "d = L/2", "d = L")}
    lines(axes[1, 0], rows, narrow, "dead")
    for names in narrow.values():
        exact = [rows[names[d]]["dead, law"] for d in depths]
        axes[1, 0].plot(depths, exact, ":", color="black", zorder=5)
    axes[1, 0].plot([], [], ":", color="black", label="$1 - (1 - 2^{-d})^L$")
    axes[1, 0].set_ylabel("share of dead networks")
    chosen = depths[::2]
    starts = {"he": {d: f"ReLU, d = 16, L = {d}" for d in chosen}}
    for start in INITIALISERS[1:]:
        starts[start] = {d: f"ReLU, {start}, d = 16, L = {d}" for d in chosen}
    lines(axes[1, 1], rows, starts, "log |h|")
    axes[1, 1].set_ylabel(
        r"median of log($\Vert h_L\Vert/\Vert x\Vert\sqrt{4/d}$), ReLU, d = 16"
    )
    for ax in axes.flat[1:]:
        if ax.get_legend_handles_labels()[0]:
            ax.legend(fontsize="small")
    save(fig, path)


def draw_architectures(rows: dict, names, path: Path) -> None:
    """|g| and ρ(H) against depth, a line an architecture."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(12.5, 4.8), layout="constrained")
    depths = sorted({int(name.rpartition("= ")[2]) for name in rows})
    groups = {n: {d: f"{n}, L = {d}" for d in depths} for n in names}
    for ax, key, words in zip(axes, ("|g|", "rho"), ("|g|", "ρ(H)"), strict=True):
        lines(ax, rows, groups, key)
        ax.set(yscale="log", ylabel=f"median of {words}")
    axes[0].legend(fontsize="small")
    save(fig, path)


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
    save(fig, path)
