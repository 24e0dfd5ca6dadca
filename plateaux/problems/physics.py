r"""Differential equations with known solutions, as functionals to train networks on.

The mean of ½ r² over the domain, r the residual ("physics-informed"), and β times the
mean of ½ (u − u*)² over its boundary, u* the solution:

    L = (1/|Ω|) ∫_Ω ½ r(u)² dx + (β/|∂Ω|) ∫_∂Ω ½ (u − u*)² dS.

Points are those of Gauss–Legendre rules. Sources of Poisson's equation are
manufactured: f = −Δu* of a chosen u*.

Reference: Raissi, Perdikaris & Karniadakis (2019), J. Comput. Phys. 378.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from . import _prepare
from ._solutions import (
    Difference,
    Kink,
    ProductOfSines,
    Sines,
    Wave,
    interval_ends,
    number,
    product_of_sines,
    square_boundary,
    sum_of_sines,
)
from .functionals import Functional, Part, residual
from .operators import Function, jet, laplacian
from .quadrature import Quadrature, gauss_legendre, tensor


def poisson_1d(
    *,
    frequencies: Any = (0.5, 2.0),
    amplitudes: Any = (1.0, 0.1),
    num_points: Any = 100,
    boundary_weight: Any = 100.0,
    domain: Any = (-1.0, 1.0),
    dtype: Any = None,
) -> Functional:
    r"""−u'' = f on an interval, with the solution u = Σ_j a_j sin(2πν_j x).

    Args:
        frequencies: ν_j, periods per unit length.
        amplitudes: a_j.
        num_points: Inner points.
        boundary_weight: β, positive: how much the two ends count.
        domain: Left and right end.
        dtype: Of points and numbers.

    Returns:
        The functional, of parts "residual" and "boundary".

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> problem = poisson_1d(num_points=50)
        >>> problem.num_data, float(problem.loss_of(problem.solution)) < 1e-12
        (52, True)

    Reference: after Yang, Zhao & Zhu (2024), arXiv:2412.05144.
    """
    dtype = _prepare.float_dtype(dtype)
    inside = gauss_legendre(num_points, domain=domain, dtype=dtype)
    solution = sum_of_sines(frequencies, amplitudes, dtype)
    ends = interval_ends(domain, dtype)
    return _poisson(solution, inside, ends, boundary_weight, "poisson_1d")


def poisson_2d(
    *,
    frequency: Any = 0.5,
    num_side: Any = 20,
    boundary_weight: Any = 100.0,
    domain: Any = (-1.0, 1.0),
    dtype: Any = None,
) -> Functional:
    r"""−Δu = f on a square, with the solution u = sin(2πν x_0) sin(2πν x_1).

    Args:
        frequency: ν, periods per unit length.
        num_side: Points along a side: num_side² inner ones, 4 num_side on the boundary.
        boundary_weight: β, positive: how much the boundary counts.
        domain: Left and right end of both sides.
        dtype: Of points and numbers.

    Returns:
        The functional, of parts "residual" and "boundary".

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> problem = poisson_2d(num_side=5)
        >>> problem.num_data, problem.in_dim
        (45, 2)

    Reference: after Yang, Zhao & Zhu (2024), arXiv:2412.05144.
    """
    dtype = _prepare.float_dtype(dtype)
    side = gauss_legendre(num_side, domain=domain, dtype=dtype)
    sides = square_boundary(side, interval_ends(domain, dtype))
    solution = product_of_sines(frequency, dtype)
    return _poisson(solution, tensor(side, side), sides, boundary_weight, "poisson_2d")


def burgers(
    *,
    viscosity: Any = 0.05,
    speed: Any = 0.5,
    height: Any = 0.5,
    position: Any = -0.25,
    num_times: Any = 20,
    num_points: Any = 40,
    boundary_weight: Any = 100.0,
    dtype: Any = None,
) -> Functional:
    r"""u_t + u u_x = ν u_xx for 0 < t < 1, −1 < x < 1, with a travelling wave.

    u(t, x) = c − a tanh(a (x − ct − x_0)/2ν) solves it: a front from c + a on the left
    to c − a on the right, of width 2ν/a, that moves with speed c. Points are (t, x).

    Args:
        viscosity: ν, positive.
        speed: c.
        height: a, half the height of the front, positive.
        position: x_0, where the front is at t = 0.
        num_times: Times.
        num_points: Places a time; the inner points are num_times × num_points.
        boundary_weight: β, positive: how much the initial time counts, and as much
            the two ends.
        dtype: Of points and numbers.

    Returns:
        The functional, of parts "residual", "initial" and "boundary".

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> problem = burgers(num_times=5, num_points=10)
        >>> [len(part.x) for part in problem.parts]
        [50, 10, 10]

    Reference: Whitham (1974), Linear and Nonlinear Waves, section 4.3.
    """
    dtype = _prepare.float_dtype(dtype)
    wave = Wave(
        number("viscosity", viscosity, dtype, positive=True),
        number("speed", speed, dtype),
        number("height", height, dtype, positive=True),
        number("position", position, dtype),
    )
    times = gauss_legendre(num_times, domain=(0.0, 1.0), dtype=dtype)
    places = gauss_legendre(num_points, domain=(-1.0, 1.0), dtype=dtype)
    start = Quadrature(jnp.zeros((1, 1), dtype), jnp.ones(1, dtype))
    weight = number("boundary_weight", boundary_weight, dtype, positive=True)
    known, inside = residual(Difference(wave)), residual(_Burgers(wave.viscosity))
    parts = [
        _mean_part("residual", tensor(times, places), inside),
        _mean_part("initial", tensor(start, places), known, weight),
        _mean_part(
            "boundary", tensor(times, interval_ends((-1.0, 1.0), dtype)), known, weight
        ),
    ]
    return Functional(parts, order=2, solution=wave, name="burgers")


def allen_cahn(
    *,
    width: Any = 0.1,
    position: Any = 0.2,
    num_points: Any = 100,
    boundary_weight: Any = 100.0,
    dtype: Any = None,
) -> Functional:
    r"""−ε² u'' + u³ − u = 0 on (−1, 1), with the kink u = tanh((x − x_0)/(√2 ε)).

    Args:
        width: ε, positive.
        position: x_0.
        num_points: Inner points.
        boundary_weight: β, positive: how much the two ends count.
        dtype: Of points and numbers.

    Returns:
        The functional, of parts "residual" and "boundary".

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> problem = allen_cahn(num_points=50)
        >>> problem.num_data, problem.order
        (52, 2)

    Reference: Allen & Cahn (1979), Acta Metallurgica 27, 1085-1095.
    """
    dtype = _prepare.float_dtype(dtype)
    kink = Kink(
        number("width", width, dtype, positive=True),
        number("position", position, dtype),
    )
    weight = number("boundary_weight", boundary_weight, dtype, positive=True)
    inside = gauss_legendre(num_points, domain=(-1.0, 1.0), dtype=dtype)
    parts = [
        _mean_part("residual", inside, residual(_AllenCahn(kink.width))),
        _mean_part(
            "boundary",
            interval_ends((-1.0, 1.0), dtype),
            residual(Difference(kink)),
            weight,
        ),
    ]
    return Functional(parts, order=2, solution=kink, name="allen_cahn")


# --- equations --------------------------------------------------------


class _Poisson(eqx.Module):
    """−Δu − f."""

    solution: Sines | ProductOfSines

    def __call__(self, u: Function, x: Float[Array, " d"]) -> Float[Array, ""]:
        return -laplacian(u)(x) - self.solution.source(x)


class _Burgers(eqx.Module):
    """u_t + u u_x − ν u_xx."""

    viscosity: Float[Array, ""]

    def __call__(self, u: Function, x: Float[Array, " d"]) -> Float[Array, ""]:
        value, (along_t, along_x), change = jet(u, 1)(x)
        return along_t + value * along_x - self.viscosity * change[1]


class _AllenCahn(eqx.Module):
    """−ε² u'' + u³ − u."""

    width: Float[Array, ""]

    def __call__(self, u: Function, x: Float[Array, " d"]) -> Float[Array, ""]:
        value, _, change = jet(u, 0)(x)
        return -(self.width**2) * change[0] + value**3 - value


def _poisson(solution, inside, boundary, boundary_weight, name: str) -> Functional:
    weight = number(
        "boundary_weight", boundary_weight, inside.points.dtype, positive=True
    )
    parts = [
        _mean_part("residual", inside, residual(_Poisson(solution))),
        _mean_part("boundary", boundary, residual(Difference(solution)), weight),
    ]
    return Functional(parts, order=2, solution=solution, name=name)


def _mean_part(name: str, rule: Quadrature, density: Any, weight: Any = 1.0) -> Part:
    """The mean of a density, times a weight."""
    points, weights = rule
    return Part(name, points, weight * weights / jnp.sum(weights), density)
