r"""Neural chains: networks of width one, the simplest deep networks."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from . import _draws, _shapes
from .activations import Activation, Identity, activation as find_activation
from .network import Network
from .schemes import scheme


class Chain(Network):
    r"""Neural chain f(x) = w_L φ(w_{L−1} φ(… φ(w_1 x))), one weight a layer.

    With φ = identity f = Π x, Π = w_1 ⋯ w_L; as a residual chain f = Π_i (1 + s w_i) x.
    Where Π leaves the range of floats, `log_output` still tells sign and logarithm.

    Args:
        weights: w_1 … w_L, shape (L,).
        activation: φ, an activation or its name; "identity" for the linear chain.
        residual_scale: The branch scale s of a residual chain, a static number (it is
            not trained), with φ = identity; None for no skips.

    Raises:
        TypeError: If the weights are not of floating dtype.
        ValueError: If there is no weight, only one but an activation, or a residual
            scale that is not finite or beside an activation.

    Example:
        >>> print(Chain([2.0, -3.0])(jnp.array([0.5])))
        -3.0
        >>> print(Chain([2.0, -3.0], residual_scale=1.0)(jnp.array([0.5])))
        -3.0
        >>> print(Chain([-2.0, 3.0], activation="relu")(jnp.array([0.5])))
        0.0

    Reference: after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021), arXiv:2106.03763.
    """

    weights: Float[Array, " L"]
    activation: Activation = eqx.field(static=True)
    residual_scale: float | None = eqx.field(static=True)

    def __init__(
        self, weights: Any, *, activation: Any = "identity", residual_scale: Any = None
    ):
        self.weights = _checks.floating("weights", weights)
        self.activation = find_activation(activation)
        if self.weights.ndim != 1 or self.weights.size < 1:
            raise ValueError(
                "Argument `weights` must have shape (L,) with L at least 1, but has "
                f"shape {self.weights.shape}; for many chains at once use jax.vmap."
            )
        if not self.is_linear and self.depth < 2:
            raise ValueError(
                "Argument `weights` must hold at least 2 weights for an activation to "
                "stand between, but holds 1."
            )
        self.residual_scale = _residual_scale(residual_scale, self.is_linear)

    @property
    def in_dim(self) -> int:
        """One input."""
        return 1

    @property
    def out_dim(self) -> None:
        """None: the output is a scalar."""

    @property
    def depth(self) -> int:
        """Number of weights L."""
        return self.weights.shape[-1]

    @property
    def is_linear(self) -> bool:
        """Whether φ is the identity."""
        return isinstance(self.activation, Identity)

    @property
    def factors(self) -> Float[Array, " L"]:
        """What every layer multiplies with: w_i, or 1 + s w_i."""
        if self.residual_scale is None:
            return self.weights
        return 1 + self.residual_scale * self.weights

    def hidden(self, x: Float[Array, " 1"]) -> tuple[Float[Array, " 1"], ...]:
        """Pre-activations of the L − 1 hidden layers, for one sample."""
        return tuple(z[None] for z in self._preactivations(x)[:-1])

    def __call__(self, x: Float[Array, " 1"]) -> Float[Array, ""]:
        """The output f(x) of one sample."""
        if self.is_linear:
            return jnp.prod(self.factors) * x[0]
        return self._preactivations(x)[-1]

    def _preactivations(self, x):
        """z_1 … z_L, of which the last is the output."""
        if self.is_linear:
            return jnp.cumprod(self.factors) * x

        def layer(h, w):
            z = w * h
            return self.activation(z), z

        return jax.lax.scan(layer, x[0], self.weights)[1]


def _residual_scale(value: Any, linear: bool) -> float | None:
    if value is None:
        return None
    if not linear:
        raise ValueError(
            "Argument `residual_scale` must be None unless the activation is "
            f"'identity', but is {value}."
        )
    return _shapes.finite_scale(value)


def log_output(network: Chain, x: Any) -> tuple[Float[Array, " K"], Float[Array, " K"]]:
    r"""Sign and log|f(x_k)| of a chain, also where f(x_k) under- or overflows.

    A product of a thousand weights soon leaves the range of floats; its logarithm is a
    sum. Activations must be homogeneous, φ(s e^a) = e^a φ(s).

    Args:
        network: A chain with a homogeneous activation.
        x: Inputs, shape (K, 1).

    Returns:
        The signs −1, 0, 1, and the logarithms, −∞ where the output is 0.

    Raises:
        ValueError: If the activation is not homogeneous or `x` not of shape (K, 1).
        TypeError: If `x` is not of floating dtype.

    Example:
        >>> sign, log = log_output(Chain(jnp.full(1000, -1e-3)), jnp.array([[2.0]]))
        >>> print(sign, log.round(3))
        [1.] [-6907.062]
    """
    if not network.activation.homogeneous:
        raise ValueError(
            "Argument `network` must have a homogeneous activation, such as 'identity' "
            f"or 'relu', but has {network.activation}."
        )
    x = _checks.floating("x", x)
    if x.ndim != 2 or x.shape[1] != 1:
        raise ValueError(
            f"Argument `x` must have shape (K, 1), but has shape {x.shape}."
        )

    def layer(carry, factor):
        sign, log = carry
        # --- the sign of z, then φ(±1) as a further factor ---
        sign, log = sign * jnp.sign(factor), log + jnp.log(jnp.abs(factor))
        phi = network.activation(sign)
        return (jnp.sign(phi), log + jnp.log(jnp.abs(phi))), (sign, log)

    start = jnp.sign(x[:, 0]), jnp.log(jnp.abs(x[:, 0]))
    _, (sign, log) = jax.lax.scan(layer, start, network.factors)
    return sign[-1], log[-1]


def chain(
    key: Array,
    *,
    depth: Any,
    initialiser: Any = "lecun_uniform",
    scale: Any = 1.0,
    activation: Any = "identity",
    residual_scale: Any = None,
    dtype: Any = None,
) -> Chain:
    """Draw a `Chain`, every weight by one scheme with one input and one output.

    At width one "lecun" and "xavier" are N(0, 1), their uniform kinds uniform on
    [−√3, √3], of variance 1; "he" has variance 2.

    Args:
        key: Random key.
        depth: Number of weights L.
        initialiser: A key of `SCHEMES`, or a function like them.
        scale: Positive factor of all weights; may be traced.
        activation: φ, an activation or its name.
        residual_scale: As for `Chain`.
        dtype: float32 or float64; float64 if x64 is on, else float32, if None.

    Returns:
        The chain.

    Raises:
        TypeError: If `depth` is not an integer or `dtype` is not a float's.
        ValueError: If `depth` is below 1, a name is unknown, or `scale` not positive.

    Example:
        >>> weights = chain(jax.random.key(0), depth=1000).weights
        >>> weights.shape, bool(jnp.max(jnp.abs(weights)) <= 3**0.5)
        ((1000,), True)

    Reference: after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021),
    arXiv:2106.03763.
    """
    depth, draw = _checks.count("depth", depth), scheme(initialiser)
    dtype = _draws.floating_dtype(dtype)
    scale = jnp.asarray(_checks.positive("scale", scale), dtype)
    one = lambda k: draw(k, fan_in=1, fan_out=1, dtype=dtype)[0][0, 0]
    weights = scale * jax.vmap(one)(jax.random.split(key, depth))
    return Chain(weights, activation=activation, residual_scale=residual_scale)
