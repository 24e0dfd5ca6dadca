r"""First layers: how weights W (n, d) and biases b (n,) that see the inputs are drawn.

They know what `plateaux.networks.schemes` does not: that the inputs fill a box.

| name | w_i, b_i |
|---|---|
| `structured` | features evenly spread over the box |
| `uniform_kinks` | He normal w_i, kinks through uniform points of the box |
| `random_fourier` | w_i ~ N(0, σ²), b_i uniform on [0, 2π) |
| `multi_scale` | those of `uniform_kinks`, in groups multiplied by 1, 2, 4, 8 |
| `local_features` | neurons shared among the patches of a partition of the box |

All take `key`, `fan_in`, `fan_out`, `dtype` and options of their own. Numbers are
drawn in float32 and cast, as by the schemes.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .. import _checks
from . import _draws, schemes
from .schemes import SCHEMES, Layer, Scheme
from .structured_layer import law_of, structured

SHARED = ("fan_in", "fan_out", "dtype")


def uniform_kinks(
    key: Array,
    *,
    fan_in: int,
    fan_out: int,
    lo: Any = -1.0,
    hi: Any = 1.0,
    dtype: Any = None,
) -> Layer:
    """He weights and kinks uniform on a box: b_i = −w_i·u_i, u_i uniform on it.

    Args:
        key: Random key.
        fan_in: Number of inputs d.
        fan_out: Units of the layer n.
        lo: Lower corner of the box, a number or one per input, in units of x.
        hi: Upper corner, above `lo` in every input.
        dtype: float32 or float64; float64 if x64 is on, else float32, if None.

    Returns:
        Weights (fan_out, fan_in) and biases (fan_out,).

    Raises:
        TypeError: If a fan is not an integer, or `dtype` not float32 or float64.
        ValueError: If a fan is below 1, or `lo` is not below `hi`.

    Example:
        >>> key = jax.random.key(0)
        >>> w, b = uniform_kinks(key, fan_in=1, fan_out=9, lo=2.0, hi=3.0)
        >>> bool(jnp.all((-b / w[:, 0] > 1.99) & (-b / w[:, 0] < 3.01)))
        True
    """
    key_w, key_u = jax.random.split(key)
    return kinks_in_box(key_w, key_u, fan_in, fan_out, lo, hi, dtype)


def kinks_in_box(
    key_w: Array, key_u: Array, fan_in: int, fan_out: int, lo: Any, hi: Any, dtype: Any
) -> Layer:
    """He weights by the first key, through uniform points by the second."""
    w, _ = schemes.he(key_w, fan_in=fan_in, fan_out=fan_out, dtype=dtype)
    lo, hi = _draws.box(lo, hi, fan_in, w.dtype)
    return w, -jnp.sum(w * _draws.box_points(key_u, fan_out, lo, hi), axis=1)


def random_fourier(
    key: Array, *, fan_in: int, fan_out: int, sigma: Any = 1.0, dtype: Any = None
) -> Layer:
    """Random Fourier features: w_i ~ N(0, σ²), b_i uniform on [0, 2π).

    With φ = cos, or φ = sin, E φ(w·x + b) φ(w·y + b) = ½ exp(−σ²‖x − y‖²/2): n units
    are a sample of the Gaussian kernel of length 1/σ.

    Args:
        key: Random key.
        fan_in: Number of inputs d.
        fan_out: Units of the layer n.
        sigma: Standard deviation σ > 0 of a frequency, in units of 1/x; may be traced.
        dtype: As for `uniform_kinks`.

    Returns:
        Weights (fan_out, fan_in) and biases (fan_out,).

    Raises:
        TypeError: As for `uniform_kinks`.
        ValueError: If a fan is below 1, or `sigma` is not positive.

    Example:
        >>> w, b = random_fourier(jax.random.key(0), fan_in=2, fan_out=1000)
        >>> bool(abs(jnp.mean(jnp.sin(b) ** 2) - 0.5) < 0.05)
        True

    Reference: Rahimi & Recht (2007), "Random Features for Large-Scale Kernel
    Machines", NeurIPS.
    """
    _check_fans(fan_in, fan_out)
    dtype = _draws.floating_dtype(dtype)
    sigma = jnp.asarray(_checks.positive("sigma", sigma), dtype)
    key_w, key_b = jax.random.split(key)
    w = sigma * _draws.normal(key_w, (fan_out, fan_in), dtype)
    return w, 2 * math.pi * _draws.uniform(key_b, (fan_out,), dtype)


def multi_scale(
    key: Array,
    *,
    fan_in: int,
    fan_out: int,
    scales: Any = (1.0, 2.0, 4.0, 8.0),
    lo: Any = -1.0,
    hi: Any = 1.0,
    dtype: Any = None,
) -> Layer:
    """Multi-scale: the draws of `uniform_kinks`, in groups multiplied by scales a_k.

    Units a_k(w̃·x + b̃), w̃ He normal and kinks uniform on the box: a scale sharpens a
    unit where it stands. The n units are shared out in order and as evenly as
    possible; fewer units than scales leave some scales out. With one scale, 1, the
    layer is that of `uniform_kinks` with the same key.

    Args:
        key: Random key.
        fan_in: Number of inputs d.
        fan_out: Units of the layer n.
        scales: The factors a_k > 0, a list of numbers.
        lo: Lower corner of the box, a number or one per input, in units of x.
        hi: Upper corner, above `lo` in every input.
        dtype: As for `uniform_kinks`.

    Returns:
        Weights (fan_out, fan_in) and biases (fan_out,).

    Raises:
        TypeError: As for `uniform_kinks`.
        ValueError: As for `uniform_kinks`, or if `scales` is empty or holds a number
            that is not positive.

    Example:
        >>> how = dict(fan_in=1, fan_out=4)
        >>> one, _ = uniform_kinks(jax.random.key(0), **how)
        >>> w, _ = multi_scale(jax.random.key(0), **how, scales=(1.0, 10.0))
        >>> print((w / one)[:, 0])
        [ 1.  1. 10. 10.]

    Reference: after Liu, Cai & Xu (2020), arXiv:2007.11207, who multiply the input.
    """
    how = {"fan_in": fan_in, "fan_out": fan_out, "lo": lo, "hi": hi, "dtype": dtype}
    w, b = uniform_kinks(key, **how)
    factors = jnp.asarray(scales, w.dtype)
    if factors.ndim != 1 or len(factors) < 1:
        raise ValueError(
            "Argument `scales` must be a list of at least one number, but has shape "
            f"{factors.shape}."
        )
    mine = _checks.positive("scales", factors)[_groups(fan_out, len(factors))]
    return mine[:, None] * w, mine * b


def local_features(
    key: Array,
    *,
    fan_in: int,
    fan_out: int,
    patches: Any = 4,
    radius: Any = 1.0,
    lo: Any = -1.0,
    hi: Any = 1.0,
    dtype: Any = None,
) -> Layer:
    """Local features: units w̃·(x − m)/r + b̃ of patches of centre m, half-sides r.

    The box is cut into equal patches; w̃ and b̃ are uniform on ±radius, so that on its
    own patch, where |x − m| ≤ r, every unit looks like a unit of the cube [−1, 1]^d.
    These are the inner weights of the random feature method *without* its window
    functions: away from its patch a unit goes on. The n units are shared out in order
    and as evenly as possible; fewer units than patches leave some patches out.

    Args:
        key: Random key.
        fan_in: Number of inputs d.
        fan_out: Units of the layer n.
        patches: Patches along every input, an integer or one per input; their
            product is the number of patches.
        radius: Bound of the uniform draws, positive, without unit; may be traced.
        lo: Lower corner of the box, a number or one per input, in units of x.
        hi: Upper corner, above `lo` in every input.
        dtype: As for `uniform_kinks`.

    Returns:
        Weights (fan_out, fan_in) and biases (fan_out,).

    Raises:
        TypeError: As for `uniform_kinks`, or if `patches` holds no integers.
        ValueError: As for `uniform_kinks`, or if `radius` is not positive, a number
            of patches is below 1, or they are not one per input.

    Example:
        >>> w, b = local_features(jax.random.key(0), fan_in=1, fan_out=8)
        >>> centres = jnp.repeat(jnp.array([-0.75, -0.25, 0.25, 0.75]), 2)
        >>> bool(jnp.all(jnp.abs(w[:, 0] * centres + b) <= 1))
        True

    Reference: after Chen, Chi, E & Yang (2022), arXiv:2207.13380.
    """
    _check_fans(fan_in, fan_out)
    dtype = _draws.floating_dtype(dtype)
    radius = jnp.asarray(_checks.positive("radius", radius), dtype)
    lo, hi = _draws.box(lo, hi, fan_in, dtype)
    sides = _sides(patches, fan_in)
    half = (hi - lo) / (2 * jnp.asarray(sides, dtype))
    mine = np.unravel_index(_groups(fan_out, math.prod(sides)), sides)
    patch = jnp.asarray(np.stack(mine, axis=1), dtype)
    centres = lo[None, :] + (2 * patch + 1) * half[None, :]
    draws = 2 * _draws.uniform(key, (fan_out, fan_in + 1), dtype) - 1
    w = radius * draws[:, :-1] / half[None, :]
    return w, radius * draws[:, -1] - jnp.sum(w * centres, axis=1)


FIRST_LAYERS: dict[str, Scheme] = {
    "structured": structured,
    "uniform_kinks": uniform_kinks,
    "random_fourier": random_fourier,
    "multi_scale": multi_scale,
    "local_features": local_features,
}


def first_layer(name: Any, *, activation: Any = None) -> Scheme:
    """The first layer of that name; a function passes through.

    Args:
        name: A key of `FIRST_LAYERS` or `SCHEMES`, or a function like them.
        activation: The activation of the layer, which chooses the law of
            "structured" where none is asked for; "steps" if None.

    Returns:
        A function of `key`, `fan_in`, `fan_out`, `dtype` and options.

    Raises:
        ValueError: If no first layer has that name; the message says the nearest.

    Example:
        >>> first_layer("random_fourier") is random_fourier
        True
    """
    if isinstance(name, Callable):
        return name
    both = SCHEMES | FIRST_LAYERS
    draw = both[_checks.known("scheme of a first layer", name, both)]
    if draw is structured and activation is not None:
        return partial(structured, law=law_of(activation))
    return draw


def own_options(draw: Scheme) -> set[str]:
    """Names of a layer's options, those that all layers share left out."""
    return set(inspect.signature(draw).parameters) - {"key", *SHARED}


def _check_fans(fan_in: Any, fan_out: Any) -> None:
    """Refuse a fan that is not a positive integer."""
    _checks.count("fan_in", fan_in)
    _checks.count("fan_out", fan_out)


def _groups(n: int, count: int) -> np.ndarray:
    """The group 0 … count − 1 of every unit, in order and shared evenly."""
    return np.array([i * count // n for i in range(n)])


def _sides(patches: Any, in_dim: int) -> list[int]:
    """Patches along every input, else a refusal."""
    if not isinstance(patches, Sequence):
        return [_checks.count("patches", patches)] * in_dim
    if len(patches) != in_dim:
        raise ValueError(
            f"Argument `patches` must be an integer or one per input, {in_dim}, but "
            f"holds {len(patches)}."
        )
    return [_checks.count(f"patches[{i}]", p) for i, p in enumerate(patches)]
