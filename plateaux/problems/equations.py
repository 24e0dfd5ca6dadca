r"""Linear differential equations as least-squares problems (collocation).

A row k asks of a function u that at the point x_k

    −a_k Δu + b_k·∇u + s_k u = g_k,

so an equation on a domain and its boundary conditions are one list of rows, and their
residuals make one squared loss ½ Σ_k q_k (A u − g)_k².
"""

import functools as ft
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import _checks
from ..networks.network import Network
from ..networks.two_layer import TwoLayer, inner_weights
from .task import Task


class LinearEquation(Task):
    r"""Rows −a Δu + b·∇u + s u = g at points, with weights q of their squares.

    Args:
        x: Points, shape (K, d).
        y: Right-hand sides g, shape (K,).
        diffusion: a, shape (K,); zero if None.
        velocity: b, shape (K, d); zero if None.
        reaction: s, shape (K,); zero if None.
        weights: q, shape (K,), at least 0; 1/K if None.
        name: A word for reports.

    Raises:
        TypeError: If an argument is not of floating dtype.
        ValueError: If shapes disagree, numbers are not finite or weights negative.

    Example:
        >>> row = LinearEquation([[0.5]], [1.0], reaction=[2.0])
        >>> row.order
        0
    """

    x: Float[Array, "K d"]
    y: Float[Array, " K"]
    diffusion: Float[Array, " K"]
    velocity: Float[Array, "K d"]
    reaction: Float[Array, " K"]
    sample_weights: Float[Array, " K"]
    order: int = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __init__(
        self,
        x: Any,
        y: Any,
        *,
        diffusion: Any = None,
        velocity: Any = None,
        reaction: Any = None,
        weights: Any = None,
        name: str = "equation",
    ):
        x = _checks.finite("x", _checks.floating("x", x))
        if x.ndim != 2 or 0 in x.shape:
            raise ValueError(
                "Argument `x` must have shape (K, d) with at least one point and one "
                f"input, but has shape {x.shape}; one input is a column, `x[:, None]`."
            )
        size, zero = x.shape[0], jnp.zeros(x.shape[0], x.dtype)
        given = {
            "y": (y, zero),
            "diffusion": (diffusion, zero),
            "velocity": (velocity, jnp.zeros_like(x)),
            "reaction": (reaction, zero),
            "weights": (weights, jnp.full(size, 1 / size, x.dtype)),
        }
        rows = {name: _row(name, *pair) for name, pair in given.items()}
        if _checks.is_concrete(rows["weights"]) and np.any(rows["weights"] < 0):
            raise ValueError(
                "Argument `weights` must not be negative, but its least entry is "
                f"{jnp.min(rows['weights'])}."
            )
        self.x, self.y = x, rows["y"]
        self.diffusion, self.velocity = rows["diffusion"], rows["velocity"]
        self.reaction, self.sample_weights = rows["reaction"], rows["weights"]
        self.order = 2 if diffusion is not None else int(velocity is not None)
        self.name = name

    @property
    def out_dim(self) -> None:
        """None: the function is a scalar."""

    @property
    def time_unit(self) -> str:
        """What one unit of flow time belongs to, in words."""
        return "flow time of L = ½ Σ q (A u − g)²"

    def loss_of(self, network: Network) -> Float[Array, ""]:
        """½ Σ_k q_k (A u − g)_k²."""
        return equation_loss(self, network)


def _row(name: str, value: Any, default: Array) -> Array:
    """The argument as an array of the default's shape and dtype."""
    if value is None:
        return default
    value = _checks.finite(name, _checks.floating(name, value))
    if value.shape != default.shape:
        raise ValueError(
            f"Argument `{name}` must have shape {default.shape} to go with `x`, but "
            f"has shape {value.shape}."
        )
    return value.astype(default.dtype)


def neuron_columns(
    equation: LinearEquation, activation: Any, v: Float[Array, "n D"]
) -> Float[Array, "K n"]:
    r"""A applied to every neuron φ(v_i·x̃), v_i = (w_i, b_i).

    −a‖w_i‖² φ''(z) + (b·w_i) φ'(z) + s φ(z), the second and third of which ridge
    functions have in closed form.
    """
    w = v[:, :-1]
    z = equation.x @ w.T + v[None, :, -1]
    columns = equation.reaction[:, None] * activation(z)
    if equation.order >= 1:
        columns = columns + (equation.velocity @ w.T) * activation.derivative(z)
    if equation.order == 2:
        square = jnp.sum(w**2, axis=1)
        curved = square[None, :] * activation.second_derivative(z)
        columns = columns - equation.diffusion[:, None] * curved
    return columns


def affine_columns(equation: LinearEquation) -> Float[Array, "K D"]:
    """A applied to the functions x_1, …, x_d and 1."""
    s = equation.reaction[:, None]
    return jnp.concatenate([equation.velocity + s * equation.x, s], axis=1)


def equation_residual(equation: LinearEquation, network: Network) -> Float[Array, " K"]:
    """A u − g for the function u of a two-layer network, row by row.

    Args:
        equation: The rows.
        network: u, two-layer. Its activation must have as many derivatives as the
            order says; those of `relu` and of `relu2` jump at the kink.

    Returns:
        The residuals; weights are not in them.

    Raises:
        TypeError: If the network is not a `TwoLayer`.
        ValueError: If its activation has a kink and the order is 2.

    Example:
        >>> row = LinearEquation([[2.0]], [1.0], velocity=[[1.0]])
        >>> u = TwoLayer(w=[[1.0]], b=[0.0], c=[0.25], activation="relu2")
        >>> print(equation_residual(row, u))
        [0.]
    """
    return _residual(equation, check_equation(equation, network))


@ft.partial(jax.jit, inline=True)
def _residual(equation: LinearEquation, network: TwoLayer) -> Float[Array, " K"]:
    v = inner_weights(network)
    value = neuron_columns(equation, network.activation, v) @ network.c
    if network.p is not None:
        value = value + affine_columns(equation) @ network.p
    return value - equation.y


def equation_loss(equation: LinearEquation, network: Network) -> Float[Array, ""]:
    """½ Σ_k q_k (A u − g)_k².

    Args:
        equation: The rows.
        network: u.

    Returns:
        The loss.

    Example:
        >>> row = LinearEquation([[2.0]], [3.0], reaction=[1.0])
        >>> print(equation_loss(row, TwoLayer(w=[[1.0]], b=[0.0], c=[0.5])))
        2.0
    """
    residual = equation_residual(equation, network)
    return 0.5 * equation.sample_weights @ residual**2


def check_equation(equation: LinearEquation, network: Network) -> TwoLayer:
    """The network, unless it cannot answer the equation."""
    if not isinstance(network, TwoLayer):
        raise TypeError(
            "Argument `network` must be a TwoLayer for an equation, but is a "
            f"{type(network).__name__}."
        )
    check_order(equation.order, network)
    return network


def check_order(order: int, network: Network) -> None:
    """Refuse kinks where second derivatives count: off them they are 0."""
    if order >= 2 and network.activation.kinked:
        raise ValueError(
            "The activation must have a second derivative for an equation of order "
            f"{order}, but is {network.activation}, whose Laplacian is 0 off the "
            "kinks; use relu2, relu3 or tanh."
        )


def poisson(
    x: Any,
    source: Any,
    boundary: Any,
    boundary_values: Any,
    *,
    boundary_weight: Any = 100.0,
) -> LinearEquation:
    r"""−Δu = f inside, u = h on the boundary.

    L = (1/2K) Σ (−Δu − f)² + (β/2M) Σ (u − h)² over K inner points and M points of the
    boundary.

    Args:
        x: Inner points, shape (K, d).
        source: f at them.
        boundary: Points of the boundary, shape (M, d).
        boundary_values: h at them.
        boundary_weight: β, positive: how much the boundary counts.

    Returns:
        The rows, those of the boundary last.

    Raises:
        TypeError: If an argument is not of floating dtype.
        ValueError: If shapes disagree or the weight is not positive.

    Example:
        >>> x = jnp.linspace(0.1, 0.9, 9)[:, None]
        >>> equation = poisson(x, jnp.ones(9), [[0.0], [1.0]], [0.0, 0.0])
        >>> equation.num_data, equation.order
        (11, 2)
    """
    x = _checks.floating("x", x)
    return join(
        LinearEquation(x, source, diffusion=jnp.ones(len(x), x.dtype), name="poisson"),
        dirichlet(boundary, boundary_values, weight=boundary_weight),
    )


def advection_reaction(
    x: Any,
    source: Any,
    boundary: Any,
    boundary_values: Any,
    *,
    velocity: Any,
    reaction: Any = 0.0,
    boundary_weight: Any = 100.0,
) -> LinearEquation:
    r"""b·∇u + s u = f inside, u = h on the inflow boundary.

    Args:
        x: Inner points, shape (K, d).
        source: f at them.
        boundary: Points of the inflow boundary, shape (M, d).
        boundary_values: h at them.
        velocity: b, shape (d,) or (K, d).
        reaction: s, a number or shape (K,).
        boundary_weight: Weight of the boundary, positive.

    Returns:
        The rows, those of the boundary last.

    Raises:
        TypeError: If an argument is not of floating dtype.
        ValueError: If shapes disagree or the weight is not positive.

    Example:
        >>> x = jnp.linspace(0.1, 1.0, 10)[:, None]
        >>> equation = advection_reaction(
        ...     x, jnp.zeros(10), [[0.0]], [1.0], velocity=[1.0], reaction=1.0
        ... )
        >>> equation.num_data, equation.order
        (11, 1)
    """
    x = _checks.floating("x", x)
    velocity = _checks.floating("velocity", velocity)
    if velocity.shape == x.shape[1:]:
        velocity = jnp.broadcast_to(velocity, x.shape)
    return join(
        LinearEquation(
            x,
            source,
            velocity=velocity,
            reaction=jnp.broadcast_to(jnp.asarray(reaction, x.dtype), len(x)),
            name="advection_reaction",
        ),
        dirichlet(boundary, boundary_values, weight=boundary_weight),
    )


def dirichlet(x: Any, values: Any, *, weight: Any = 1.0) -> LinearEquation:
    """Rows u = h at points.

    Args:
        x: Points, shape (M, d).
        values: h at them, shape (M,).
        weight: Sum of the weights of their squares, positive.

    Returns:
        The rows.

    Raises:
        TypeError: If an argument is not of floating dtype.
        ValueError: If shapes disagree or the weight is not positive.

    Example:
        >>> print(dirichlet([[0.0], [1.0]], [0.0, 0.0], weight=100.0).sample_weights)
        [50. 50.]
    """
    x = _checks.floating("x", x)
    _checks.positive("weight", weight)
    ones = jnp.ones(len(x), x.dtype)
    return LinearEquation(
        x, values, reaction=ones, weights=weight / len(x) * ones, name="dirichlet"
    )


def join(first: LinearEquation, *others: LinearEquation) -> LinearEquation:
    """The rows of several equations as one, in this order, each with its weights.

    Args:
        first: Rows; theirs is the name.
        others: More rows, of as many inputs and the same dtype.

    Returns:
        All rows.

    Raises:
        ValueError: If numbers of inputs disagree.

    Example:
        >>> ends = dirichlet([[0.0]], [1.0]), dirichlet([[1.0]], [2.0])
        >>> print(join(*ends).y)
        [1. 2.]
    """
    parts = (first, *others)
    dims = [part.in_dim for part in parts]
    if len(set(dims)) > 1:
        raise ValueError(
            f"Equations to be joined must have one number of inputs, but have {dims}; "
            "points on a line are a column, `x[:, None]`."
        )
    rows = lambda name: jnp.concatenate([getattr(part, name) for part in parts])
    order = max(part.order for part in parts)
    return LinearEquation(
        rows("x"),
        rows("y"),
        diffusion=rows("diffusion") if order == 2 else None,
        velocity=rows("velocity") if order >= 1 else None,
        reaction=rows("reaction"),
        weights=rows("sample_weights"),
        name=first.name,
    )
