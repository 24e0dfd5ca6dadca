"""Levenberg–Marquardt on all parameters, by optimistix: a baseline."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import Array

from ..networks.network import outputs
from ..networks.two_layer import TwoLayer
from ..problems.problem import Problem
from .moves import Method, Move

# optimistix mixes dtypes and ranks: callers who forbid that are not to be punished.
_PROMOTION = jax.numpy_dtype_promotion("standard")
_RANKS = jax.numpy_rank_promotion("allow")


class LevenbergMarquardt(Method):
    """One trial step of `optimistix.LevenbergMarquardt` a step; tolerances are 0.

    Reference: Rader, Lyons & Kidger (2024), arXiv:2402.09983.
    """

    def start(self, problem: Problem, network: TwoLayer) -> Any:
        """The accepted parameters, and the state of the solver."""
        params = eqx.filter(network, eqx.is_inexact_array)
        with _PROMOTION, _RANKS:
            shape = jax.eval_shape(lambda: problem.y)
            solver = optx.LevenbergMarquardt(rtol=0.0, atol=0.0)
            state = solver.init(
                _residual(network), params, problem, {}, shape, None, frozenset()
            )
        return params, eqx.filter(state, eqx.is_array)

    def step(self, problem: Problem, network: TwoLayer, memory: Any, key: Array):
        """One trial step; of the key nothing is used."""
        del key
        params, dynamic = memory
        residual = _residual(network)
        with _PROMOTION, _RANKS:
            solver = optx.LevenbergMarquardt(rtol=0.0, atol=0.0)
            shape = jax.eval_shape(lambda: problem.y)
            blank = solver.init(residual, params, problem, {}, shape, None, frozenset())
            state = eqx.combine(dynamic, eqx.filter(blank, eqx.is_array, inverse=True))
            params, state, _ = solver.step(
                residual, params, problem, {}, state, frozenset()
            )
        moved = eqx.combine(params, network)
        memory = (params, eqx.filter(state, eqx.is_array))
        return moved, memory, jnp.asarray(Move.step, jnp.int32)


def _residual(network: TwoLayer) -> Any:
    """√q (f − y) as a function of the parameters, for optimistix."""
    static = eqx.filter(network, eqx.is_inexact_array, inverse=True)

    def residual(params, problem):
        f = outputs(eqx.combine(params, static), problem.x)
        return jnp.sqrt(problem.sample_weights) * (f - problem.y), None

    return residual
