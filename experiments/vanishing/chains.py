"""Neural chains: outputs, gradients and curvature next to their exact laws."""

import functools as ft
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

import plateaux as px

from .rows import distance, median, say, share

laws = px.statistics
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
        bent = px.diagnostics.curvature.chain_curvature(data, active)
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


def measure_all(lanes: int, names, depths) -> tuple[dict, dict]:
    """Some kinds of chains at every depth: rows, and log|f| for the figure."""
    rows, seen = {}, {}
    for name in names:
        for depth in depths:
            drawn = chains(name, depth, lanes)
            row = chain_row(name, depth, drawn)
            rows[f"{name} chain, L = {depth}"] = row
            seen[name, depth] = np.asarray(drawn["output"])
            say(f"{name} chain, L = {depth}", row)
    return rows, seen
