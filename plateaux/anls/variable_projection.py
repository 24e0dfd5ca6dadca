"""Variable projection with Levenberg–Marquardt damping: a baseline."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from ..networks.network import outputs
from ..networks.two_layer import TwoLayer
from ..problems.problem import Problem, loss
from .coordinates import (
    centred,
    choose,
    column_basis,
    damped_solve,
    outer_columns,
    outer_fit,
    rows,
    unit_columns,
)
from .gauss_newton import inner_jacobian
from .moves import Method, Move


class VariableProjection(Method):
    """Gauss–Newton of the loss after the outer weights are eliminated.

    The Jacobian of the reduced residual is P⊥ ∂f/∂v, P⊥ the projector off the outer
    columns, in the approximation of Kaufman (1975). The damping falls by a factor after
    a step that lowers the loss and grows by it after one that does not.

    Attributes:
        damping: The first damping, relative to the squared Jacobian.
        factor: By which it changes.
    """

    damping: float = 1e-2
    factor: float = 4.0

    def start(self, problem: Problem, network: TwoLayer) -> Any:
        """The damping."""
        return jnp.asarray(self.damping, problem.x.dtype)

    def step(self, problem: Problem, network: TwoLayer, memory: Any, key: Array):
        """One step; of the key nothing is used."""
        del key
        data = centred(problem)
        v, _ = rows(data, network)
        fitted = outer_fit(data, network, v)
        value = loss(problem, fitted)
        root = jnp.sqrt(data.q)
        residual = root * (outputs(fitted, problem.x) - problem.y)
        basis = column_basis(outer_columns(data, v, network.p is not None))
        jacobian = root[:, None] * inner_jacobian(data, v, rows(data, fitted)[1])
        jacobian = jacobian - basis @ (basis.T @ jacobian)
        scaled, length = unit_columns(jacobian)
        step = damped_solve(scaled, -residual, memory * scaled.shape[1]) / length
        moved = outer_fit(data, network, v + step.reshape(v.shape))
        better = loss(problem, moved) < value
        least = float(jnp.finfo(v.dtype).eps)
        damping = jnp.where(better, memory / self.factor, memory * self.factor)
        move = jnp.where(better, Move.step, Move.outer)
        return choose(better, moved, fitted), jnp.clip(damping, least, 1e8), move
