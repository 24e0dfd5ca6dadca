"""Gauss–Newton for the hidden layer, a linear solve for the outer: a baseline."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..networks.network import outputs
from ..networks.two_layer import TwoLayer
from ..problems.problem import Problem, loss
from .coordinates import (
    Data,
    centred,
    damped_solve,
    outer_fit,
    rows,
    unit_columns,
)
from .moves import Method, Move


class GaussNewton(Method):
    """Damped Gauss–Newton steps of the inner rows, each with the best outer weights.

    After Cai, Ding, Liu, Liu & Xia (2024), arXiv:2404.05064: the Jacobian is taken with
    the outer weights held, then these are solved for. Of the step and its halves the
    best is taken.

    Attributes:
        num_halves: How often the step is halved at most.
    """

    num_halves: int = 7

    def start(self, problem: Problem, network: TwoLayer) -> None:
        """Nothing is remembered."""

    def step(self, problem: Problem, network: TwoLayer, memory: None, key: Array):
        """One step; of the key nothing is used."""
        del key
        data = centred(problem)
        v, c = rows(data, network)
        residual = outputs(network, problem.x) - problem.y
        root = jnp.sqrt(data.q)
        scaled, length = unit_columns(root[:, None] * inner_jacobian(data, v, c))
        eps = float(jnp.finfo(v.dtype).eps)
        step = damped_solve(scaled, -root * residual, eps * scaled.shape[1]) / length
        sizes = jnp.asarray([0.5**k for k in range(self.num_halves + 1)], v.dtype)
        fit = lambda t: outer_fit(data, network, v + t * step.reshape(v.shape))
        networks = jax.vmap(fit)(sizes)
        return best_of(problem, networks), None, jnp.asarray(Move.step, jnp.int32)


def inner_jacobian(data: Data, v: Any, c: Any) -> Float[Array, "K p"]:
    """∂f/∂v with rows of data: c_i 1[v_i·x̃_k > 0] x̃_k."""
    z = v @ data.x1.T
    factor = jnp.where(z > 0, c[:, None], 0).T
    return (factor[:, :, None] * data.x1[:, None, :]).reshape(z.shape[1], -1)


def best_of(problem: Problem, networks: TwoLayer) -> TwoLayer:
    """The network of least loss of a batch."""
    values = jax.vmap(lambda net: loss(problem, net))(networks)
    best = jnp.argmin(jnp.where(jnp.isfinite(values), values, jnp.inf))
    return jax.tree.map(lambda leaf: leaf[best], networks)
