r"""What a network with small weights sees of a problem.

Where all pre-activations are small, φ(z) = φ'(0) z + φ''(0) z²/2 + φ'''(0) z³/6 + …,
and of the data only a few moments matter. E is the sum over data with the sample
weights q of the problem, x̃ = (x, 1), v_i = (w_i, b_i), and r = y − f.
"""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from ...networks.activations import Activation
from ...networks.network import extended
from ...networks.two_layer import TwoLayer
from ...problems.losses import SquaredError
from ...problems.problem import Problem, check_match

# A direction counts as kept if it turns by less than this share.
_TURNS = 1e-6


class SmallWeights(NamedTuple):
    r"""The moments that rule small networks.

    Attributes:
        correlation: z = E[y x̃].
        direction: ẑ = z/‖z‖ (−z/‖z‖ if φ'(0) < 0), along which neurons condense,
            so that c ẑ·v > 0; 0 if z is.
        moments: S = E[x̃ x̃ᵀ].
        rate: λ = φ'(0)‖z‖, at which condensing neurons grow.
        slope: φ'(0).
        bend: φ''(0).
        cubic: φ'''(0).
    """

    correlation: Float[Array, " D"]
    direction: Float[Array, " D"]
    moments: Float[Array, "D D"]
    rate: Float[Array, ""]
    slope: float
    bend: float
    cubic: float


def small_weights(problem: Problem, activation: Activation) -> SmallWeights:
    r"""The moments of a problem, and the first derivatives of an activation at 0.

    Args:
        problem: Data with the squared loss and scalar targets.
        activation: φ, smooth at 0 with φ(0) = 0.

    Returns:
        The moments.

    Raises:
        ValueError: If loss, targets or activation are not as said.

    Example:
        >>> import plateaux as px
        >>> problem = px.problems.sine_and_square()
        >>> small = small_weights(problem, px.networks.activation("tanh"))
        >>> print(small.rate.round(6), small.cubic)
        0.472975 -2.0

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    check_squared(problem)
    slope, bend, cubic = _checked_derivatives(activation)
    return SmallWeights(*_moments(problem, slope), slope, bend, cubic)


@eqx.filter_jit
def _moments(problem: Problem, slope: float) -> tuple[Array, Array, Array, Array]:
    """z, ẑ, S and λ."""
    x1, q = extended(problem.x), problem.sample_weights
    z = (q * problem.y) @ x1
    length = jnp.sqrt(jnp.sum(z**2))
    direction = math.copysign(1, slope) * z / jnp.where(length > 0, length, 1)
    return z, direction, (q[:, None] * x1).T @ x1, abs(slope) * length


def _checked_derivatives(activation: Activation) -> tuple[float, float, float]:
    """φ'(0), φ''(0), φ'''(0) of an activation that has a reduced model."""
    value, slope, bend, cubic = derivatives_at_zero(activation)
    if not is_linear_at_zero(activation):
        raise ValueError(
            "The activation must be smooth at 0 with φ(0) = 0 and φ'(0) not 0 for a "
            f"reduced model, but is {activation} with φ(0) = {value:g} and φ'(0) = "
            f"{slope:g}; take tanh, erf, sin, gelu or identity."
        )
    return slope, bend, cubic


def check_squared(problem: Any) -> None:
    """Refuse what has no best affine predictor in closed form."""
    if not isinstance(problem, Problem) or not isinstance(problem.loss, SquaredError):
        what = problem.loss if isinstance(problem, Problem) else type(problem).__name__
        raise ValueError(
            "Argument `problem` must be a Problem with the squared loss to have a best "
            f"affine predictor, but is or has {what}."
        )
    if problem.out_dim is not None:
        raise ValueError(
            "Argument `problem` must have scalar targets of shape (K,), but has "
            f"{problem.out_dim} outputs; train on one of them."
        )


def check_model(problem: Problem, network: Any) -> None:
    """Refuse networks and problems that have no reduced model."""
    if not isinstance(network, TwoLayer):
        raise TypeError(
            "Argument `network` must be a TwoLayer to have a reduced model, but is a "
            f"{type(network).__name__}."
        )
    check_squared(problem)
    check_match(problem, network)
    _checked_derivatives(network.activation)
    if network.p is not None:
        raise ValueError(
            "Argument `network` must have no affine part `p` to have a reduced model, "
            f"but has one of shape {network.p.shape}; leave it out."
        )


def is_linear_at_zero(activation: Activation) -> bool:
    """Whether a reduced model knows the activation: smooth, φ(0) = 0, φ'(0) not 0."""
    value, slope, *_ = derivatives_at_zero(activation)
    return not activation.kinked and value == 0 and slope != 0


def derivatives_at_zero(activation: Activation) -> tuple[float, float, float, float]:
    """φ(0), φ'(0), φ''(0), φ'''(0), known when a program is compiled."""
    with jax.ensure_compile_time_eval():
        zero = jnp.zeros(())
        third = jax.grad(activation.second_derivative)(zero)
        all_four = (
            activation(zero),
            activation.derivative(zero),
            activation.second_derivative(zero),
            third,
        )
        value, slope, bend, cubic = map(float, all_four)
    return value, slope, bend, cubic


def is_white_along(small: SmallWeights) -> Array:
    """Whether S ẑ is parallel to ẑ, so that the descent keeps the direction ẑ."""
    return is_parallel(small.moments @ small.direction, small.direction, small.moments)


def is_parallel(vector, direction, scale) -> Array:
    """Whether a vector points along a unit vector, up to a share of a scale."""
    norm = lambda array: jnp.sqrt(jnp.sum(array**2))
    return norm(vector - (vector @ direction) * direction) <= _TURNS * norm(scale)


class AffineFit(NamedTuple):
    """The best affine predictor β*·x̃.

    Attributes:
        coefficients: β*, of least norm once the columns have unit length.
        residual: r = y − β*·x̃.
        loss: ½ E[r²].
    """

    coefficients: Float[Array, " D"]
    residual: Float[Array, " K"]
    loss: Float[Array, ""]


def affine_fit(problem: Problem) -> AffineFit:
    r"""The best affine predictor β*·(x, 1) of the targets, by singular values.

    Minimises ½ Σ_k q_k (y_k − β·x̃_k)². Its loss R_lin is the level of the secondary
    plateau of networks from small weights.

    Args:
        problem: Data with the squared loss and scalar targets.

    Returns:
        Coefficients, residual and loss.

    Raises:
        ValueError: If loss or targets are not as said.

    Example:
        >>> import plateaux as px
        >>> print(affine_fit(px.problems.sine_and_square()).loss.round(6))
        0.172362

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    check_squared(problem)
    return _affine_fit(problem)


@eqx.filter_jit
def _affine_fit(problem: Problem) -> AffineFit:
    x1, q = extended(problem.x), problem.sample_weights
    root = jnp.sqrt(q)
    matrix = root[:, None] * x1
    # Columns of unit length: the cut of small singular values has no units then.
    length = jnp.sqrt(jnp.sum(matrix**2, axis=0))
    length = jnp.where(length > 0, length, 1)
    operator = lx.MatrixLinearOperator(matrix / length[None, :])
    cut = max(x1.shape) * float(jnp.finfo(x1.dtype).eps)
    solved = lx.linear_solve(operator, root * problem.y, lx.SVD(rcond=cut)).value
    coefficients = solved / length
    residual = problem.y - x1 @ coefficients
    return AffineFit(coefficients, residual, q @ residual**2 / 2)
