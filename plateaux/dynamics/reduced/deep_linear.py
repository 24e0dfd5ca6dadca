r"""Deep linear networks from a balanced, aligned start: one chain a singular mode.

With white inputs, E[xxᵀ] = cI, and E[yxᵀ] = Σ_α s_α p_α q_αᵀ, the network W_L ⋯ W_1
whose W_l = Σ_α w_α r_{l,α} r_{l−1,α}ᵀ, r_0 = q, r_L = p, all r_{l,α} orthonormal, keeps
these directions under gradient flow, and every u_α = w_α^L is a balanced chain with
target s_α/c. Strong modes are learnt first, and the loss

    L(t) = ½ E‖y‖² − Σ s_α²/(2c) + Σ_α ½ c (s_α/c − u_α(t))²

falls by s_α²/(2c) at a time: saddle to saddle.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import _checks
from ...problems.losses import SquaredError
from ...problems.problem import Problem, check_data
from .chain import ChainLaw

_OFF_WHITE = 1e-6


class LinearModes(eqx.Module):
    """The modes of a deep linear network, strongest first, and their laws.

    Attributes:
        law: One `ChainLaw` a mode, with arrays of shape (r,).
        floor: Loss of the best linear predictor.
        left: The p_α by columns, shape (o, r).
        right: The q_α by columns, shape (d, r).
    """

    law: ChainLaw
    floor: Float[Array, ""]
    left: Float[Array, "o r"]
    right: Float[Array, "d r"]

    def strengths(self, time: Any) -> Float[Array, "... r"]:
        """The u_α at times of any shape."""
        return self.law.output(_last_axis(time, self.law.target))

    def loss(self, time: Any) -> Float[Array, "..."]:
        """The loss at times of any shape."""
        excess = self.law.excess(_last_axis(time, self.law.target))
        return self.floor + jnp.sum(excess, axis=-1)

    def escape_times(self, share: Any = 0.5) -> Float[Array, " r"]:
        """When every u_α is a share of its target."""
        if _checks.is_concrete(share) and not 0 < share < 1:
            raise ValueError(
                f"Argument `share` must lie strictly between 0 and 1, but is {share}."
            )
        return self.law.time(jnp.asarray(share, self.floor.dtype) * self.law.target)


def linear_modes(problem: Problem, *, depth: Any, start: Any) -> LinearModes:
    r"""How a deep linear network learns the singular modes of E[yxᵀ], one by one.

    Args:
        problem: Data with the squared loss and white inputs, E[xxᵀ] = cI.
        depth: L, the number of weight matrices, the readout included.
        start: u_0, the strength of every mode at the start: one number, or one a mode,
            positive and below the targets.

    Returns:
        The modes whose singular values are not 0: the others have no target and are
        taken to start at 0, where they stay.

    Raises:
        ValueError: If the inputs are not white, all correlations are 0, or `start` is
            not as said.
        TypeError: If the problem is not data with the squared loss.

    Example:
        >>> import plateaux as px
        >>> x = jnp.array([[1.0, 1.0], [1.0, -1.0]])
        >>> y = x @ jnp.diag(jnp.array([4.0, 1.0]))
        >>> modes = linear_modes(px.Problem(x, y), depth=3, start=1e-3)
        >>> print(modes.law.target.round(6), modes.escape_times().round(2))
        [4. 1.] [2.37 9.14]
        >>> print(modes.loss(jnp.array([0.0, 5.0, 15.0])).round(2))
        [8.5  0.49 0.  ]

    Reference: Saxe, McClelland & Ganguli (2013), arXiv:1312.6120.
    """
    check_data(problem)
    if not isinstance(problem.loss, SquaredError):
        raise TypeError(
            "Argument `problem` must have the squared loss for modes of a linear "
            f"network, but has {problem.loss}."
        )
    depth = _checks.count("depth", depth)
    _checks.positive("start", start)
    rate, off, power, (left, values, right) = _decomposed(problem)
    _check_white(off, rate)
    size = _rank(values)
    values, target = values[:size], values[:size] / rate
    u0 = jnp.broadcast_to(jnp.asarray(start, target.dtype), target.shape)
    _check_start(u0, target)
    floor = power - jnp.sum(values**2) / (2 * rate)
    law = ChainLaw(depth, target, jnp.full_like(target, rate), jnp.log(u0))
    return LinearModes(law, jnp.maximum(floor, 0), left[:, :size], right[:size].T)


@eqx.filter_jit
def _decomposed(problem: Problem):
    """c, how far E[xxᵀ] is from cI, ½ E‖y‖² and the singular modes of E[yxᵀ]."""
    q = problem.sample_weights
    y = problem.y if problem.y.ndim == 2 else problem.y[:, None]
    weighted = q[:, None] * problem.x
    second = problem.x.T @ weighted
    rate = jnp.trace(second) / len(second)
    off = jnp.max(jnp.abs(second - rate * jnp.eye(len(second), dtype=second.dtype)))
    power = q @ jnp.sum(y**2, axis=1) / 2
    return rate, off, power, jnp.linalg.svd(y.T @ weighted, full_matrices=False)


def _last_axis(time: Any, like: Array) -> Array:
    """Times with a last axis for the modes."""
    time = jnp.asarray(time, like.dtype)
    return jnp.broadcast_to(time[..., None], (*time.shape, like.size))


def _rank(values: Array) -> int:
    """The number of singular values that are not 0 to rounding."""
    if not _checks.is_concrete(values):
        return values.size
    cut = 64 * jnp.finfo(values.dtype).eps * values[0]
    size = int(jnp.sum(values > cut))
    if size == 0:
        raise ValueError(
            "Argument `problem` must have E[yxᵀ] not 0 for modes of a linear network, "
            "but it is 0; such networks learn nothing."
        )
    return size


def _check_white(off: Array, rate: Array) -> None:
    if _checks.is_concrete(off) and not bool(off <= _OFF_WHITE * rate):
        raise ValueError(
            "Argument `problem` must have white inputs, E[xxᵀ] = cI, but that is off "
            f"by {float(off / rate):.1e} c; whiten the inputs, or train the network."
        )


def _check_start(start: Array, target: Array) -> None:
    below = jnp.all(start < target)
    if _checks.is_concrete(below) and not bool(below):
        raise ValueError(
            "Argument `start` must be below the targets of all modes, "
            f"{target}, but is {start}."
        )
