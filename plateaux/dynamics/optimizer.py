"""Gradient descent with its exact semantics, and how it is recognised in optax."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from .. import _checks


class GradientDescent(eqx.Module):
    r"""Plain gradient descent θ⁺ = θ − h ∇L(θ), an optax-compatible transformation.

    Attributes:
        step_size: h > 0, in units of flow time; may be traced, so that one compiled
            program serves every step size.
    """

    step_size: Float[Array, ""]

    def __init__(self, step_size: Any):
        step_size = _checks.positive("step_size", step_size)
        self.step_size = _checks.floating("step_size", step_size)
        if self.step_size.ndim:
            raise ValueError(
                "Argument `step_size` must be one number, but has shape "
                f"{self.step_size.shape}; for many at once use jax.vmap."
            )

    def init(self, params: Any) -> optax.EmptyState:
        """No state."""
        return optax.EmptyState()

    def update(self, updates: Any, state: Any, params: Any = None):
        """−h times the gradient, in the gradient's dtype."""
        move = lambda g: -self.step_size.astype(g.dtype) * g
        return jax.tree.map(move, updates), state


def gradient_descent(step_size: Any) -> GradientDescent:
    """Plain gradient descent with a constant step size.

    Args:
        step_size: h > 0, in units of flow time.

    Returns:
        An optimizer for `descend`, also usable wherever optax's are.

    Raises:
        ValueError: If the step size is not a positive number.

    Example:
        >>> update, _ = gradient_descent(0.5).update({"a": jnp.array(4.0)}, ())
        >>> print(update["a"])
        -2.0
    """
    return GradientDescent(step_size)


def plain_step_size(optimizer: Any) -> Any:
    """The step size h if the optimizer is plain gradient descent, else None.

    An optax transformation is plain gradient descent if it keeps no state and maps
    gradients of every size, whatever the parameters, to −h times themselves.

    Args:
        optimizer: A `GradientDescent` or an optax transformation.

    Returns:
        h, or None for every other method (momentum, schedules, clipping, Adam, …)
        and where h is traced inside an optax transformation.

    Example:
        >>> import optax
        >>> plain_step_size(optax.sgd(0.25)), plain_step_size(optax.adam(0.25))
        (0.25, None)
    """
    if isinstance(optimizer, GradientDescent):
        return optimizer.step_size
    with jax.ensure_compile_time_eval():
        probe = jnp.array([1.0, -0.75, 0.5])
        state = optimizer.init(probe)
        if jax.tree.leaves(state):
            return None
        scales = (1e-20, 1.0, 1e20)
        gradients = [scale * probe for scale in scales]
        updates = [optimizer.update(g, state, probe)[0] for g in gradients]
    if not all(map(_checks.is_concrete, updates)):
        return None
    ratios = -np.stack(updates) / np.stack(gradients)
    tol = 16 * float(np.finfo(ratios.dtype).eps) * np.max(np.abs(ratios))
    if np.all(np.isfinite(ratios)) and np.ptp(ratios) > tol:
        return None
    return float(ratios[1, 0])  # from the gradient [1, …], free of rounding
