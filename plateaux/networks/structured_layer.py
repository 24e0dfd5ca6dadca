"""A first layer of evenly spread features, by a law that goes with the activation."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from . import _draws
from .activations import (
    ELU,
    GELU,
    Cos,
    Identity,
    LeakyReLU,
    ReLU,
    ReLUPower,
    Sin,
    Softplus,
    activation as find_activation,
)
from .schemes import Layer

RAMPS = (ReLU, ReLUPower, LeakyReLU, Softplus, ELU, GELU, Identity)
WAVES = (Cos, Sin)


def structured(
    key: Array,
    *,
    fan_in: int,
    fan_out: int,
    gamma: Any = 15.0,
    lo: Any = -1.0,
    hi: Any = 1.0,
    law: str = "steps",
    dtype: Any = None,
) -> Layer:
    r"""Structured first layer: features φ(γ s_i·(x − ξ_i)) spread over a box.

    With n = fan_out, i = 1 … n and unit vectors s_i, uniform and independent unless
    said otherwise (random signs for d = 1):

    * "steps", for tanh and its like: ξ_i evenly spaced from `lo` to `hi`, both
      included (the midpoint if n = 1).
    * "ramps", for ReLU and its like: ξ_i in the middle of n equal intervals and
      signs that alternate along hi − lo: for d = 1 half of the features (rounded) go
      up to the right, half to the left, and none is dead on the box. For homogeneous
      activations γ only rescales.
    * "waves", for sin and cos: φ(γ (i/n) s_i·(x − m) + θ_i) with m the centre and
      θ_i = 0 for odd, π/2 for even i. For d = 1 and γ = πn/(hi − lo) these features
      are orthogonal on [lo, hi], all of mean square 1/2. Steps and ramps would have
      the one frequency γ, an ε-rank of 2.

    For d > 1 the ξ_i lie on the diagonal of the box, a choice of this library. The
    features start with a higher ε-rank than those of zero biases.

    Args:
        key: Random key.
        fan_in: Number of inputs d.
        fan_out: Units of the layer n.
        gamma: Steepness, or the largest frequency, γ > 0, in units of 1/x; may be
            traced.
        lo: Lower corner of the box, a number or one per input, in units of x.
        hi: Upper corner, above `lo` in every input.
        law: "steps", "ramps" or "waves"; `law_of` knows the one of an activation.
        dtype: float32 or float64; float64 if x64 is on, else float32, if None.

    Returns:
        Weights (fan_out, fan_in) and biases (fan_out,).

    Raises:
        TypeError: If a fan is not an integer, or `dtype` not float32 or float64.
        ValueError: If a fan is below 1, `gamma` is not positive, `lo` not below
            `hi`, or `law` is unknown.

    Example:
        >>> import jax
        >>> w, b = structured(jax.random.key(0), fan_in=1, fan_out=5)
        >>> print(-b / w[:, 0])
        [-1.  -0.5  0.   0.5  1. ]

    Reference: after Yang, Zhao & Zhu (2024), arXiv:2412.05144, and Tang, Yang, Zhao
    & Zhu (2025), arXiv:2507.11962; ramps and waves are derived here.
    """
    _checks.count("fan_in", fan_in)
    _checks.count("fan_out", fan_out)
    weigh = LAWS[_checks.known("law of a structured layer", law, LAWS)]
    dtype = _draws.floating_dtype(dtype)
    gamma = jnp.asarray(_checks.positive("gamma", gamma), dtype)
    lo, hi = _draws.box(lo, hi, fan_in, dtype)
    return weigh(gamma, _draws.directions(key, fan_out, fan_in, dtype), lo, hi)


def law_of(activation: Any) -> str:
    """The law of `structured` that goes with an activation.

    Args:
        activation: An activation or its name.

    Returns:
        "waves" if it is periodic, "ramps" if it is unbounded, else "steps".

    Raises:
        ValueError: If no activation has that name.

    Example:
        >>> law_of("tanh"), law_of("relu"), law_of("sin")
        ('steps', 'ramps', 'waves')
    """
    phi = find_activation(activation)
    if isinstance(phi, WAVES):
        return "waves"
    return "ramps" if isinstance(phi, RAMPS) else "steps"


def _steps(gamma: Array, s: Float[Array, "n d"], lo: Array, hi: Array) -> Layer:
    n = len(s)
    position = jnp.arange(n, dtype=s.dtype) / max(n - 1, 1)
    return _kinks(gamma, s, lo, hi, position if n > 1 else position + 0.5)


def _ramps(gamma: Array, s: Float[Array, "n d"], lo: Array, hi: Array) -> Layer:
    i = jnp.arange(len(s))
    # All turned away from the centre they would have the highest ε-rank, but ReLUs
    # would then all vanish at the centre: sums of them could make no constant.
    side = jnp.where(s @ (hi - lo) < 0, -1, 1)
    turn = side * side[0] * jnp.where(i % 2 == 0, 1, -1)
    position = (i.astype(s.dtype) + 0.5) / len(s)
    return _kinks(gamma, turn.astype(s.dtype)[:, None] * s, lo, hi, position)


def _waves(gamma: Array, s: Float[Array, "n d"], lo: Array, hi: Array) -> Layer:
    i = jnp.arange(1, len(s) + 1)
    w = gamma * (i.astype(s.dtype) / len(s))[:, None] * s
    phase = jnp.where(i % 2 == 0, jnp.pi / 2, 0.0).astype(s.dtype)
    return w, phase - w @ ((lo + hi) / 2)


def _kinks(gamma: Array, s: Array, lo: Array, hi: Array, position: Array) -> Layer:
    """Weights γ s_i that vanish at points of the diagonal, 0 at `lo` and 1 at `hi`."""
    position = position[:, None]
    xi = (1 - position) * lo[None, :] + position * hi[None, :]
    return gamma * s, -gamma * jnp.sum(s * xi, axis=1)


LAWS = {"steps": _steps, "ramps": _ramps, "waves": _waves}
