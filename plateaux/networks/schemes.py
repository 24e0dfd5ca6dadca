r"""Schemes: how the weights W (out, in) and biases b (out,) of one layer are drawn.

Every scheme fixes the standard deviation σ of one weight and its law, normal
N(0, σ²) or uniform on [−√3 σ, √3 σ):

| scheme | σ² | law |
|---|---|---|
| `he`, `he_uniform` | 2/fan_in | normal, uniform |
| `xavier`, `xavier_uniform` | 2/(fan_in + fan_out) | normal, uniform |
| `lecun`, `lecun_uniform` | 1/fan_in | normal, uniform |
| `orthogonal` | 1/max(fan_in, fan_out) | WᵀW = I or WWᵀ = I, Haar |
| `pytorch` | 1/(3 fan_in) | uniform: ±1/√fan_in |
| `small` | m^{−2α} | normal |

Biases follow the option `bias`: "zero", or "normal" or "uniform" of the *same* σ as
the weights, as if the bias were the weight of a constant input 1. The default is what
the scheme's authors say: zero for all but `pytorch` (uniform) and `small` (normal).

All schemes share the arguments of `he`. Numbers are drawn in float32 and cast, so
one key gives one layer in both precisions. Truncated normals are not used.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from .._factorisations import qr
from . import _draws

BIASES = ("zero", "normal", "uniform")
Layer = tuple[Float[Array, "out in"], Float[Array, " out"]]
Scheme = Callable[..., Layer]


def he(
    key: Array, *, fan_in: int, fan_out: int, bias: str = "zero", dtype: Any = None
) -> Layer:
    """He (Kaiming) normal: W ~ N(0, 2/fan_in), which keeps E‖ReLU(Wh)‖² level.

    The factor 2 belongs to ReLU and is used for every activation.

    Args:
        key: Random key.
        fan_in: Inputs of the layer.
        fan_out: Outputs of the layer.
        bias: Law of the biases: "zero", "normal" or "uniform".
        dtype: float32 or float64; float64 if x64 is on, else float32, if None.

    Returns:
        Weights (fan_out, fan_in) and biases (fan_out,).

    Raises:
        TypeError: If a fan is not an integer, or `dtype` not float32 or float64.
        ValueError: If a fan is below 1, or `bias` is unknown.

    Example:
        >>> w, b = he(jax.random.key(0), fan_in=3, fan_out=5)
        >>> w.shape, b.shape
        ((5, 3), (5,))

    Reference: He, Zhang, Ren & Sun (2015), arXiv:1502.01852.
    """
    return _layer(key, fan_in, fan_out, "normal", _he_std, bias, dtype)


def he_uniform(
    key: Array, *, fan_in: int, fan_out: int, bias: str = "zero", dtype: Any = None
) -> Layer:
    """He uniform: W uniform on ±√(6/fan_in), variance 2/fan_in; else as `he`."""
    return _layer(key, fan_in, fan_out, "uniform", _he_std, bias, dtype)


def xavier(
    key: Array, *, fan_in: int, fan_out: int, bias: str = "zero", dtype: Any = None
) -> Layer:
    """Xavier (Glorot) normal: W ~ N(0, 2/(fan_in + fan_out)); else as `he`.

    Reference: Glorot & Bengio (2010), AISTATS, PMLR 9:249–256.
    """
    return _layer(key, fan_in, fan_out, "normal", _xavier_std, bias, dtype)


def xavier_uniform(
    key: Array, *, fan_in: int, fan_out: int, bias: str = "zero", dtype: Any = None
) -> Layer:
    """Xavier uniform: W uniform on ±√(6/(fan_in + fan_out)); else as `he`."""
    return _layer(key, fan_in, fan_out, "uniform", _xavier_std, bias, dtype)


def lecun(
    key: Array, *, fan_in: int, fan_out: int, bias: str = "zero", dtype: Any = None
) -> Layer:
    """LeCun normal: W ~ N(0, 1/fan_in), which keeps E‖Wh‖² level; else as `he`.

    Reference: LeCun, Bottou, Orr & Müller (1998), "Efficient BackProp".
    """
    return _layer(key, fan_in, fan_out, "normal", _lecun_std, bias, dtype)


def lecun_uniform(
    key: Array, *, fan_in: int, fan_out: int, bias: str = "zero", dtype: Any = None
) -> Layer:
    """LeCun uniform: W uniform on ±√(3/fan_in), variance 1/fan_in; else as `he`."""
    return _layer(key, fan_in, fan_out, "uniform", _lecun_std, bias, dtype)


def pytorch(
    key: Array, *, fan_in: int, fan_out: int, bias: str = "uniform", dtype: Any = None
) -> Layer:
    """PyTorch's `nn.Linear` default: W and b uniform on ±1/√fan_in; else as `he`."""
    std = lambda fan_in, fan_out: 1 / math.sqrt(3 * fan_in)
    return _layer(key, fan_in, fan_out, "uniform", std, bias, dtype)


def small(
    key: Array,
    *,
    fan_in: int,
    fan_out: int,
    alpha: Any = 1.0,
    m: int | None = None,
    bias: str = "normal",
    dtype: Any = None,
) -> Layer:
    """Small: all parameters ~ N(0, m^{−2α}), standard deviation m^{−α}.

    In a two-layer network the initial output vanishes as m → ∞ for α > 1/2.

    Args:
        key: Random key.
        fan_in: Inputs of the layer.
        fan_out: Outputs of the layer.
        alpha: The exponent α.
        m: The width m; the larger fan if None.
        bias: Law of the biases: "zero", "normal" or "uniform".
        dtype: As for `he`.

    Returns:
        Weights (fan_out, fan_in) and biases (fan_out,).

    Raises:
        TypeError: As for `he`.
        ValueError: As for `he`, or if `alpha` is not finite.

    Example:
        >>> w, b = small(jax.random.key(0), fan_in=1, fan_out=100, alpha=2.0)
        >>> bool(jnp.all(jnp.abs(w) < 1e-3))
        True

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    alpha = _checks.finite("alpha", jnp.asarray(alpha, _draws.floating_dtype(dtype)))
    std = lambda fan_in, fan_out: (m or max(fan_in, fan_out)) ** -alpha
    return _layer(key, fan_in, fan_out, "normal", std, bias, dtype)


def orthogonal(
    key: Array, *, fan_in: int, fan_out: int, bias: str = "zero", dtype: Any = None
) -> Layer:
    """Orthogonal: WᵀW = I if fan_out ≥ fan_in, else WWᵀ = I; uniform (Haar).

    The Q factor of a Gaussian matrix, with the signs that make it uniform (R with a
    positive diagonal). Else as `he`.

    Example:
        >>> w, _ = orthogonal(jax.random.key(0), fan_in=2, fan_out=4)
        >>> bool(jnp.allclose(w.T @ w, jnp.eye(2)))
        True

    Reference: Saxe, McClelland & Ganguli (2013), arXiv:1312.6120; Mezzadri (2007),
    arXiv:math-ph/0609050, for the signs.
    """
    std = lambda fan_in, fan_out: 1 / math.sqrt(max(fan_in, fan_out))
    # The Gaussian weights of this call become the matrix to orthogonalise.
    w, b = _layer(key, fan_in, fan_out, "normal", std, bias, dtype)
    tall = w if fan_out >= fan_in else w.T
    q, r = qr(tall)
    q = q * jnp.where(jnp.diagonal(r) < 0, -1, 1).astype(q.dtype)[None, :]
    return (q if fan_out >= fan_in else q.T), b


SCHEMES: dict[str, Scheme] = {
    "he": he,
    "he_uniform": he_uniform,
    "xavier": xavier,
    "xavier_uniform": xavier_uniform,
    "lecun": lecun,
    "lecun_uniform": lecun_uniform,
    "orthogonal": orthogonal,
    "pytorch": pytorch,
    "small": small,
}


def scheme(name: Any) -> Scheme:
    """The scheme of that name; a function passes through.

    Args:
        name: A key of `SCHEMES`, or a function with the arguments of `he`.

    Returns:
        The scheme.

    Raises:
        ValueError: If no scheme has that name; the message says the nearest.

    Example:
        >>> scheme("lecun") is lecun
        True
    """
    if isinstance(name, Callable):
        return name
    return SCHEMES[_checks.known("scheme of a layer", name, SCHEMES)]


def _he_std(fan_in: int, fan_out: int) -> float:
    return math.sqrt(2 / fan_in)


def _xavier_std(fan_in: int, fan_out: int) -> float:
    return math.sqrt(2 / (fan_in + fan_out))


def _lecun_std(fan_in: int, fan_out: int) -> float:
    return 1 / math.sqrt(fan_in)


def _layer(
    key: Array,
    fan_in: int,
    fan_out: int,
    law: str,
    std: Callable[[int, int], Any],
    bias: str,
    dtype: Any,
) -> Layer:
    """Weights of a law and a standard deviation, and biases of the same one."""
    _checks.count("fan_in", fan_in)
    _checks.count("fan_out", fan_out)
    _checks.known("law of the biases", bias, BIASES)
    dtype = _draws.floating_dtype(dtype)
    sigma = jnp.asarray(std(fan_in, fan_out), dtype)
    key_w, key_b = jax.random.split(key)
    w = sigma * _unit(law, key_w, (fan_out, fan_in), dtype)
    return w, sigma * _unit(bias, key_b, (fan_out,), dtype)


def _unit(law: str, key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Draws of mean 0 and variance 1 (or zeros)."""
    if law == "zero":
        return jnp.zeros(shape, dtype)
    draw = _draws.normal if law == "normal" else _draws.centred_uniform
    return draw(key, shape, dtype)
