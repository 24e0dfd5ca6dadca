r"""Signals of neural chains as signs and logarithms, which never leave the floats.

With factors c_l (w_l, or 1 + s w_l of a residual chain), z_l = c_l h_{l−1} and h_l =
φ(z_l), L being the output z_L, the derivatives of f = z_L are products of factors and
slopes: ∂f/∂z_l = Π_{j>l} c_j φ'(z_{j−1}), ∂f/∂w_l = s h_{l−1} ∂f/∂z_l, and ∂f/∂h_l =
c_{l+1} ∂f/∂z_{l+1}.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from ..networks.chain import Chain
from ..problems.problem import Problem


class Signed(NamedTuple):
    """Numbers of any size.

    Attributes:
        sign: −1, 0 or 1.
        log: Logarithm of the absolute value, −∞ for 0.
    """

    sign: Float[Array, "..."]
    log: Float[Array, "..."]

    def __mul__(self, other: "Signed") -> "Signed":  # pyright: ignore[reportIncompatibleMethodOverride]
        return Signed(self.sign * other.sign, self.log + other.log)


class ChainSignals(NamedTuple):
    """What signals say of a chain, for all layers and data.

    Attributes:
        units: h_1 … h_{L−1} and the output, shape (L, K).
        backward: ∂L/∂h_l, and ∂L/∂f, shape (L, K).
        gradient: log|∂L/∂w_l|, shape (L,).
    """

    units: Signed
    backward: Signed
    gradient: Float[Array, " L"]


def chain_signals(problem: Problem, network: Chain) -> ChainSignals:
    """Units, their gradients and the weights' gradients, for all layers at once."""
    x, factors = signed(problem.x[:, 0]), signed(network.factors[:, None])
    before, units, slopes = _forward(network, x)
    output = units.sign[-1] * jnp.exp(units.log[-1])
    error = jax.vmap(problem.loss.gradient)(output, problem.y)
    at_output = signed((problem.sample_weights * error)[None, :])

    # --- from the output back: ∂L/∂z_l, the last first ---
    steps = Signed(factors.sign[1:], factors.log[1:]) * slopes
    backward = _products_from_the_end(at_output, steps)
    scale = 1.0 if network.residual_scale is None else network.residual_scale
    weights = before * backward * signed(jnp.full((1, 1), scale, output.dtype))
    gradient, _ = logsumexp(weights.log, 1, weights.sign, return_sign=True)
    behind = Signed(backward.sign[1:], backward.log[1:])
    of_units = behind * Signed(factors.sign[1:], factors.log[1:])
    return ChainSignals(units, _joined(of_units, at_output), gradient)


def signed(values: Float[Array, "..."]) -> Signed:
    """Numbers as signs and logarithms."""
    return Signed(jnp.sign(values), jnp.log(jnp.abs(values)))


def _forward(network: Chain, x: Signed) -> tuple[Signed, Signed, Signed]:
    """The h_{l−1} and h_l (z_L for l = L), and the slopes φ'(z_l) but the last."""
    phi = network.activation

    def in_logs(h, factor):
        z = h * Signed(jnp.sign(factor), jnp.log(jnp.abs(factor)))
        value = signed(phi(z.sign)) * Signed(jnp.ones_like(z.log), z.log)
        value = Signed(value.sign, jnp.where(value.sign == 0, -jnp.inf, value.log))
        return value, (h, z, value, phi.derivative(z.sign))

    def in_floats(h, factor):
        z = factor * h
        return phi(z), (h, z, phi(z), phi.derivative(z))

    if phi.homogeneous:
        rows = jax.lax.scan(in_logs, x, network.factors)[1]
        before, z, after, slopes = rows
    else:
        start = x.sign * jnp.exp(x.log)
        rows = jax.lax.scan(in_floats, start, network.factors)[1]
        before, z, after, slopes = *map(signed, rows[:3]), rows[3]
    units = jax.tree.map(lambda h, z: h.at[-1].set(z[-1]), after, z)
    return before, units, signed(slopes[:-1])


def _products_from_the_end(last: Signed, steps: Signed) -> Signed:
    """Rows l: the last row times all steps from l on; the last row comes last."""
    rows = _joined(steps, last)
    sign = jnp.cumprod(rows.sign[::-1], axis=0)[::-1]
    return Signed(sign, jnp.cumsum(rows.log[::-1], axis=0)[::-1])


def _joined(rows: Signed, last: Signed) -> Signed:
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), rows, last)
