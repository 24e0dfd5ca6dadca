r"""Energies whose minimisers solve differential equations ("Deep Ritz").

Integrals, not means, by Gauss–Legendre rules; boundary values enter by a penalty.

Reference: E & Yu (2018), arXiv:1710.00211.
"""

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from . import _prepare
from ._solutions import (
    Difference,
    ProductOfSines,
    Sines,
    interval_ends,
    number,
    product_of_sines,
    square_boundary,
    sum_of_sines,
)
from .functionals import Functional, Part, residual
from .operators import Function, gradient
from .quadrature import gauss_legendre, tensor


def ritz_1d(
    *,
    frequencies: Any = (0.5, 2.0),
    amplitudes: Any = (1.0, 0.1),
    num_points: Any = 100,
    boundary_weight: Any = 500.0,
    consistent: Any = False,
    domain: Any = (-1.0, 1.0),
    dtype: Any = None,
) -> Functional:
    r"""The energy of −u'' = f on an interval, of the solution of `poisson_1d`.

    L = ∫ ½ u'² − f u dx + (β/2) Σ_ends (u − u*)² + constant, where the constant makes
    it, up to the error of the quadrature, with v = u − u* and n the outer normal,

        L = ½ ∫ |∇v|² dx + (β/2) ∮ (v + ∂_n u*/β)² dS,

    which is never negative. The penalty moves the minimiser: at the boundary it is off
    by about −∂_n u*/β, and the least L is of order 1/β². With `consistent` the boundary
    values are u* + ∂_n u*/β instead of u*, for which ∂_n u*/β is not in the formula:
    u* is the minimiser, with L = 0. Between too few points a network can get below.

    Args:
        frequencies: ν_j of the solution Σ_j a_j sin(2πν_j x).
        amplitudes: a_j.
        num_points: Inner points.
        boundary_weight: β, positive.
        consistent: Whether the boundary values make u* the minimiser.
        domain: Left and right end.
        dtype: Of points and numbers.

    Returns:
        The functional, of parts "energy", which can be negative, and "boundary".

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> problem = ritz_1d(consistent=True, frequencies=[0.5], amplitudes=[1.0])
        >>> print(f"{problem.loss_of(lambda x: 0.0 * x[0]) / jnp.pi**2:.6f}")
        0.500000

    Reference: E & Yu (2018), arXiv:1710.00211.
    """
    dtype = _prepare.float_dtype(dtype)
    inside = gauss_legendre(num_points, domain=domain, dtype=dtype)
    solution = sum_of_sines(frequencies, amplitudes, dtype)
    return _ritz(
        solution,
        inside,
        interval_ends(domain, dtype),
        _energy_1d(solution, *_prepare.interval(domain)),
        (boundary_weight, consistent, domain),
        "ritz_1d",
    )


def ritz_2d(
    *,
    frequency: Any = 0.5,
    num_side: Any = 20,
    boundary_weight: Any = 500.0,
    consistent: Any = False,
    domain: Any = (-1.0, 1.0),
    dtype: Any = None,
) -> Functional:
    r"""The energy of −Δu = f on a square, of the solution of `poisson_2d`.

    As `ritz_1d`, L = ∫ ½ |∇u|² − f u dx + (β/2) ∮ (u − u*)² dS + constant.

    Args:
        frequency: ν of the solution sin(2πν x_0) sin(2πν x_1).
        num_side: Points along a side.
        boundary_weight: β, positive.
        consistent: Whether the boundary values make u* the minimiser.
        domain: Left and right end of both sides.
        dtype: Of points and numbers.

    Returns:
        The functional, of parts "energy", which can be negative, and "boundary".

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> problem = ritz_2d(consistent=True)
        >>> print(f"{problem.loss_of(lambda x: 0.0 * x[0]) / jnp.pi**2:.6f}")
        1.000000

    Reference: E & Yu (2018), arXiv:1710.00211.
    """
    dtype = _prepare.float_dtype(dtype)
    side = gauss_legendre(num_side, domain=domain, dtype=dtype)
    solution = product_of_sines(frequency, dtype)
    return _ritz(
        solution,
        tensor(side, side),
        square_boundary(side, interval_ends(domain, dtype)),
        _energy_2d(solution, *_prepare.interval(domain)),
        (boundary_weight, consistent, domain),
        "ritz_2d",
    )


class _Energy(eqx.Module):
    """½ |∇u|² − f u − constant."""

    solution: Sines | ProductOfSines
    constant: Float[Array, ""]

    def __call__(self, u: Function, x: Float[Array, " d"]) -> Float[Array, ""]:
        slope = gradient(u)(x)
        return slope @ slope / 2 - self.solution.source(x) * u(x) - self.constant


class _ShiftedDifference(eqx.Module):
    """u − u* − ∂_n u*/β on the boundary of a cube."""

    solution: Sines | ProductOfSines
    weight: Float[Array, ""]
    centre: Float[Array, ""]

    def __call__(self, u: Function, x: Float[Array, " d"]) -> Float[Array, ""]:
        away = x - self.centre
        face = jnp.argmax(jnp.abs(away))  # the normal points along this axis
        slope = jnp.sign(away[face]) * gradient(self.solution)(x)[face]
        return u(x) - self.solution(x) - slope / self.weight


def _ritz(solution, inside, boundary, known, options, name: str) -> Functional:
    r"""An energy, less its least value; `known` are E(u*) and ∮ (∂_n u*)² dS.

    With v = u − u* and boundary values u* + s the energy is E(u*) + ½∫|∇v|² +
    ∮ v ∂_n u* + (β/2)∮(v − s)²: squares, and E(u*) + (1/2β)∮(∂_n u*)² for s = ∂_n u*/β,
    E(u*) − (1/2β)∮(∂_n u*)² for s = 0.
    """
    (energy, flux), (boundary_weight, consistent, domain) = known, options
    dtype = inside.points.dtype
    weight = number("boundary_weight", boundary_weight, dtype, positive=True)
    shift = flux / (2 * float(weight))
    density, least = Difference(solution), energy - shift
    if _prepare.flag("consistent", consistent):
        centre = jnp.asarray(sum(_prepare.interval(domain)) / 2, dtype)
        density = _ShiftedDifference(solution, weight, centre)
        least = energy + shift
    volume = float(np.sum(np.asarray(inside.weights, np.float64)))
    constant = jnp.asarray(least / volume, dtype)
    points, weights = boundary
    parts = [
        Part("energy", inside.points, inside.weights, _Energy(solution, constant)),
        Part("boundary", points, weight * weights, residual(density)),
    ]
    return Functional(parts, order=1, solution=solution, name=name)


def _energy_1d(solution: Sines, left: float, right: float) -> tuple[float, float]:
    """E(u*) = [u u'] − ½ ∫ u'², and Σ_ends u'², in closed form."""
    a, omega = (np.asarray(v, np.float64) for v in (solution.a, solution.omega))
    ends = np.array([left, right])
    values, slopes = np.sin(ends[:, None] * omega) @ a, a * omega
    sums, differences = omega[:, None] + omega, omega[:, None] - omega
    products = _cosines(sums, left, right) + _cosines(differences, left, right)
    square = slopes @ products @ slopes / 2
    slopes = np.cos(ends[:, None] * omega) @ slopes
    energy = values[1] * slopes[1] - values[0] * slopes[0] - square / 2
    return float(energy), float(slopes @ slopes)


def _energy_2d(
    solution: ProductOfSines, left: float, right: float
) -> tuple[float, float]:
    """E(u*) = ω² S (C − 2S) and ∮ (∂_n u*)², S and C the integrals of sin² and cos²."""
    omega, length = float(solution.omega), right - left
    wave = _cosines(2 * omega, left, right)
    sine, cosine = (length - wave) / 2, (length + wave) / 2
    ends = math.cos(omega * left) ** 2 + math.cos(omega * right) ** 2
    return omega**2 * sine * (cosine - 2 * sine), 2 * omega**2 * ends * sine


def _cosines(omega: Any, left: float, right: float) -> Any:
    """∫ cos(ωx) dx from left to right."""
    half, middle = (right - left) / 2, (right + left) / 2
    return 2 * half * np.cos(omega * middle) * np.sinc(omega * half / math.pi)
