r"""Two-layer networks drawn by the classical schemes.

Hidden and output layer are drawn by one scheme of `plateaux.networks.schemes`: for w
(n, d), fan_in = d and fan_out = n; for c, fan_in = n and fan_out = 1. All functions
share the arguments of `he`; the module of schemes has the table of formulas.

The classical schemes have **zero biases**. Then every kink hyperplane w_i·x + b_i = 0
goes through the origin, and for d = 1 *all kinks sit at x = 0*. With `bias="normal"`
or `"uniform"` the biases have the weights' standard deviation: for d = 1 and normal
weights the kinks −b/w are then Cauchy distributed (median of |kink| is 1).
`uniform_kinks` puts them on the domain.
"""

from typing import Any

import jax

from .. import _checks
from . import _assembly, schemes
from .two_layer import TwoLayer


def he(
    key: jax.Array,
    *,
    width: int,
    in_dim: int,
    scale: Any = 1.0,
    affine: bool = False,
    activation: Any = "relu",
    dtype: Any = None,
    bias: str = "zero",
) -> TwoLayer:
    """He (Kaiming) normal: w ~ N(0, 2/d), c ~ N(0, 2/n), b = 0 unless asked for.

    For d = 1 and zero biases all kinks sit at 0; see `bias`.

    Args:
        key: Random key. The same key gives the same network in both precisions, up
            to rounding.
        width: Number of neurons n.
        in_dim: Number of inputs d.
        scale: Positive factor of all drawn parameters; may be traced. For
            homogeneous activations the output is multiplied by its square.
        affine: Whether the network has an affine part p, starting at zeros (d+1).
        activation: An activation or its name.
        dtype: float32 or float64; float64 if x64 is on, else float32, if None.
        bias: Law of b: "zero", or "normal" or "uniform" of the standard deviation
            of w, which spreads the kinks.

    Returns:
        A two-layer network.

    Raises:
        TypeError: If a dimension is not an integer, or `dtype` not float32 or 64.
        ValueError: If a dimension is below 1, `scale` is not positive, or
            `activation` or `bias` is unknown.

    Example:
        >>> keys = jax.random.split(jax.random.key(0), 256)
        >>> nets = jax.vmap(lambda k: he(k, width=20, in_dim=1))(keys)
        >>> nets.w.shape
        (256, 20, 1)

    Reference: He, Zhang, Ren & Sun (2015), arXiv:1502.01852.
    """
    common = (width, in_dim, scale, affine, activation, dtype)
    return _assembly.two_layers(key, schemes.he, bias, *common)


def he_uniform(
    key: jax.Array,
    *,
    width: int,
    in_dim: int,
    scale: Any = 1.0,
    affine: bool = False,
    activation: Any = "relu",
    dtype: Any = None,
    bias: str = "zero",
) -> TwoLayer:
    """He uniform: w on ±√(6/d), c on ±√(6/n), b = 0; arguments as for `he`.

    Reference: He, Zhang, Ren & Sun (2015), arXiv:1502.01852.
    """
    common = (width, in_dim, scale, affine, activation, dtype)
    return _assembly.two_layers(key, schemes.he_uniform, bias, *common)


def xavier(
    key: jax.Array,
    *,
    width: int,
    in_dim: int,
    scale: Any = 1.0,
    affine: bool = False,
    activation: Any = "relu",
    dtype: Any = None,
    bias: str = "zero",
) -> TwoLayer:
    """Xavier (Glorot) normal: w ~ N(0, 2/(d+n)), c ~ N(0, 2/(n+1)), b = 0.

    Arguments as for `he`.

    Reference: Glorot & Bengio (2010), AISTATS, PMLR 9:249–256.
    """
    common = (width, in_dim, scale, affine, activation, dtype)
    return _assembly.two_layers(key, schemes.xavier, bias, *common)


def xavier_uniform(
    key: jax.Array,
    *,
    width: int,
    in_dim: int,
    scale: Any = 1.0,
    affine: bool = False,
    activation: Any = "relu",
    dtype: Any = None,
    bias: str = "zero",
) -> TwoLayer:
    """Xavier uniform: w on ±√(6/(d+n)), c on ±√(6/(n+1)), b = 0.

    Arguments as for `he`.

    Reference: Glorot & Bengio (2010), AISTATS, PMLR 9:249–256.
    """
    common = (width, in_dim, scale, affine, activation, dtype)
    return _assembly.two_layers(key, schemes.xavier_uniform, bias, *common)


def lecun(
    key: jax.Array,
    *,
    width: int,
    in_dim: int,
    scale: Any = 1.0,
    affine: bool = False,
    activation: Any = "relu",
    dtype: Any = None,
    bias: str = "zero",
) -> TwoLayer:
    """LeCun normal: w ~ N(0, 1/d), c ~ N(0, 1/n), b = 0; arguments as for `he`.

    Reference: LeCun, Bottou, Orr & Müller (1998), "Efficient BackProp".
    """
    common = (width, in_dim, scale, affine, activation, dtype)
    return _assembly.two_layers(key, schemes.lecun, bias, *common)


def lecun_uniform(
    key: jax.Array,
    *,
    width: int,
    in_dim: int,
    scale: Any = 1.0,
    affine: bool = False,
    activation: Any = "relu",
    dtype: Any = None,
    bias: str = "zero",
) -> TwoLayer:
    """LeCun uniform: w on ±√(3/d), c on ±√(3/n), b = 0; arguments as for `he`.

    Reference: LeCun, Bottou, Orr & Müller (1998), "Efficient BackProp".
    """
    common = (width, in_dim, scale, affine, activation, dtype)
    return _assembly.two_layers(key, schemes.lecun_uniform, bias, *common)


def orthogonal(
    key: jax.Array,
    *,
    width: int,
    in_dim: int,
    scale: Any = 1.0,
    affine: bool = False,
    activation: Any = "relu",
    dtype: Any = None,
    bias: str = "zero",
) -> TwoLayer:
    """Orthogonal: wᵀw = I if n ≥ d, else wwᵀ = I; ‖c‖ = 1; b = 0.

    Uniform (Haar); for d = 1, w is a uniform unit vector of Rⁿ.

    Arguments as for `he`.

    Reference: Saxe, McClelland & Ganguli (2013), arXiv:1312.6120.
    """
    common = (width, in_dim, scale, affine, activation, dtype)
    return _assembly.two_layers(key, schemes.orthogonal, bias, *common)


def pytorch(
    key: jax.Array,
    *,
    width: int,
    in_dim: int,
    scale: Any = 1.0,
    affine: bool = False,
    activation: Any = "relu",
    dtype: Any = None,
    bias: str = "uniform",
) -> TwoLayer:
    """PyTorch's default: w, b uniform on ±1/√d, c uniform on ±1/√n.

    With `affine=True` the intercept p[d] is the output layer's bias, drawn on ±1/√n
    too, and the slopes p[:d] are zero; without it there is no output bias.
    Arguments as for `he`.

    Reference: `torch.nn.Linear`, which draws W by `kaiming_uniform_(a=√5)`.
    """
    common = (width, in_dim, scale, affine, activation, dtype)
    return _assembly.two_layers(key, schemes.pytorch, bias, *common, intercept=bias)


def small(
    key: jax.Array,
    *,
    width: int,
    in_dim: int,
    scale: Any = 1.0,
    affine: bool = False,
    activation: Any = "relu",
    dtype: Any = None,
    bias: str = "normal",
    alpha: Any = 1.0,
) -> TwoLayer:
    """Small: w, b, c ~ N(0, n^{−2α}), standard deviation n^{−α}; as for `he`.

    The initial output has size n^{1/2−2α}; its coherent part grows from
    n^{1−2α}, which vanishes as n → ∞ exactly for α > 1/2.

    Args:
        key: Random key.
        width: Number of neurons n.
        in_dim: Number of inputs d.
        scale: As for `he`.
        affine: As for `he`.
        activation: As for `he`.
        dtype: As for `he`.
        bias: As for `he`, but normal unless asked for.
        alpha: The exponent α; may be traced.

    Returns:
        A two-layer network.

    Raises:
        TypeError: As for `he`.
        ValueError: As for `he`, or if `alpha` is not finite.

    Example:
        >>> net = small(jax.random.key(0), width=100, in_dim=1, alpha=2.0)
        >>> bool((abs(net.c) < 1e-3).all())
        True

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    _checks.count("width", width)

    def draw(key, **kwargs):
        return schemes.small(key, alpha=alpha, m=width, **kwargs)

    common = (width, in_dim, scale, affine, activation, dtype)
    return _assembly.two_layers(key, draw, bias, *common)
