r"""Two-layer networks whose start is designed: kinks, balance, features.

All functions share the first arguments of `plateaux.networks.he`.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .. import _checks
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


def uniform_kinks(
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
    """He weights, kinks uniform on the domain: b_i = −w_i·u_i, u_i uniform on it.

    For d = 1 the kinks −b_i/w_i are uniform on [lo, hi]; for d > 1 each kink
    hyperplane goes through a uniform point of the box. `scale` moves no kink.

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
        >>> net = uniform_kinks(jax.random.key(0), width=9, in_dim=1, lo=2.0, hi=3.0)
        >>> kinks = -net.b / net.w[:, 0]
        >>> bool(jnp.all((kinks > 1.99) & (kinks < 3.01)))
        True
    """
    _assembly.check_dimensions(width, in_dim)
    key_w, key_c, key_u = jax.random.split(key, 3)
    w, _ = schemes.he(key_w, fan_in=in_dim, fan_out=width, dtype=dtype)
    c, _ = schemes.he(key_c, fan_in=width, fan_out=1, dtype=dtype)
    u = _assembly.box_points(key_u, width, *_draws.box(lo, hi, in_dim, w.dtype))
    b = -jnp.sum(w * u, axis=1)
    return _assembly.assemble(w, b, c[0], scale, affine, activation)


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

    As `uniform_kinks`, but w_i is uniform on the unit sphere, for d = 1 a random sign:
    neurons differ in their kinks only. A start for `px.anls`.

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
    u = _assembly.box_points(key_u, width, *_draws.box(lo, hi, in_dim, dtype))
    b = -jnp.sum(w * u, axis=1)
    return _assembly.assemble(w, b, c, scale, affine, activation)


def structured(
    key: Array,
    *,
    width: int,
    in_dim: int,
    scale: Any = 1.0,
    affine: bool = False,
    activation: Any = "tanh",
    dtype: Any = None,
    gamma: Any = 15.0,
    lo: Any = -1.0,
    hi: Any = 1.0,
) -> TwoLayer:
    r"""Structured first layer: features φ(γ s_i·(x − ξ_i)), ξ_i evenly spaced.

    w_i = γ s_i and b_i = −γ s_i·ξ_i with random signs s_i = ±1 for d = 1 and uniform
    unit vectors for d > 1; ξ_1 … ξ_n are evenly spaced from `lo` to `hi`, both
    included, on the diagonal of the box (a choice of this library for d > 1; the
    midpoint if n = 1); c is Xavier normal. For tanh and γ ≥ 15 on [−1, 1] the
    features start with a high ε-rank.

    Args:
        key: Random key.
        width: Number of neurons n.
        in_dim: Number of inputs d.
        scale: As for `he`; it multiplies γ too.
        affine: As for `he`.
        activation: As for `he`, but tanh unless asked for.
        dtype: As for `he`.
        gamma: Steepness γ > 0, in units of 1/x; may be traced.
        lo: Lower corner of the box, a number or one per input, in units of x.
        hi: Upper corner, above `lo` in every input.

    Returns:
        A two-layer network.

    Raises:
        TypeError: As for `he`.
        ValueError: As for `he`, if `gamma` is not positive, or `lo` not below `hi`.

    Example:
        >>> net = structured(jax.random.key(0), width=5, in_dim=1)
        >>> print(-net.b / net.w[:, 0])
        [-1.  -0.5  0.   0.5  1. ]

    Reference: after Yang, Zhao & Zhu (2024), arXiv:2412.05144, and Tang, Yang, Zhao
    & Zhu (2025), arXiv:2507.11962.
    """
    _assembly.check_dimensions(width, in_dim)
    dtype = _draws.floating_dtype(dtype)
    gamma = jnp.asarray(_checks.positive("gamma", gamma), dtype)
    lo, hi = _draws.box(lo, hi, in_dim, dtype)
    key_s, key_c = jax.random.split(key)
    s = _draws.directions(key_s, width, in_dim, dtype)
    position = (jnp.arange(width, dtype=dtype) / max(width - 1, 1))[:, None]
    position = position if width > 1 else jnp.full_like(position, 0.5)
    xi = (1 - position) * lo[None, :] + position * hi[None, :]
    c, _ = schemes.xavier(key_c, fan_in=width, fan_out=1, dtype=dtype)
    b = -gamma * jnp.sum(s * xi, axis=1)
    return _assembly.assemble(gamma * s, b, c[0], scale, affine, activation)


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
