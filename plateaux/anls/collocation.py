"""Least-squares collocation of linear differential equations, neuron by pattern.

The residual of a linear equation is linear in the outer weights and the affine part,
so these are eliminated by least squares as in regression; the inner rows move by damped
Gauss–Newton steps of what is left, and neurons are exchanged when that stalls.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..networks.activations import ReLU, ReLUPower
from ..networks.network import extended
from ..networks.two_layer import TwoLayer
from ..problems.equations import LinearEquation, affine_columns, neuron_columns
from ..problems.problem import loss
from .branching import Branching
from .coordinates import (
    Data,
    column_basis,
    damped_solve,
    outer_columns,
    outer_fit,
    rows,
    unit_columns,
)
from .moves import Move


class EquationData(Data):
    """An equation as the solves of a step see it; coordinates are its own.

    Attributes:
        equation: The rows.
        activation: Of the network, homogeneous.
    """

    equation: LinearEquation
    activation: Any = eqx.field(static=True)

    def columns(self, v: Float[Array, "n D"]) -> Float[Array, "K n"]:
        """The operator applied to every neuron."""
        return neuron_columns(self.equation, self.activation, v)

    def affine_columns(self) -> Float[Array, "K D"]:
        """The operator applied to the affine functions."""
        return affine_columns(self.equation)


def equation_data(equation: LinearEquation, network: TwoLayer) -> EquationData:
    """What the steps need of an equation."""
    x, zero = equation.x, jnp.zeros_like(equation.x[0])
    x1 = extended(x)
    return EquationData(
        x1,
        equation.y,
        equation.sample_weights,
        zero,
        zero + 1,
        equation,
        network.activation,
    )


class Collocation(Branching):
    """Eliminated outer weights, damped Gauss–Newton of the inner, exchanges.

    Attributes:
        dampings: Of the Gauss–Newton directions, relative to the squared Jacobian.
        fractions: Parts of each direction that are tried.
    """

    dampings: tuple[float, ...] = (1e-10, 1e-6, 1e-4, 1e-2, 1.0)
    fractions: tuple[float, ...] = (2.0, 1.0, 0.5, 0.1)

    def data(self, problem: LinearEquation, network: TwoLayer) -> EquationData:
        """The equation's rows."""
        return equation_data(problem, network)

    def improve(self, problem, data: EquationData, network: TwoLayer):
        """The best of all dampings and fractions, each with its outer fit."""
        v = rows(data, network)[0]
        fitted = outer_fit(data, network, v)
        root = jnp.sqrt(data.q)
        outer = outer_columns(data, v, network.p is not None)
        basis = column_basis(outer)
        target = root * data.y
        residual = target - basis @ (basis.T @ target)
        jacobian = root[:, None] * _inner_jacobian(data, v, fitted.c)
        jacobian = jacobian - basis @ (basis.T @ jacobian)
        scaled, length = unit_columns(jacobian)

        def along(damping, fraction):
            step = damped_solve(scaled, residual, damping * scaled.shape[1]) / length
            moved = v + fraction * step.reshape(v.shape)
            size = jnp.sqrt(jnp.sum(moved**2, axis=1, keepdims=True))
            moved = outer_fit(data, network, moved / jnp.where(size > 0, size, 1))
            return moved, loss(problem, moved)

        sizes = jnp.asarray(self.fractions, v.dtype)
        tried = jax.vmap(jax.vmap(along, (None, 0)), (0, None))
        networks, values = tried(jnp.asarray(self.dampings, v.dtype), sizes)
        values = jnp.where(jnp.isfinite(values), values, jnp.inf).ravel()
        best = jnp.argmin(values)
        taken = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[best], networks)
        return taken, values[best], jnp.asarray(Move.damped, jnp.int32)


def _inner_jacobian(data: EquationData, v: Any, c: Any) -> Float[Array, "K p"]:
    """Derivatives of Σ_i c_i (operator on neuron i) with respect to all v_i."""
    of_one = jax.jacfwd(lambda row: data.columns(row[None])[:, 0])
    derivative = jax.vmap(of_one, out_axes=1)(v) * c[None, :, None]
    return derivative.reshape(data.y.shape[0], -1)


def check_collocation(equation: LinearEquation, network: TwoLayer) -> None:
    """Refuse what the method is not for."""
    if not isinstance(network.activation, ReLU | ReLUPower):
        raise ValueError(
            "The activation must be relu, relu2 or relu3 for collocation by least "
            f"squares, but is {network.activation}; train on the equation with "
            "px.descend."
        )
    loss(equation, network)
