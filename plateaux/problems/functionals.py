r"""Functionals of networks: residuals of differential equations, and energies.

A functional is a sum of parts, one for the domain, its boundary or its initial time,
each an integral of a density that may hold derivatives of the network at a point:

    L(θ) = Σ_parts Σ_k w_k ℓ(u_θ, x_k).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import _checks
from ..networks.network import Network
from .equations import check_order
from .operators import Function
from .quadrature import Quadrature
from .task import Task


class Part(eqx.Module):
    """One term Σ_k w_k ℓ(u, x_k) of a functional.

    Args:
        name: A word for records, say "boundary".
        x: Points, shape (K, d).
        weights: w_k, shape (K,), at least 0; those of a `Quadrature` approximate ∫ ℓ.
        density: ℓ, a function of u, itself a function of one point, and a point x of
            shape (d,) that gives a scalar; see `gradient`, `laplacian`, `residual`.
            Functions made anew compile anew: one with numbers in it is best an
            `equinox.Module` with a `__call__`.

    Raises:
        TypeError: If an argument is of the wrong kind or dtype.
        ValueError: If shapes disagree, numbers are not finite or weights negative.

    Example:
        >>> square = lambda u, x: u(x) ** 2
        >>> Part("size", [[0.5], [2.0]], [1.0, 1.0], square).x.shape
        (2, 1)
    """

    name: str = eqx.field(static=True)
    x: Float[Array, "K d"]
    weights: Float[Array, " K"]
    density: Callable[..., Any]

    def __init__(self, name: Any, x: Any, weights: Any, density: Any):
        if not isinstance(name, str):
            raise TypeError(f"Argument `name` must be a word, but is {name!r}.")
        x = _checks.finite("x", _checks.floating("x", x))
        weights = _checks.finite("weights", _checks.floating("weights", weights))
        if x.ndim != 2 or 0 in x.shape:
            raise ValueError(
                "Argument `x` must have shape (K, d) with at least one point and one "
                f"input, but has shape {x.shape}; one input is a column, `x[:, None]`."
            )
        if weights.shape != x.shape[:1] or weights.dtype != x.dtype:
            raise ValueError(
                f"Argument `weights` must have shape {x.shape[:1]} and dtype {x.dtype},"
                f" but has shape {weights.shape} and dtype {weights.dtype}."
            )
        if _checks.is_concrete(weights) and np.any(np.asarray(weights) < 0):
            raise ValueError(
                "Argument `weights` must not be negative, but its least entry is "
                f"{float(jnp.min(weights))}."
            )
        self.name, self.x, self.weights = name, x, weights
        self.density = _as_pytree("density", density)

    def loss_of(self, u: Function) -> Float[Array, ""]:
        """Σ_k w_k ℓ(u, x_k)."""
        values = jax.vmap(lambda x: self.density(u, x))(self.x)
        if values.shape != self.weights.shape:
            raise ValueError(
                f"The density of part {self.name!r} must give a scalar at a point, but "
                f"gives shape {values.shape[1:]}."
            )
        return self.weights @ values


class Functional(Task):
    r"""A loss of functions: L(θ) = Σ_parts Σ_k w_k ℓ(u_θ, x_k).

    `px.descend` trains on it with any network and optimizer, `px.flow` with networks
    of smooth activations.

    Args:
        parts: Terms (`Part`) of different names, as many inputs and one dtype.
        order: Order of the highest derivative of u in the densities. Networks whose
            activation has kinks are refused from 2 on: their second derivatives are
            0 off the kinks, whatever the network.
        solution: The function that u is to become, for `solution_error`: it takes one
            point. None where it is not known.
        name: A word for reports.

    Raises:
        TypeError: If an argument is of the wrong kind, or dtypes differ.
        ValueError: If there is no part, names are equal, or numbers of inputs differ.

    Example:
        >>> import plateaux as px
        >>> slope = residual(lambda u, x: px.problems.derivative(u, 0)(x) - 2.0)
        >>> part = Part("slope", [[0.0], [1.0]], [0.5, 0.5], slope)
        >>> problem = Functional([part], order=1)
        >>> u = px.TwoLayer(w=[[1.0]], b=[0.5], c=[3.0])
        >>> print(px.loss(problem, u))
        0.5

    Reference: Raissi, Perdikaris & Karniadakis (2019), J. Comput. Phys. 378, for
    residuals; E & Yu (2018), arXiv:1710.00211, for energies.
    """

    parts: tuple[Part, ...]
    solution: Callable[..., Any] | None
    order: int = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __init__(
        self,
        parts: Any,
        *,
        order: Any,
        solution: Any = None,
        name: str = "functional",
    ):
        self.parts = _checked_parts(parts)
        self.order = _checks.count("order", order, at_least=0)
        self.solution = None if solution is None else _as_pytree("solution", solution)
        self.name = name

    @property
    def x(self) -> Float[Array, "K d"]:
        """The points of all parts, one part below the other."""
        return jnp.concatenate([part.x for part in self.parts], axis=-2)

    @property
    def sample_weights(self) -> Float[Array, " K"]:
        """The w_k of all parts, in that order."""
        return jnp.concatenate([part.weights for part in self.parts], axis=-1)

    @property
    def out_dim(self) -> None:
        """None: the function is a scalar."""

    @property
    def time_unit(self) -> str:
        """What one unit of flow time belongs to, in words."""
        return f"flow time of L = {' + '.join(part.name for part in self.parts)}"

    def loss_of(self, network: Network | Function) -> Float[Array, ""]:
        """The sum of the parts, of a network or any function of one point."""
        losses = part_losses(self, network).values()
        return jnp.sum(jnp.stack(list(losses)))


def part_losses(problem: Any, network: Any) -> dict[str, Float[Array, ""]]:
    """The losses of the parts, which sum to the loss.

    Args:
        problem: The functional.
        network: u, a network or any function of one point.

    Returns:
        Losses by name, for example of "residual" and "boundary".

    Raises:
        TypeError: If the problem is not a functional.
        ValueError: If derivatives of second order are asked of a network with kinks.

    Example:
        >>> end = Part("end", [[1.0]], [2.0], residual(lambda u, x: u(x) - 1.0))
        >>> print(part_losses(Functional([end], order=0), lambda x: 3.0 * x[0]))
        {'end': Array(4., dtype=float64)}
    """
    _check_functional(problem)
    if isinstance(network, Network):
        check_order(problem.order, network)
    return {part.name: part.loss_of(network) for part in problem.parts}


class SolutionError(NamedTuple):
    """How far u is from the solution u*.

    Attributes:
        absolute: ‖u − u*‖ = (∫ (u − u*)² dx)^½.
        relative: ‖u − u*‖/‖u*‖.
    """

    absolute: Float[Array, ""]
    relative: Float[Array, ""]


def solution_error(problem: Any, network: Any, quadrature: Quadrature) -> SolutionError:
    """The L² distance from the solution, by a quadrature of one's own.

    Args:
        problem: A functional whose solution is known.
        network: u, a network or any function of one point.
        quadrature: Points and weights on the domain, finer than those of the problem.

    Returns:
        The absolute and the relative error.

    Raises:
        TypeError: If the problem is not a functional.
        ValueError: If its solution is not known, or the points have another number of
            inputs.

    Example:
        >>> import plateaux as px
        >>> problem = px.problems.poisson_1d(frequencies=[0.5], amplitudes=[1.0])
        >>> rule = px.problems.gauss_legendre(20)
        >>> error = solution_error(problem, lambda x: 0.0 * x[0], rule)
        >>> print(f"{error.absolute:.6f} {error.relative:.6f}")
        1.000000 1.000000
    """
    _check_functional(problem)
    if problem.solution is None:
        raise ValueError(
            "Argument `problem` must know its solution to have an error, but "
            f"{problem.name!r} does not; give `solution` when you make it."
        )
    points, weights = quadrature
    if points.ndim != 2 or points.shape[1] != problem.in_dim:
        raise ValueError(
            f"Argument `quadrature` must have points of {problem.in_dim} inputs, as "
            f"the problem has, but they have shape {points.shape}."
        )
    right = jax.vmap(problem.solution)(points)
    error = jnp.sqrt(weights @ (jax.vmap(network)(points) - right) ** 2)
    return SolutionError(error, error / jnp.sqrt(weights @ right**2))


class _HalfSquare(eqx.Module):
    """½ operator(u, x)²."""

    operator: Callable[..., Any]

    def __call__(self, u: Function, x: Float[Array, " d"]) -> Float[Array, ""]:
        return self.operator(u, x) ** 2 / 2


def residual(operator: Any) -> Callable[..., Any]:
    """The density ½ r(u, x)² of an equation r(u, x) = 0.

    Args:
        operator: r, a function of u and a point that gives a scalar.

    Returns:
        The density, for `Part`.

    Raises:
        TypeError: If the operator is not a function.

    Example:
        >>> density = residual(lambda u, x: u(x) - 1.0)
        >>> print(density(lambda x: 3 * x[0], jnp.array([1.0])))
        2.0
    """
    return _HalfSquare(_as_pytree("operator", operator))


def _as_pytree(name: str, function: Any) -> Any:
    """The function as a pytree; a plain one has no leaves: it is part of programs."""
    if not callable(function):
        raise TypeError(f"Argument `{name}` must be a function, but is {function!r}.")
    known = isinstance(function, eqx.Module | jax.tree_util.Partial)
    return function if known else jax.tree_util.Partial(function)


def _checked_parts(parts: Any) -> tuple[Part, ...]:
    """The parts, if they go together."""
    parts = tuple(parts)
    if not parts or not all(isinstance(part, Part) for part in parts):
        raise TypeError(
            "Argument `parts` must be one px.problems.Part or more, but holds "
            f"{[type(part).__name__ for part in parts]}."
        )
    names = [part.name for part in parts]
    if len(set(names)) < len(names):
        raise ValueError(f"Parts must have different names, but have {names}.")
    dims = [part.x.shape[-1] for part in parts]
    if len(set(dims)) > 1:
        raise ValueError(f"Parts must have one number of inputs, but have {dims}.")
    dtypes = [str(part.x.dtype) for part in parts]
    if len(set(dtypes)) > 1:
        raise TypeError(f"Parts must have one dtype, but have {dtypes}.")
    return parts


def _check_functional(problem: Any) -> None:
    if not isinstance(problem, Functional):
        raise TypeError(
            "Argument `problem` must be a Functional to have parts or a solution, but "
            f"is a {type(problem).__name__}."
        )
