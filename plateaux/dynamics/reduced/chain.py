r"""The balanced linear chain: how long a plateau of depth L lasts, in closed form.

A chain f(x) = w_L ⋯ w_1 x of equal weights w = u^{1/L} keeps them equal under gradient
flow of ½ E[(y − f)²], and with p = 2 − 2/L, c = E[x²] and the target ū = E[xy]/c

    u̇ = L c u^p (ū − u).

With z = u/ū and a = z^{1/L} it is ∫ da/(a^{L−1}(1 − a^L)) = c ū^p t; term by term, for
every L ≥ 1,

    c ū^p t = ∫ a^{1−L} da + [a²/2 + a²/L Σ_{j≥1} z^j/(j + 2/L)] from a_0 to a_1,

in which nothing cancels. The first term is the plateau, (a_0^{2−L} − a_1^{2−L})/(L−2),
or ln(a_1/a_0) for L = 2; with E[x²] = 1 it is about 1/((L−2) ū w_0^{L−2}). The bracket
is (a²/2) ₂F₁(1, 2/L; 1 + 2/L; z).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import _checks
from .hypergeometric import fractions_sum

# Beyond this logit 1 − z is below all rounding: only its logarithm still moves.
_SATURATED = 40.0
_BISECTIONS = 64


def chain_escape_time(
    u0: Any, u1: Any, *, depth: Any, target: Any = 1.0, x: Any = 1.0
) -> Float[Array, "..."]:
    r"""Time in which a balanced chain grows from output weight u_0 to u_1 < y/x.

    Gradient flow of ½(y − xΠ)² with Π = u = w^L: u̇ = L u^{2−2/L} x (y − xu). A general
    x is a change of scales: y becomes y/x, and time runs x² times as fast. The loss
    ½(y − xu)² reaches a level R at u_1 = (y − √(2R))/x. For L ≥ 3 the time is about
    1/((L−2) y w_0^{L−2}) at x = 1, whatever u_1.

    Args:
        u0: Product of the weights at the start, positive.
        u1: Product at the end, between u_0 and y/x.
        depth: L ≥ 1, the number of weights.
        target: y > 0. For y < 0 change the signs of y and u.
        x: The input, positive.

    Returns:
        The time, in flow time; inf where it overflows, see `log_chain_escape_time`.

    Raises:
        ValueError: If a number is not positive, or not u_0 ≤ u_1 < y/x.

    Example:
        >>> print(chain_escape_time(0.3**10, 0.5, depth=10).round(1))
        1905.4
        >>> print(chain_escape_time(0.01, 0.99, depth=2).round(4))  # ln(99) = 4.5951
        4.5951

    Reference: Saxe, McClelland & Ganguli (2013), arXiv:1312.6120, for L = 2; Shamir
    (2018), arXiv:1809.08587, for the exponential growth with L.
    """
    depth = _checks.count("depth", depth)
    for name, value in (("u0", u0), ("u1", u1), ("target", target), ("x", x)):
        _checks.positive(name, value)
    u0, u1, y, x = numbers(u0, u1, target, x)
    _check_order(u0, u1, y / x)
    start, end = (jnp.log(x * u) - jnp.log(y - x * u) for u in (u0, u1))
    return jnp.exp(_log_time(depth, start, end, jnp.log(y / x), 2 * jnp.log(x)))


def log_chain_escape_time(
    log_u0: Any, log_u1: Any, *, depth: Any, target: Any = 1.0, x: Any = 1.0
) -> Float[Array, "..."]:
    r"""Logarithm of the escape time, from logarithms of the products of weights.

    For products that underflow, and times that overflow: a common weight w_0 has
    log u_0 = L log w_0, and log t ≈ −(L−2) log w_0 − log((L−2) y) for x = 1.

    Args:
        log_u0: Logarithm of the product at the start.
        log_u1: Logarithm of the product at the end, below log(y/x).
        depth: L ≥ 1, the number of weights.
        target: y > 0.
        x: The input, positive.

    Returns:
        ln t; −inf where u_0 = u_1.

    Raises:
        ValueError: If a number is not as said.

    Example:
        >>> print(f"{log_chain_escape_time(-2000.0, -1.0, depth=1000):.2f}")
        1989.09

    Reference: after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021),
    arXiv:2106.03763.
    """
    depth = _checks.count("depth", depth)
    _checks.positive("target", target)
    _checks.positive("x", x)
    log_u0, log_u1, y, x = numbers(log_u0, log_u1, target, x)
    limit = jnp.log(y / x)
    _check_order(log_u0, log_u1, limit, log="log_")
    start, end = (logit_of_log(log_u - limit) for log_u in (log_u0, log_u1))
    return _log_time(depth, start, end, limit, 2 * jnp.log(x))


class ChainLaw(eqx.Module):
    r"""The law u̇ = L c u^{2−2/L} (ū − u) of a balanced chain, from u_0 < ū.

    Attributes:
        depth: L, the number of weights.
        target: ū = E[xy]/E[x²], what the product tends to.
        rate: c = E[x²].
        log_start: ln u_0.
    """

    depth: int = eqx.field(static=True)
    target: Float[Array, "..."]
    rate: Float[Array, "..."]
    log_start: Float[Array, "..."]

    def log_time(self, log_output: Any) -> Float[Array, "..."]:
        """Logarithm of the time at which the product is e^`log_output` < ū."""
        log_u, start, limit, log_rate = self._with(log_output)
        start, end = (logit_of_log(log - limit) for log in (start, log_u))
        return _log_time(self.depth, start, end, limit, log_rate)

    def time(self, output: Any) -> Float[Array, "..."]:
        """When the product is `output`, between u_0 and ū."""
        return jnp.exp(self.log_time(jnp.log(output)))

    def log_output(self, time: Any) -> Float[Array, "..."]:
        """Logarithm of the product at a time."""
        limit = self._with(time)[2]
        return limit - jax.nn.softplus(-self._logit(time))

    def output(self, time: Any) -> Float[Array, "..."]:
        """The product u = w^L at a time."""
        return jnp.exp(self.log_output(time))

    def weight(self, time: Any) -> Float[Array, "..."]:
        """The common weight w = u^{1/L} at a time."""
        return jnp.exp(self.log_output(time) / self.depth)

    def excess(self, time: Any) -> Float[Array, "..."]:
        """½ c (ū − u)², the loss above that of the best chain, at a time."""
        _, _, limit, log_rate = self._with(time)
        log_missing = limit - jax.nn.softplus(self._logit(time))
        return jnp.exp(log_rate + 2 * log_missing) / 2

    def _logit(self, time: Any) -> Float[Array, "..."]:
        """ln(u/(ū − u)) at a time, by bisection of the closed form."""
        time, start, limit, log_rate = self._with(time)
        start = logit_of_log(start - limit)
        begun = time > 0
        log_tau = jnp.log(jnp.where(begun, time, 1)) + log_rate
        log_tau = log_tau + (2 - 2 / self.depth) * limit
        found = _logit_at(_as_number(self.depth, start), start, log_tau)
        return jnp.where(begun, found, start)

    def _with(self, value: Any) -> tuple[Float[Array, "..."], ...]:
        """A value, ln u_0, ln ū and ln c in one shape."""
        target, rate = jnp.log(self.target), jnp.log(self.rate)
        return numbers(value, self.log_start, target, rate)


def numbers(*values: Any) -> tuple[Float[Array, "..."], ...]:
    """The values as floats of one dtype and shape."""
    dtype = jnp.result_type(float, *values)
    arrays = (jnp.asarray(value, dtype) for value in values)
    return tuple(jnp.broadcast_arrays(*arrays))


def logit_of_log(log_z: Float[Array, "..."]) -> Float[Array, "..."]:
    """ln(z/(1 − z)) from ln z < 0."""
    return log_z - jnp.log(-jnp.expm1(log_z))


def _log_time(depth: int, start, end, log_target, log_rate) -> Float[Array, "..."]:
    """The logarithm of t = ∫/(c ū^p) between two logits of u/ū."""
    log_integral = _log_integral(_as_number(depth, start), start, end)
    return log_integral - (2 - 2 / depth) * log_target - log_rate


def _as_number(depth: int, like: Array) -> np.ndarray:
    """L as an argument of programs, which all depths share."""
    return np.asarray(depth, like.dtype)


@jax.jit
def _log_integral(depth, start, end) -> Float[Array, "..."]:
    r"""Logarithm of ∫ da/(a^{L−1}(1 − a^L)) from one logit of z = a^L to another.

    The terms are ∫ a^{1−L} da, ∫ a da, and the rest of the sum.
    """
    log_z0, log_z1 = -jax.nn.softplus(-start), -jax.nn.softplus(-end)
    log_a0, growth = log_z0 / depth, (log_z1 - log_z0) / depth
    plateau = _log_power_integral(2 - depth, log_a0, growth)
    middle = _log_power_integral(2, log_a0, growth)
    rest = _rest(depth, end, log_z1) - _rest(depth, start, log_z0)
    total = jnp.logaddexp(plateau, middle)
    total = jnp.logaddexp(total, jnp.log(jnp.maximum(rest, 0)))
    return jnp.where(end > start, total, -jnp.inf)


def _log_power_integral(m, log_a0, growth) -> Float[Array, "..."]:
    """Logarithm of ∫ a^{m−1} da from a_0 to a_0 e^growth, without overflow."""
    exponent = jnp.abs(m * growth)
    curved = exponent > 0
    ratio = -jnp.expm1(-exponent) / jnp.where(curved, exponent, 1)
    ratio = jnp.where(curved, ratio, 1)
    return m * log_a0 + jnp.maximum(m, 0) * growth + jnp.log(growth * ratio)


def _rest(depth, logit, log_z) -> Float[Array, "..."]:
    """a²/L Σ_{j≥1} z^j/(j + 2/L) = ∫_0^a s^{L+1}/(1 − s^L) ds."""
    return jnp.exp(2 / depth * log_z) / depth * fractions_sum(2 / depth, logit)


@jax.jit
def _logit_at(depth, start, log_tau) -> Float[Array, "..."]:
    """The logit at which the integral is e^`log_tau`, with derivatives."""
    fixed = jax.lax.stop_gradient((start, log_tau))
    found = _bisected(depth, *fixed)
    late = jnp.maximum(fixed[0], _SATURATED)
    log_late = _log_integral(depth, start, late)
    saturated = log_tau >= log_late
    # There the integral grows by 1/L per unit of the logit.
    over = jnp.where(saturated, jnp.exp(log_tau) - jnp.exp(log_late), 0)
    # Newton's step is 0 here, but its derivatives are those of the inverse function.
    log_slope = (2 / depth - 1) * -jax.nn.softplus(-found) - jnp.log(depth)
    safe = jnp.where(found > fixed[0], found, fixed[0] + 1)
    value = _log_integral(depth, start, safe)
    scale = jax.lax.stop_gradient(jnp.exp(value - log_slope))
    step = scale * (log_tau - value)
    step = jnp.where(jnp.isfinite(scale), step - jax.lax.stop_gradient(step), 0)
    return jnp.where(saturated, late + depth * over, found + step)


def _bisected(depth, start, log_tau) -> Float[Array, "..."]:
    def halve(_, bracket):
        low, high = bracket
        middle = (low + high) / 2
        early = _log_integral(depth, start, middle) < log_tau
        return jnp.where(early, middle, low), jnp.where(early, high, middle)

    bracket = (start, jnp.maximum(start, _SATURATED))
    low, high = jax.lax.fori_loop(0, _BISECTIONS, halve, bracket)
    return (low + high) / 2


def _check_order(start, end, limit, log: str = "") -> None:
    """Refuse ends that are not start ≤ end < limit."""
    if not all(map(_checks.is_concrete, (start, end, limit))):
        return
    if not bool(jnp.all((start <= end) & (end < limit))):
        bound = "log(target/x)" if log else "target/x"
        raise ValueError(
            f"Arguments `{log}u0` and `{log}u1` must satisfy {log}u0 <= {log}u1 < "
            f"{bound}, but are {start} and {end} with {bound} = {limit}."
        )
