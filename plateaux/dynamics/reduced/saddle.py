r"""Leaving a quadratic saddle L = L_0 − ½ κ x²: how long each method takes."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import _checks
from .chain import numbers

METHODS = ("flow", "descent", "sign", "normalised", "rmsprop")


def saddle_escape_time(
    start: Any,
    radius: Any,
    *,
    curvature: Any = 1.0,
    method: Any = "flow",
    step_size: Any = None,
    decay: Any = 0.9,
) -> Float[Array, "..."]:
    r"""Time or steps from a distance x_0 to δ along the direction of curvature −κ.

    * "flow": ẋ = κx takes the time ln(δ/x_0)/κ.
    * "descent": x⁺ = (1 + hκ) x takes ln(δ/x_0)/ln(1 + hκ) steps, 1/h times as many
      as the flow's time where hκ is small.
    * "sign", "normalised": x⁺ = x + h takes (δ − x_0)/h steps, whatever κ. (Normalised
      descent, g/‖g‖, moves h along the direction if it starts on it.)
    * "rmsprop", without bias correction and eps: v⁺ = βv + (1−β)g² from 0, x⁺ = x +
      h|g|/√v⁺. As g = −κx enters by ratios only, κ drops out of these steps too; they
      are counted one by one. |g| grows, so v ≤ g², and every step is at least h and at
      most h/√(1−β), as the first is: √(1−β) (δ−x_0)/h ≤ steps < (δ−x_0)/h + 1. The
      step tends to h once x changes little in 1/(1−β) steps: δ/h steps, asymptotically
      for δ ≫ h/(1−β).

    Steps are real numbers, to be rounded up, except those of "rmsprop", which are
    counted. With eps > 0 RMSprop and Adam are slower where κx_0 is not far above eps.

    Args:
        start: x_0, positive.
        radius: δ, at least x_0.
        curvature: κ > 0.
        method: "flow", "descent", "sign", "normalised" or "rmsprop".
        step_size: h > 0, of all methods but the flow.
        decay: β of "rmsprop", between 0 and 1.

    Returns:
        Flow time for "flow", else steps.

    Raises:
        ValueError: If a number or the method is not as said, or `step_size` is missing
            or not needed.

    Example:
        >>> ways = dict(curvature=1e-4, step_size=0.01)
        >>> print(saddle_escape_time(1e-3, 1.0, curvature=1e-4).round())
        69078.0
        >>> print(saddle_escape_time(1e-3, 1.0, method="sign", **ways).round(1))
        99.9
        >>> print(saddle_escape_time(1e-3, 1.0, method="rmsprop", **ways))
        72.0

    Reference: after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021),
    arXiv:2106.03763.
    """
    _checks.known("method of leaving a saddle", method, METHODS)
    for name, value in (("start", start), ("curvature", curvature)):
        _checks.positive(name, value)
    _check_radius(start, radius)
    if method == "flow":
        if step_size is not None:
            raise ValueError(
                f"Argument `step_size` must be None for the flow, but is {step_size}."
            )
        x0, delta, kappa = numbers(start, radius, curvature)
        return jnp.log(delta / x0) / kappa
    if step_size is None:
        raise ValueError(
            f"Argument `step_size` must be a number for {method!r}, but is None."
        )
    _checks.positive("step_size", step_size)
    x0, delta, kappa, h = numbers(start, radius, curvature, step_size)
    if method == "descent":
        return jnp.log(delta / x0) / jnp.log1p(h * kappa)
    if method == "rmsprop":
        return _rmsprop_steps(x0, delta, h, _decay(decay, x0))
    return (delta - x0) / h


def _rmsprop_steps(x0, delta, h, decay) -> Float[Array, "..."]:
    """Steps of x⁺ = x + h x/√v⁺, v⁺ = βv + (1−β)x², until all are beyond δ."""

    def step(state):
        x, v, count = state
        inside = x < delta
        v = decay * v + (1 - decay) * x**2
        moved = x + h * x / jnp.sqrt(v)
        return jnp.where(inside, moved, x), v, count + inside.astype(x.dtype)

    # In units of h nothing under- or overflows.
    start = (x0 / h, jnp.zeros_like(x0), jnp.zeros_like(x0))
    x0, delta, h = x0 / h, delta / h, jnp.ones_like(h)
    return jax.lax.while_loop(lambda s: jnp.any(s[0] < delta), step, start)[2]


def _decay(decay: Any, like: Array) -> Array:
    if _checks.is_concrete(decay) and not 0 < decay < 1:
        raise ValueError(
            f"Argument `decay` must lie strictly between 0 and 1, but is {decay}."
        )
    return jnp.asarray(decay, like.dtype)


def _check_radius(start: Any, radius: Any) -> None:
    if not (_checks.is_concrete(start) and _checks.is_concrete(radius)):
        return
    start, radius = numbers(start, radius)
    if not bool(jnp.all(jnp.isfinite(radius) & (radius >= start))):
        raise ValueError(
            f"Argument `radius` must be finite and at least `start`, {start}, but is "
            f"{radius}."
        )
