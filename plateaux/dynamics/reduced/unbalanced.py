r"""Two weights of unequal size: f(x) = b a x, with a² − b² kept by gradient flow."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import _checks
from .chain import numbers


def two_weight_escape_time(
    u0: Any, u1: Any, *, imbalance: Any, target: Any = 1.0, x: Any = 1.0
) -> Float[Array, "..."]:
    r"""Time in which the product u = ab of two weights grows from u_0 to u_1 < y/x.

    Gradient flow of ½(y − xab)² keeps c = a² − b², so that a² + b² = √(c² + 4u²) and,
    with x = 1 and S = √(c² + 4y²),

        u̇ = √(c² + 4u²) (y − u),
        t = [−S^{−1} ln((y − u)/(c² + 4uy + S√(c² + 4u²)))] from u_0 to u_1.

    A general x turns y into y/x and time into x² t. With c = 0 it is the balanced chain
    of two weights; with c ≠ 0 the origin is no saddle on the way, and u_0 may be 0 or
    negative.

    Args:
        u0: Product of the weights at the start; positive where c = 0.
        u1: Product at the end, between u_0 and y/x.
        imbalance: c = a² − b², of either sign.
        target: y > 0. For y < 0 change the signs of y and u.
        x: The input, positive.

    Returns:
        The time, in flow time; inf from u_0 ≤ 0 with c = 0.

    Raises:
        ValueError: If `target` or `x` is not positive, or not u_0 ≤ u_1 < y/x.

    Example:
        >>> time = two_weight_escape_time(0.0, 0.5, imbalance=1.0)
        >>> print(time.round(3))
        0.598

    Reference: Saxe, McClelland & Ganguli (2013), arXiv:1312.6120.
    """
    _checks.positive("target", target)
    _checks.positive("x", x)
    u0, u1, c, y, x = numbers(u0, u1, imbalance, target, x)
    limit = y / x
    if all(map(_checks.is_concrete, (u0, u1, limit))):
        if not bool(jnp.all((u0 <= u1) & (u1 < limit))):
            raise ValueError(
                "Arguments `u0` and `u1` must satisfy u0 <= u1 < target/x, but are "
                f"{u0} and {u1} with target/x = {limit}."
            )
    # In units of the target, in which no square overflows before its root does.
    c = jnp.abs(c) / limit
    root = _hypot(c, jnp.full_like(c, 2))
    late, early = (_log_odds(u / limit, (limit - u) / limit, c) for u in (u1, u0))
    return (late - early) / (root * limit * x**2)


def _log_odds(u, missing, c) -> Float[Array, "..."]:
    """ln((c² + 4u + S R)/(1 − u)), R = √(c² + 4u²), for the target 1."""
    product = _hypot(c, jnp.full_like(c, 2)) * _hypot(c, 2 * u)
    plain = c**2 + 4 * u
    # (S R)² − (c² + 4u)² = 4c² (1 − u)²: where the sum would cancel.
    cancels = plain < 0
    safe = jnp.where(cancels, product - plain, 1)
    other = 4 * c**2 * missing / safe
    direct = jnp.where(cancels, 1, plain + product) / missing
    return jnp.log(jnp.where(cancels, other, direct))


def _hypot(a, b) -> Float[Array, "..."]:
    """√(a² + b²), whose derivative at 0, 0 is 0."""
    zero = (a == 0) & (b == 0)
    return jnp.where(zero, 0, jnp.hypot(jnp.where(zero, 1, a), b))
