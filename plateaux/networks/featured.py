r"""Two-layer networks whose first layer is one of `plateaux.networks.FIRST_LAYERS`.

All functions share the first arguments of `plateaux.networks.he`.
"""

from functools import partial
from typing import Any

import jax
from jaxtyping import Array

from . import _assembly, first_layers, schemes
from .schemes import Scheme
from .two_layer import TwoLayer


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
        >>> bool(((kinks > 1.99) & (kinks < 3.01)).all())
        True
    """
    _assembly.check_dimensions(width, in_dim)
    key_w, key_c, key_u = jax.random.split(key, 3)
    w, b = first_layers.kinks_in_box(key_w, key_u, in_dim, width, lo, hi, dtype)
    c, _ = schemes.he(key_c, fan_in=width, fan_out=1, dtype=dtype)
    return _assembly.assemble(w, b, c[0], scale, affine, activation)


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
    law: str = "steps",
) -> TwoLayer:
    r"""Structured first layer: features φ(γ s_i·(x − ξ_i)), ξ_i evenly spaced.

    w_i = γ s_i and b_i = −γ s_i·ξ_i with random signs s_i = ±1 for d = 1 and uniform
    unit vectors for d > 1; ξ_1 … ξ_n are evenly spaced from `lo` to `hi`, both
    included, on the diagonal of the box (a choice of this library for d > 1; the
    midpoint if n = 1); c is Xavier normal. For tanh and γ ≥ 15 on [−1, 1] the
    features start with a high ε-rank. For ReLU, softplus and their like ask for the
    law "ramps", for sin (whose steps have ε-rank 2) for "waves".

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
        law: "steps", as above, "ramps" or "waves"; `plateaux.networks.law_of` knows
            the one of an activation, `plateaux.networks.FIRST_LAYERS` the formulas.

    Returns:
        A two-layer network.

    Raises:
        TypeError: As for `he`.
        ValueError: As for `he`, if `gamma` is not positive, `lo` not below `hi`, or
            `law` is unknown.

    Example:
        >>> net = structured(jax.random.key(0), width=5, in_dim=1)
        >>> print(-net.b / net.w[:, 0])
        [-1.  -0.5  0.   0.5  1. ]

    Reference: after Yang, Zhao & Zhu (2024), arXiv:2412.05144, and Tang, Yang, Zhao
    & Zhu (2025), arXiv:2507.11962.
    """
    draw = partial(first_layers.structured, gamma=gamma, lo=lo, hi=hi, law=law)
    return _drawn(key, draw, width, in_dim, scale, affine, activation, dtype)


def random_fourier(
    key: Array,
    *,
    width: int,
    in_dim: int,
    scale: Any = 1.0,
    affine: bool = False,
    activation: Any = "sin",
    dtype: Any = None,
    sigma: Any = 1.0,
) -> TwoLayer:
    """Random Fourier features: w_i ~ N(0, σ²), b_i uniform on [0, 2π), c Xavier normal.

    With φ = sin (or cos, as the phases are uniform) E φ(w·x + b) φ(w·y + b) =
    ½ exp(−σ²‖x − y‖²/2). `scale` multiplies frequencies and phases too.

    Args:
        key: Random key.
        width: Number of neurons n.
        in_dim: Number of inputs d.
        scale: As for `he`.
        affine: As for `he`.
        activation: As for `he`, but sin unless asked for.
        dtype: As for `he`.
        sigma: Standard deviation σ > 0 of a frequency, in units of 1/x; may be traced.

    Returns:
        A two-layer network.

    Raises:
        TypeError: As for `he`.
        ValueError: As for `he`, or if `sigma` is not positive.

    Example:
        >>> net = random_fourier(jax.random.key(0), width=9, in_dim=2, sigma=3.0)
        >>> bool((net.b >= 0).all() & (net.b < 6.2832).all())
        True

    Reference: Rahimi & Recht (2007), NeurIPS.
    """
    draw = partial(first_layers.random_fourier, sigma=sigma)
    return _drawn(key, draw, width, in_dim, scale, affine, activation, dtype)


def multi_scale(
    key: Array,
    *,
    width: int,
    in_dim: int,
    scale: Any = 1.0,
    affine: bool = False,
    activation: Any = "tanh",
    dtype: Any = None,
    scales: Any = (1.0, 2.0, 4.0, 8.0),
    lo: Any = -1.0,
    hi: Any = 1.0,
) -> TwoLayer:
    """Multi-scale: He weights and uniform kinks in groups multiplied by scales a_k.

    Neurons c_i φ(a_k(w̃_i·x + b̃_i)); equal shares of every scale, in order; c Xavier
    normal. For homogeneous activations a scale is no more than a larger neuron.

    Args:
        key: Random key.
        width: Number of neurons n.
        in_dim: Number of inputs d.
        scale: As for `he`.
        affine: As for `he`.
        activation: As for `he`, but tanh unless asked for.
        dtype: As for `he`.
        scales: The factors a_k > 0, a list of numbers.
        lo: Lower corner of the box, a number or one per input, in units of x.
        hi: Upper corner, above `lo` in every input.

    Returns:
        A two-layer network.

    Raises:
        TypeError: As for `he`.
        ValueError: As for `he`, if `lo` is not below `hi`, or if `scales` is empty or
            holds a number that is not positive.

    Example:
        >>> net = multi_scale(jax.random.key(0), width=9, in_dim=1, scales=(1.0, 50.0))
        >>> bool((abs(net.b / net.w[:, 0]) <= 1.0001).all())
        True

    Reference: after Liu, Cai & Xu (2020), arXiv:2007.11207, who multiply the input.
    """
    draw = partial(first_layers.multi_scale, scales=scales, lo=lo, hi=hi)
    return _drawn(key, draw, width, in_dim, scale, affine, activation, dtype)


def local_features(
    key: Array,
    *,
    width: int,
    in_dim: int,
    scale: Any = 1.0,
    affine: bool = False,
    activation: Any = "tanh",
    dtype: Any = None,
    patches: Any = 4,
    radius: Any = 1.0,
    lo: Any = -1.0,
    hi: Any = 1.0,
) -> TwoLayer:
    """Local features: neurons c_i φ(w̃_i·(x − m)/r + b̃_i) of patches of the box.

    A patch has centre m and half-sides r; w̃ and b̃ are uniform on ±radius; equal
    shares of every patch, in order; c Xavier normal. No window functions.

    Args:
        key: Random key.
        width: Number of neurons n.
        in_dim: Number of inputs d.
        scale: As for `he`.
        affine: As for `he`.
        activation: As for `he`, but tanh unless asked for.
        dtype: As for `he`.
        patches: Patches along every input, an integer or one per input.
        radius: Bound of the uniform draws, positive, without unit; may be traced.
        lo: Lower corner of the box, a number or one per input, in units of x.
        hi: Upper corner, above `lo` in every input.

    Returns:
        A two-layer network.

    Raises:
        TypeError: As for `he`, or if `patches` holds no integers.
        ValueError: As for `he`, if `radius` is not positive, `lo` not below `hi`, a
            number of patches is below 1, or they are not one per input.

    Example:
        >>> net = local_features(jax.random.key(0), width=9, in_dim=2, patches=3)
        >>> bool((abs(net.w) <= 3).all())
        True

    Reference: after Chen, Chi, E & Yang (2022), arXiv:2207.13380.
    """
    draw = partial(
        first_layers.local_features, patches=patches, radius=radius, lo=lo, hi=hi
    )
    return _drawn(key, draw, width, in_dim, scale, affine, activation, dtype)


def _drawn(
    key: Array, draw: Scheme, width: int, in_dim: int, scale, affine, activation, dtype
) -> TwoLayer:
    """The first layer by `draw`, c Xavier normal."""
    _assembly.check_dimensions(width, in_dim)
    hidden, outer = jax.random.split(key)
    w, b = draw(hidden, fan_in=in_dim, fan_out=width, dtype=dtype)
    c, _ = schemes.xavier(outer, fan_in=width, fan_out=1, dtype=dtype)
    return _assembly.assemble(w, b, c[0], scale, affine, activation)
