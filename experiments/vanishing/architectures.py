"""Narrow deep networks of several architectures: gradient and Hessian at the start."""

import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import plateaux as px

from .rows import median, say, share

curvature = px.diagnostics.curvature
WIDTH = 8
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


def measure_all(lanes: int, names, depths) -> dict:
    """|g| and ρ(H) of every architecture at every depth."""
    rows = {}
    for name in names:
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
