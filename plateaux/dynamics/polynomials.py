"""Polynomials on one step, τ in [0, 1]: values, Bernstein form, certified first roots.

A polynomial of degree N lies between the smallest and the largest of its N+1 Bernstein
coefficients, and has at most as many roots in (0, 1) as they have changes of sign
(Descartes). So a glance at the coefficients proves that a function does not change
its sign within a step, or changes it exactly once; no crossing is missed between
samples.

Reference: Farouki (2012), "The Bernstein polynomial basis: A centennial
retrospective", CAGD 29, 379-419.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

_ITERATIONS = 60  # as many bisections exhaust double precision


def evaluate_polynomial(coefficients: Float[Array, "j ..."], tau) -> Array:
    """Σ_j a_j τ^j; the leading axis counts powers."""
    powers = _powers(tau, coefficients.shape[0])
    rest = [1] * (coefficients.ndim - 1)
    return jnp.sum(powers.reshape(-1, *rest) * coefficients, axis=0)


def _powers(tau: Float[Array, ""], count: int) -> Float[Array, " j"]:
    """1, τ, τ², … by repeated squaring, as one elementwise product.

    `power` of floats is twenty times as slow, and a stack of products compiles to a
    kernel each.
    """
    exponents = np.arange(count)
    powers, square = jnp.ones(count, tau.dtype), tau
    for bit in range(max(count - 1, 1).bit_length()):
        has = jnp.asarray(exponents >> bit & 1 == 1)
        powers = powers * jnp.where(has, square, 1)
        square = square * square
    return powers


def bernstein_matrix(degree: int) -> np.ndarray:
    """The matrix that takes power coefficients on [0, 1] to Bernstein coefficients.

    b_i = Σ_{j≤i} [C(i,j)/C(N,j)] a_j; its entries lie in [0, 1].
    """
    rows = range(degree + 1)
    return np.array(
        [[math.comb(i, j) / math.comb(degree, j) for j in rows] for i in rows]
    )


class FirstRoot(NamedTuple):
    """The earliest change of sign among many functions that start non-negative.

    Attributes:
        tau: Where; 1 if there is none.
        which: Index of the function, counted through all groups; −1 if there is none.
        uncertain: Whether some function may leave and come back within the step; the
            answer then holds on a shorter step only.
    """

    tau: Float[Array, ""]
    which: Int[Array, ""]
    uncertain: Bool[Array, ""]


def first_root(
    bernstein: Sequence[Float[Array, "j _"]],
    tolerance: Sequence[Float[Array, " _"]],
    evaluate: Callable[[Float[Array, ""]], Sequence[Float[Array, " _"]]],
    coefficients: Callable[[Int[Array, ""]], Float[Array, " j"]],
) -> FirstRoot:
    """Find the function that is first to fall below −tolerance, and its root.

    Args:
        bernstein: Groups of functions by their Bernstein coefficients on the step, one
            column a function.
        tolerance: Round-off of every function; a dip not deeper than it is none.
        evaluate: All functions at a point of the step.
        coefficients: Power coefficients of one function.

    Returns:
        The root, to round-off.
    """
    crossings = [_crossing(b, tol) for b, tol in zip(bernstein, tolerance, strict=True)]
    uncertain = _any(c.returns for c in crossings)
    guess = [c.guess for c in crossings]

    def below(tau, which):
        """Functions that have changed their sign before tau, without this one."""
        offset, found = 0, []
        for value, tol in zip(evaluate(tau), tolerance, strict=True):
            mine = jnp.arange(value.size, dtype=jnp.int32) == which - offset
            found.append((value < -tol) & ~mine)
            offset += value.size
        return found

    def unfinished(carry):
        return carry[3] & (carry[4] < _ITERATIONS)

    def earlier(carry):
        tau, _, found, _, count = carry
        which, start = _smallest(guess, found)
        tau = newton_root(coefficients(which), start, tau)
        found = below(tau, which)
        # Functions that are below at the very start come one after another.
        more = _any(found) & (tau > jnp.finfo(tau.dtype).eps)
        return tau, which, found, more, count + 1

    found = [c.below & ~uncertain for c in crossings]
    one = jnp.ones_like(bernstein[0][0, 0])
    carry = (one, jnp.int32(-1), found, _any(found), jnp.int32(0))
    tau, which, _, _, _ = jax.lax.while_loop(unfinished, earlier, carry)
    return FirstRoot(tau, which, uncertain)


def _any(flags) -> Bool[Array, ""]:
    return jnp.any(jnp.stack([jnp.any(f) for f in flags]))


def _smallest(guess, found) -> tuple[Int[Array, ""], Float[Array, ""]]:
    """Index and value of the smallest guess among the functions found."""
    offset, best = 0, jnp.inf
    which = jnp.int32(-1)
    for values, flags in zip(guess, found, strict=True):
        values = jnp.where(flags, values, jnp.inf)
        at = jnp.argmin(values).astype(jnp.int32)
        better = values[at] < best
        which = jnp.where(better, at + offset, which)
        best = jnp.where(better, values[at], best)
        offset += values.size
    return which, jnp.minimum(best, 1)


class _Crossing(NamedTuple):
    """What the signs of a function's Bernstein coefficients say.

    Attributes:
        guess: Where the control polygon falls below zero.
        below: Whether the last coefficient is below zero.
        returns: Whether one that is not follows one that is.
    """

    guess: Float[Array, " M"]
    below: Bool[Array, " M"]
    returns: Bool[Array, " M"]


def _crossing(bernstein: Float[Array, "j M"], tolerance) -> _Crossing:
    """One pass through the coefficients; whole arrays of signs cost more."""
    degree = bernstein.shape[0] - 1
    upper = lower = bernstein[0]
    below = lower < -tolerance
    returns, at = jnp.zeros_like(below), jnp.zeros_like(lower)
    for j in range(1, degree + 1):
        negative = bernstein[j] < -tolerance
        returns = returns | (below & ~negative)
        falls = negative & ~below
        at = jnp.where(falls, j - 1, at)
        upper = jnp.where(falls, bernstein[j - 1], upper)
        lower = jnp.where(falls, bernstein[j], lower)
        below = negative
    upper = jnp.maximum(upper, 0)
    share = upper / jnp.where(upper > lower, upper - lower, 1)
    return _Crossing(jnp.clip((at + share) / degree, 0, 1), below, returns)


def newton_root(coefficients: Float[Array, " j"], guess, upper) -> Float[Array, ""]:
    """The root in [0, upper] of a polynomial that falls through 0 there once.

    Newton's method, kept within the bracket by bisection, until it stands still.
    """
    powers = jnp.arange(1, coefficients.shape[0], dtype=coefficients.dtype)
    derivative = coefficients[1:] * powers

    def moving(carry):
        return carry[3] & (carry[4] < _ITERATIONS)

    def refine(carry):
        low, high, tau, _, count = carry
        value = evaluate_polynomial(coefficients, tau)
        slope = evaluate_polynomial(derivative, tau)
        low = jnp.where(value >= 0, tau, low)
        high = jnp.where(value < 0, tau, high)
        newton = tau - value / jnp.where(slope == 0, 1, slope)
        inside = (slope != 0) & (newton >= low) & (newton <= high)
        new = jnp.where(inside, newton, 0.5 * (low + high))
        eps = 2 * jnp.finfo(tau.dtype).eps
        return low, high, new, jnp.abs(new - tau) > eps * tau, count + 1

    start = jnp.minimum(guess, upper)
    carry = (jnp.zeros_like(upper), upper, start, jnp.ones((), bool), jnp.int32(0))
    return jax.lax.while_loop(moving, refine, carry)[2]
