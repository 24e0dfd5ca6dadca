r"""Curvature of linear chains of any depth, in logarithms.

Products of many weights leave the range of floats, and the Hessian with them. But with
v_i = 1/f_i, P the product of the factors and A, B the moments of the data

    H = s² P [(2AP − B) v vᵀ − (AP − B) diag v²],   ∇L = s (AP − B) P v,

where all that is small or large is in front. What is left, a diagonal matrix and one of
rank one, has its outermost eigenvalues as roots of the secular equation.

Reference: after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021), arXiv:2106.03763;
Golub (1973), SIAM Review 15, 318-334, for the secular equation.
"""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...dynamics.chain_hessian import chain_moments, has_closed_form


class ChainCurvature(NamedTuple):
    """Sizes of gradient and Hessian of a chain; natural logarithms, −∞ for zero.

    Attributes:
        log_gradient: log ‖∇L‖.
        log_radius: log ρ(H).
        log_largest: log |λ_max|.
        sign_largest: The sign of λ_max: −1, 0 or 1.
        log_smallest: log |λ_min|.
        sign_smallest: The sign of λ_min.
    """

    log_gradient: Float[Array, ""]
    log_radius: Float[Array, ""]
    log_largest: Float[Array, ""]
    sign_largest: Float[Array, ""]
    log_smallest: Float[Array, ""]
    sign_smallest: Float[Array, ""]


class _Signed(NamedTuple):
    """sign · e^log."""

    sign: Array
    log: Array


def chain_curvature(problem: Any, chain: Any) -> ChainCurvature:
    r"""Gradient norm and outermost eigenvalues of the Hessian of a linear chain.

    Right also where they are below 1e-308 or above 1e308; costs O(L). Eigenvalues are
    right to rounding in units of ρ.

    Args:
        problem: Data with the squared loss.
        chain: A linear chain, residual or not, of any depth; zero weights are exact.

    Returns:
        Logarithms and signs.

    Raises:
        TypeError: If this is not a linear chain on data with the squared loss.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[1.0]], [1.0])
        >>> found = chain_curvature(problem, px.networks.Chain([0.01] * 300))
        >>> print(f"{found.log_radius:.2f} {found.log_gradient:.2f}")
        -1366.64 -1374.09

    Reference: after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021),
    arXiv:2106.03763.
    """
    if not has_closed_form(problem, chain):
        raise TypeError(
            "Arguments `problem` and `chain` must be data with the squared loss and a "
            f"linear Chain, but are {_kind(problem)} and {_kind(chain)}; use "
            "extreme_eigenvalues."
        )
    return _of_chain(problem, chain)


@eqx.filter_jit
def _of_chain(problem: Any, chain: Any) -> ChainCurvature:
    a, b = (_signed(moment) for moment in chain_moments(problem))
    f = chain.factors
    log_f = jnp.log(jnp.where(f == 0, 1, jnp.abs(f)))
    sign = jnp.prod(jnp.where(f == 0, 1, jnp.sign(f)))
    p = _Signed(sign, jnp.sum(log_f))  # of the factors that are not zero
    zeros = jnp.sum(f == 0)
    smallest = jnp.min(jnp.where(f == 0, jnp.inf, jnp.abs(f)))
    v = jnp.where(f == 0, 0, smallest / jnp.where(f == 0, 1, f))  # 1/f in [−1, 1]
    log_v = jnp.where(zeros == f.size, 0, -jnp.log(smallest))
    cases = [
        _no_zero(a, b, p, v, log_v),
        _one_zero(a, b, p, v, log_v),
        _two_zeros(b, p),
    ]
    gradient, *ends = jax.tree.map(
        lambda *all: jnp.select([zeros == 0, zeros == 1, zeros == 2], all, 0.0), *cases
    )
    ends = [_zero_where(end, zeros > 2) for end in ends]
    gradient = _zero_where(gradient, zeros > 1)
    scale = chain.residual_scale
    log_s = 0.0 if scale is None else math.log(abs(scale)) if scale else -math.inf
    largest, smallest = (_zero_where(end, log_s == -math.inf) for end in ends)
    logs = largest.log + 2 * log_s, smallest.log + 2 * log_s
    return ChainCurvature(
        gradient.log + log_s,
        jnp.maximum(*logs),
        logs[0],
        largest.sign,
        logs[1],
        smallest.sign,
    )


def _no_zero(a, b, p, v, log_v) -> tuple[_Signed, _Signed, _Signed]:
    """∇L, λ_max and λ_min for s = 1, no factor being zero."""
    ap = _times(a, p)
    unit = jnp.maximum(ap.log, b.log)
    unit = jnp.where(jnp.isfinite(unit), unit, 0)
    outputs, targets = (each.sign * jnp.exp(each.log - unit) for each in (ap, b))
    slope, rank_one = outputs - targets, 2 * outputs - targets
    bottom, top = _ends(-slope * v**2, rank_one, v)
    outside = _Signed(p.sign, p.log + 2 * log_v + unit)
    above, below = (_times(outside, _signed(end)) for end in (top, bottom))
    log_length = log_v + jnp.log(jnp.linalg.norm(v))
    gradient = _Signed(jnp.sign(slope), _log(slope) + unit + p.log + log_length)
    flipped = p.sign < 0
    return gradient, _choose(flipped, below, above), _choose(flipped, above, below)


def _one_zero(a, b, p, v, log_v) -> tuple[_Signed, _Signed, _Signed]:
    """One zero factor z: H_zz = A P_z², H_zj = −B P_z v_j, and no more."""
    corner = a.log + 2 * p.log
    arm = b.log + p.log + log_v + jnp.log(jnp.linalg.norm(v))
    unit = jnp.maximum(corner, arm)
    unit = jnp.where(jnp.isfinite(unit), unit, 0)
    c, r = jnp.exp(corner - unit), jnp.exp(arm - unit)
    top = (c + jnp.sqrt(c**2 + 4 * r**2)) / 2
    bottom = top if v.size == 1 else -(r**2) / jnp.where(top > 0, top, 1)
    largest, smallest = (
        _Signed(jnp.sign(end), _log(end) + unit) for end in (top, bottom)
    )
    return _Signed(-b.sign * p.sign, b.log + p.log), largest, smallest


def _two_zeros(b, p) -> tuple[_Signed, _Signed, _Signed]:
    """Two zero factors: the only entry is ∓B P without them."""
    size, sign = b.log + p.log, jnp.abs(b.sign)
    return _Signed(0 * sign, 0 * size), _Signed(sign, size), _Signed(-sign, size)


def _ends(d: Array, rank_one: Array, u: Array) -> tuple[Array, Array]:
    """Smallest and largest eigenvalue of diag d + rank_one · u uᵀ."""
    down = rank_one < 0
    d = jnp.where(down, -d, d)
    order = jnp.argsort(d)
    d, weight = d[order], jnp.abs(rank_one) * u[order] ** 2
    total = jnp.sum(weight)
    inner = d[0] + total if d.size == 1 else jnp.minimum(d[1], d[0] + total)
    bottom = _root(d, weight, d[0], inner)
    top = _root(d, weight, d[-1], d[-1] + total)
    return jnp.where(down, -top, bottom), jnp.where(down, -bottom, top)


def _root(d: Array, weight: Array, low: Array, high: Array) -> Array:
    """The root between two poles of the secular function, which increases."""

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        gap = d - middle
        terms = jnp.where(gap == 0, 0, weight / jnp.where(gap == 0, 1, gap))
        below = 1 + jnp.sum(terms) < 0
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    # beyond the digits of the interval itself
    num = jnp.finfo(d.dtype).nmant + 8
    low, high = jax.lax.fori_loop(0, num, halve, (low, high))
    return (low + high) / 2


def _choose(first: Array, left: _Signed, right: _Signed) -> _Signed:
    return _Signed(*(jnp.where(first, *pair) for pair in zip(left, right, strict=True)))


def _zero_where(number: _Signed, condition: Any) -> _Signed:
    return _Signed(
        jnp.where(condition, 0, number.sign), jnp.where(condition, -jnp.inf, number.log)
    )


def _kind(value: Any) -> str:
    loss = getattr(value, "loss", None)
    what = "" if loss is None else f" with {type(loss).__name__}"
    return f"a {type(value).__name__}{what}"


def _times(left: _Signed, right: _Signed) -> _Signed:
    return _Signed(left.sign * right.sign, left.log + right.log)


def _signed(number: Array) -> _Signed:
    return _Signed(jnp.sign(number), _log(number))


def _log(number: Array) -> Array:
    """log|z|, −∞ for 0."""
    return jnp.log(jnp.abs(number))
