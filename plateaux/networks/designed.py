r"""Two-layer networks whose start is designed: balance, unit weights, zero biases.

All functions share the first arguments of `plateaux.networks.he`.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from . import _assembly, _draws, schemes
from .two_layer import TwoLayer


def balanced(
    key: Array,
    *,
    width: int,
    in_dim: int,
    scale: Any = 1.0,
    affine: bool = False,
    activation: Any = "relu",
    dtype: Any = None,
    bias: str = "zero",
) -> TwoLayer:
    r"""Balanced: w ~ N(0, σ²), c_i = ±‖(w_i, b_i)‖ with a random sign.

    Every imbalance c_i² − ‖w_i‖² − b_i² is zero up to rounding, and stays so along
    gradient flow of homogeneous activations: then no c_i ever changes sign. With
    σ² = 2/√(n d (d+2)) and zero biases, ReLU outputs have the size of He's, E f² = 2
    where ‖x‖² = d.

    Args:
        key: Random key.
        width: Number of neurons n.
        in_dim: Number of inputs d.
        scale: Positive factor of all parameters; it keeps the balance.
        affine: As for `he`.
        activation: As for `he`.
        dtype: As for `he`.
        bias: Law of b, "zero", "normal" or "uniform", with the standard deviation
            of w. With "zero" and d = 1 all kinks sit at 0.

    Returns:
        A two-layer network.

    Raises:
        TypeError: As for `he`.
        ValueError: As for `he`.

    Example:
        >>> from plateaux.networks import imbalance
        >>> net = balanced(jax.random.key(0), width=5, in_dim=3, bias="normal")
        >>> bool(jnp.all(jnp.abs(imbalance(net)) < 1e-14))
        True

    Reference: Boursier, Pillaud-Vivien & Flammarion (2022), arXiv:2206.00939.
    """
    _assembly.check_dimensions(width, in_dim)
    key_v, key_c = jax.random.split(key)
    w, b = schemes.lecun(key_v, fan_in=in_dim, fan_out=width, bias=bias, dtype=dtype)
    # From variance 1/d to σ²; E[‖w‖² (w·x)²] = σ⁴ (d+2) ‖x‖² for Gaussian w.
    ratio = (4 * in_dim / (width * (in_dim + 2))) ** 0.25
    w, b = (jnp.asarray(ratio, part.dtype) * part for part in (w, b))
    norms = jnp.sqrt(jnp.sum(w**2, axis=1) + b**2)
    c = _draws.signs(key_c, (width,), w.dtype) * norms
    return _assembly.assemble(w, b, c, scale, affine, activation)


def unit_kinks(
    key: Array,
    *,
    width: int,
    in_dim: int,
    scale: Any = 1.0,
    affine: bool = False,
    activation: Any = "relu",
    dtype: Any = None,
    lo: Any = -1.0,
    hi: Any = 1.0,
) -> TwoLayer:
    """Unit weights, kinks uniform on the domain, c_i ~ N(0, 1/n).

    As `plateaux.networks.uniform_kinks`, but w_i is uniform on the unit sphere, for
    d = 1 a random sign: neurons differ in their kinks only. A start for `px.anls`.

    Args:
        key: Random key.
        width: Number of neurons n.
        in_dim: Number of inputs d.
        scale: As for `he`.
        affine: As for `he`.
        activation: As for `he`.
        dtype: As for `he`.
        lo: Lower corner of the box, a number or one per input, in units of x.
        hi: Upper corner, above `lo` in every input.

    Returns:
        A two-layer network.

    Raises:
        TypeError: As for `he`.
        ValueError: As for `he`, or if `lo` is not below `hi`.

    Example:
        >>> net = unit_kinks(jax.random.key(0), width=9, in_dim=3)
        >>> print(jnp.round(jnp.linalg.norm(net.w, axis=1), 6))
        [1. 1. 1. 1. 1. 1. 1. 1. 1.]
    """
    _assembly.check_dimensions(width, in_dim)
    dtype = _draws.floating_dtype(dtype)
    key_w, key_c, key_u = jax.random.split(key, 3)
    w = _draws.directions(key_w, width, in_dim, dtype)
    c = _draws.normal(key_c, (width,), dtype) / jnp.sqrt(jnp.asarray(width, dtype))
    u = _draws.box_points(key_u, width, *_draws.box(lo, hi, in_dim, dtype))
    b = -jnp.sum(w * u, axis=1)
    return _assembly.assemble(w, b, c, scale, affine, activation)


def zero_bias(
    key: Array,
    *,
    width: int,
    in_dim: int,
    scale: Any = 1.0,
    affine: bool = False,
    activation: Any = "relu",
    dtype: Any = None,
    base: Any = "pytorch",
) -> TwoLayer:
    """Weights of a scheme, all biases zero: every kink goes through the origin.

    Args:
        key: Random key.
        width: Number of neurons n.
        in_dim: Number of inputs d.
        scale: As for `he`.
        affine: As for `he`.
        activation: As for `he`.
        dtype: As for `he`.
        base: The scheme of the weights, a key of `SCHEMES`.

    Returns:
        A two-layer network with b = 0; w and c are those of the scheme with the
        same key.

    Raises:
        TypeError: As for `he`.
        ValueError: As for `he`, or if the scheme is unknown.

    Example:
        >>> net = zero_bias(jax.random.key(0), width=2, in_dim=3)
        >>> print(net.b)
        [0. 0.]
    """
    common = (width, in_dim, scale, affine, activation, dtype)
    return _assembly.two_layers(key, schemes.scheme(base), "zero", *common)
