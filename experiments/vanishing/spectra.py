"""All eigenvalues of the Hessians of chains and of narrow ReLU networks."""

import functools as ft

import jax
import numpy as np

import plateaux as px

from .architectures import draw, regression
from .chains import one_datum
from .rows import median, say, share

curvature = px.diagnostics.curvature
ZERO = 1e-10  # in units of ρ: smaller eigenvalues are rounding


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


def measure_all(lanes: int, depths, network_depths) -> tuple[dict, dict]:
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
