"""Derivatives of functions u of one point, such as networks, by their programs.

Of an activation with kinks they are those between the kinks. Operators applied one by
one share the forward pass of u but not the backward pass for its parameters: where an
equation needs u, ∇u and a second derivative, `jet` gives them at half the cost.
"""

import functools as ft
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks

Function = Callable[[Float[Array, " d"]], Float[Array, ""]]


def gradient(u: Function) -> Callable[[Float[Array, " d"]], Float[Array, " d"]]:
    """∇u.

    Args:
        u: A function of one point of shape (d,) that gives a scalar.

    Returns:
        The function x ↦ ∇u(x) of shape (d,).

    Example:
        >>> print(gradient(lambda x: x[0] ** 2 * x[1])(jnp.array([2.0, 3.0])))
        [12.  4.]
    """
    return jax.grad(u)


class Jet(NamedTuple):
    """A function and derivatives of it at a point.

    Attributes:
        value: u.
        gradient: ∇u.
        change: ∂_i ∇u, whose entry i is ∂²u/∂x_i².
    """

    value: Float[Array, ""]
    gradient: Float[Array, " d"]
    change: Float[Array, " d"]


def jet(u: Function, axis: Any) -> Callable[[Float[Array, " d"]], Jet]:
    """u, ∇u and ∂_i ∇u in one pass.

    Args:
        u: A function of one point of shape (d,) that gives a scalar.
        axis: The coordinate i, counted from 0.

    Returns:
        The function from x to the `Jet` there.

    Raises:
        TypeError: If the coordinate is not an integer.
        ValueError: If it is negative or too large.

    Example:
        >>> at = jet(lambda x: x[0] ** 2 * x[1], 0)(jnp.array([2.0, 3.0]))
        >>> print(at.value, at.gradient, at.change)
        12.0 [12.  4.] [6. 4.]
    """
    axis = _checks.count("axis", axis, at_least=0)

    def at(x):
        both = jax.value_and_grad(u)
        (value, slope), (_, change) = jax.jvp(both, (x,), (_unit(x, axis),))
        return Jet(value, slope, change)

    return at


def derivative(u: Function, *axes: Any) -> Function:
    """A partial derivative, ∂u/∂x_i for `derivative(u, i)`.

    Args:
        u: A function of one point of shape (d,) that gives a scalar.
        *axes: Coordinates, counted from 0, one a derivative: `derivative(u, 1, 1)` is
            ∂²u/∂x_1².

    Returns:
        The derivative, a function like u.

    Raises:
        TypeError: If a coordinate is not an integer.
        ValueError: If none is given, or one is negative.

    Example:
        >>> mixed = derivative(lambda x: x[0] ** 2 * x[1], 0, 1)
        >>> print(mixed(jnp.array([2.0, 3.0])))
        4.0
    """
    if not axes:
        raise ValueError("Argument `axes` must be one coordinate at least, but is ().")
    axes = tuple(_checks.count("axes", axis, at_least=0) for axis in axes)
    return ft.reduce(_along_axis, axes, u)


def laplacian(u: Function) -> Function:
    """Δu = Σ_i ∂²u/∂x_i².

    Args:
        u: A function of one point of shape (d,) that gives a scalar.

    Returns:
        The Laplacian, a function like u.

    Example:
        >>> print(laplacian(lambda x: x[0] ** 2 * x[1] ** 3)(jnp.array([2.0, 1.0])))
        26.0
    """

    def trace(x):
        along = lambda e: _along(_along(u, e), e)(x)
        return jnp.sum(jax.vmap(along)(jnp.eye(x.shape[0], dtype=x.dtype)))

    return trace


def _along_axis(u: Function, axis: int) -> Function:
    """∂u/∂x_axis."""
    return lambda x: _along(u, _unit(x, axis))(x)


def _unit(x: Float[Array, " d"], axis: int) -> Float[Array, " d"]:
    """The unit vector of a coordinate."""
    if axis >= x.shape[0]:
        raise ValueError(
            f"A coordinate must be below the number of inputs {x.shape[0]}, but is "
            f"{axis}."
        )
    return jnp.zeros_like(x).at[axis].set(1)


def _along(u: Function, direction: Float[Array, " d"]) -> Function:
    """The derivative along a direction."""
    return lambda x: jax.jvp(u, (x,), (direction,))[1]
