r"""One step of the explicit method of Dormand and Prince, order 5 with embedded 4.

The coefficients are those of Dormand & Prince (1980), "A family of embedded
Runge–Kutta formulae", J. Comput. Appl. Math. 6, 19–26; the dense output of order 4 is
that of Hairer, Nørsett & Wanner (1993), "Solving Ordinary Differential Equations I",
section II.6 (Shampine's).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERROR = (
    71 / 57600,
    0.0,
    -71 / 16695,
    71 / 1920,
    -17253 / 339200,
    22 / 525,
    -1 / 40,
)
INTERPOLATION = (
    -12715105075 / 11282082432,
    0.0,
    87487479700 / 32700410799,
    -10690763975 / 1880347072,
    701980252875 / 199316789632,
    -1453857185 / 822651844,
    69997945 / 29380423,
)

Vector = Float[Array, " p"]


class ExplicitStep(NamedTuple):
    """What one step gives.

    Attributes:
        value: y⁺, of order 5.
        error: y⁺ minus the embedded solution of order 4.
        dense: Coefficients of the polynomial in the fraction τ ∈ [0, 1] of the step,
            Σ_j dense[j] τ^j, of order 4; it is y at 0 and y⁺ at 1.
        slope: f(y⁺), with which the next step starts.
    """

    value: Vector
    error: Vector
    dense: Float[Array, "5 p"]
    slope: Vector


def explicit_step(
    field: Callable[[Vector], Vector], slope: Vector, y: Vector, h: Any
) -> ExplicitStep:
    r"""One step of Dormand–Prince 5(4) for the autonomous system ẏ = f(y).

    Six evaluations of f.

    Args:
        field: f.
        slope: f(y).
        y: Where the step starts.
        h: Step size.

    Returns:
        The step.

    Example:
        >>> field = lambda y: -(y**3)  # y(t) = 1/√(1 + 2t)
        >>> y = jnp.array([1.0])
        >>> step = explicit_step(field, field(y), y, 0.1)
        >>> bool(abs(step.value[0] - 1.2**-0.5) < 1e-6)
        True

    Reference: Dormand & Prince (1980).
    """
    slopes, value = [slope], y
    for weights in STAGES:
        value = y + h * _sum(weights, slopes)
        slopes.append(field(value))
    change, start = value - y, h * slope
    # y + τ Δ + τ(1 − τ) [B + τ (C + (1 − τ) E)], sorted by powers of τ
    b = start - change
    c = change - h * slopes[-1] - b
    e = h * _sum(INTERPOLATION, slopes)
    dense = jnp.stack([y, start, c + e - b, -c - 2 * e, e])
    return ExplicitStep(value, h * _sum(ERROR, slopes), dense, slopes[-1])


def _sum(weights: tuple[float, ...], slopes: list[Vector]) -> Vector:
    terms = [w * k for w, k in zip(weights, slopes, strict=True) if w]
    return sum(terms[1:], start=terms[0])
