r"""Quadrature: points and weights with Σ_q w_q f(x_q) ≈ ∫_Ω f dx.

Weights sum to the volume of Ω. They define the inner product in which errors and the
neuron functions of a network are measured, ⟨f, g⟩ = Σ_q w_q f(x_q) g(x_q).
"""

import functools as ft
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import _checks
from . import _prepare
from .grids import MAX_GRID
from .problem import Problem


class Quadrature(NamedTuple):
    """Points and weights; any other rule can be written down as one.

    Attributes:
        points: x_q, shape (Q, d).
        weights: w_q, in units of the volume.
    """

    points: Float[Array, "Q d"]
    weights: Float[Array, " Q"]


def gauss_legendre(
    num: Any, *, domain: Any = (-1.0, 1.0), dtype: Any = None
) -> Quadrature:
    """Gauss–Legendre: exact for polynomials of degree 2 num − 1 on an interval.

    Args:
        num: Number of points.
        domain: Left and right end.
        dtype: Of points and weights.

    Returns:
        The rule; its points are inner points, in increasing order.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If there is no point or the domain is empty.

    Example:
        >>> x, w = gauss_legendre(2, domain=(0.0, 1.0))
        >>> print(f"{w @ x[:, 0] ** 3:.6f}")
        0.250000

    Reference: Golub & Welsch (1969), Math. Comp. 23, 221-230.
    """
    num = _checks.count("num", num)
    left, right = _prepare.interval(domain)
    x, w = np.polynomial.legendre.leggauss(num)
    return _rule(left + (right - left) * (x + 1) / 2, (right - left) / 2 * w, dtype)


def trapezoid(num: Any, *, domain: Any = (-1.0, 1.0), dtype: Any = None) -> Quadrature:
    """The trapezoidal rule on evenly spaced points, both ends included.

    Args:
        num: Number of points, at least 2.
        domain: Left and right end.
        dtype: Of points and weights.

    Returns:
        The rule.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If there are fewer than 2 points or the domain is empty.

    Example:
        >>> print(trapezoid(3).weights)
        [0.5 1.  0.5]
    """
    num = _checks.count("num", num, at_least=2)
    left, right = _prepare.interval(domain)
    w = np.full(num, (right - left) / (num - 1))
    w[[0, -1]] /= 2
    return _rule(np.linspace(left, right, num), w, dtype)


def monte_carlo(
    num: Any, *, domain: Any = ((-1.0, 1.0),), seed: Any = 0, dtype: Any = None
) -> Quadrature:
    """Independent uniform points of a box, with equal weights.

    Args:
        num: Number of points.
        domain: One (left, right) an input.
        seed: An integer or a `jax.random` key.
        dtype: Of points and weights.

    Returns:
        The rule.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If there is no point or a side is empty.

    Example:
        >>> rule = monte_carlo(4, domain=[(0.0, 2.0), (0.0, 3.0)])
        >>> print(rule.points.shape, rule.weights)
        (4, 2) [1.5 1.5 1.5 1.5]
    """
    num = _checks.count("num", num)
    sides = np.array([_prepare.interval(side) for side in _sides(domain)])
    length = sides[:, 1] - sides[:, 0]
    draws = _prepare.generator(seed).random((num, len(sides)))
    weights = np.full(num, np.prod(length) / num)
    return _rule(sides[:, 0] + length * draws, weights, dtype)


def tensor(*rules: Quadrature) -> Quadrature:
    """The product of rules: all combinations of their points.

    Args:
        *rules: At least one, of one dtype.

    Returns:
        The rule in as many inputs as all have together; the last one's points vary
        fastest.

    Raises:
        ValueError: If there is no rule or the grid does not fit the memory.

    Example:
        >>> line = trapezoid(2, domain=(0.0, 1.0))
        >>> print(tensor(line, line).points[1], tensor(line, line).weights)
        [0. 1.] [0.25 0.25 0.25 0.25]
    """
    if not rules:
        raise ValueError("A tensor rule must have at least one factor, but has none.")
    size = int(np.prod([len(rule.weights) for rule in rules]))
    if size > MAX_GRID:
        raise ValueError(
            f"The grid must have at most {MAX_GRID} points, but has {size}; use "
            "`monte_carlo` or fewer points a side."
        )
    return ft.reduce(_product, rules)


def sampled(
    target: Callable[[Any], Any],
    quadrature: Quadrature,
    *,
    normalisation: Any = "mean",
    name: Any = "sampled",
) -> Problem:
    r"""Fit a function in L²: data y_q = f(x_q) with the weights of a quadrature.

    With `normalisation="mean"` the loss is ½ ∫ (u − f)² dx/|Ω|, with "sum" the integral
    itself, up to the error of the quadrature.

    Args:
        target: f, a function of one point of shape (d,) that gives a scalar, written
            with `jax.numpy`.
        quadrature: Points and weights.
        normalisation: "mean" or "sum".
        name: A word for reports.

    Returns:
        The problem.

    Raises:
        ValueError: If the function does not give finite scalars.

    Example:
        >>> problem = sampled(lambda x: x[0] ** 2, trapezoid(3))
        >>> print(problem.y, problem.sample_weights)
        [1. 0. 1.] [0.25 0.5  0.25]
    """
    y = values_at(target, quadrature.points)
    return Problem(
        quadrature.points,
        y,
        weights=quadrature.weights,
        normalisation=normalisation,
        name=name,
    )


def values_at(
    target: Callable[[Any], Any], points: Float[Array, "Q d"]
) -> Float[Array, " Q"]:
    """A function of one point at many; its values in their dtype."""
    values = jnp.asarray(jax.vmap(target)(points))
    if values.shape != points.shape[:1]:
        raise ValueError(
            "Argument `target` must give a scalar for one point of shape "
            f"{points.shape[1:]}, but gives shape {values.shape[1:]}."
        )
    return values.astype(points.dtype)


@jax.jit
def _product(first: Quadrature, second: Quadrature) -> Quadrature:
    """The product of two rules."""
    one = jnp.repeat(first.points, len(second.weights), axis=0)
    two = jnp.tile(second.points, (len(first.weights), 1))
    weights = first.weights[:, None] * second.weights[None, :]
    return Quadrature(jnp.concatenate([one, two], axis=1), weights.ravel())


def _sides(domain: Any) -> list[Any]:
    """The sides of a box: pairs of numbers."""
    sides = list(domain)
    if not sides or any(np.ndim(side) != 1 for side in sides):
        raise ValueError(
            "Argument `domain` must be one pair (left, right) an input, but is "
            f"{domain!r}; one input is [(left, right)]."
        )
    return sides


def _rule(points: np.ndarray, weights: np.ndarray, dtype: Any) -> Quadrature:
    """Points (Q,) or (Q, d) and weights in a dtype."""
    dtype = _prepare.float_dtype(dtype)
    points = points[:, None] if points.ndim == 1 else points
    return Quadrature(jnp.asarray(points, dtype), jnp.asarray(weights, dtype))
