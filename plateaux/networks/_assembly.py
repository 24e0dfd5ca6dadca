"""Parts that the initialisers of two-layer networks share."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .. import _checks
from .schemes import Scheme
from .two_layer import TwoLayer


def two_layers(
    key: Array,
    draw: Scheme,
    bias: str,
    width: int,
    in_dim: int,
    scale: Any,
    affine: bool,
    activation: Any,
    dtype: Any,
    intercept: str = "zero",
) -> TwoLayer:
    """Both layers by one scheme; biases by two laws."""
    check_dimensions(width, in_dim)
    hidden, outer = jax.random.split(key)
    w, b = draw(hidden, fan_in=in_dim, fan_out=width, bias=bias, dtype=dtype)
    c, p = draw(outer, fan_in=width, fan_out=1, bias=intercept, dtype=dtype)
    return assemble(w, b, c[0], scale, affine, activation, intercept=p)


def check_dimensions(width: Any, in_dim: Any) -> None:
    """Refuse a width or a number of inputs that is not a positive integer."""
    _checks.count("width", width)
    _checks.count("in_dim", in_dim)


def assemble(
    w: Array,
    b: Array,
    c: Array,
    scale: Any,
    affine: bool,
    activation: Any,
    intercept: Array | None = None,
) -> TwoLayer:
    """The network of the drawn parameters, all multiplied by `scale`."""
    scale = jnp.asarray(_checks.positive("scale", scale), w.dtype)
    p = None
    if affine:
        p = jnp.zeros(w.shape[1] + 1, w.dtype)
        p = p if intercept is None else p.at[-1:].set(scale * intercept)
    return TwoLayer(scale * w, scale * b, scale * c, p, activation=activation)
