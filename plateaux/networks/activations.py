r"""Activation functions: value, two derivatives, and the convention at a kink.

Every activation is a frozen, hashable dataclass with no arrays, so two of the same
name and parameters compile to the same program. At a kink the derivative is the one
of the side that counts as *off*, the same convention as activation patterns: a pair
is on if and only if its pre-activation is strictly positive. The second derivative at
a kink is 0, so that the Hessian of the loss there is the Hessian of the cell.

| name | value | derivative | at the kink |
|---|---|---|---|
| `relu` | max(z, 0) | 1 if z > 0 else 0 | derivative 0 at z = 0 |
| `relu2`, `relu3` | max(z, 0)^k | k max(z, 0)^(k−1) | smooth, k ≥ 2 |
| `leaky_relu` | z if z > 0 else slope z | 1 if z > 0 else slope | slope at z = 0 |
| `step` | 1 if z > 0 else 0 | 0 everywhere | value 0 at z = 0 |
| `elephant` | 1/(1+\|z/a\|^d) | smooth for d > 1 | derivative 0 at z = 0 |
| `elu` | z if z > 0 else exp(z) − 1 | 1 if z > 0 else exp(z) | smooth; φ''(0) = 1 |
| `tanh`, `softplus`, `gelu`, `erf`, `sin`, `cos`, `identity` | textbook | | smooth |
"""

import abc
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks


@dataclass(frozen=True)
class Activation(abc.ABC):
    """A scalar function with two derivatives, applied entry by entry.

    Attributes:
        kinked: Whether value or derivative jumps at 0, so that training has patterns.
        homogeneous: Whether φ(sz) = sφ(z) for every s > 0.
    """

    kinked: ClassVar[bool] = False
    homogeneous: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        """The value φ(z)."""

    @abc.abstractmethod
    def derivative(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        """The derivative φ'(z), with the stated convention at a kink."""

    @abc.abstractmethod
    def second_derivative(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        """The second derivative φ''(z); 0 at a kink."""


@dataclass(frozen=True)
class ReLU(Activation):
    """max(z, 0); the derivative at 0 is 0."""

    kinked: ClassVar[bool] = True
    homogeneous: ClassVar[bool] = True

    def __call__(self, z):
        # Not `z > 0`: a NaN must stay a NaN, or a diverged run would look dead.
        return jnp.where(z <= 0, jnp.zeros_like(z), z)

    def derivative(self, z):
        return (z > 0).astype(z.dtype)

    def second_derivative(self, z):
        return jnp.zeros_like(z)


@dataclass(frozen=True)
class ReLUPower(Activation):
    """max(z, 0)^k, whose k-th derivative jumps at 0.

    Attributes:
        power: k, at least 2.
    """

    power: int = 2

    def __post_init__(self):
        _checks.count("power", self.power, at_least=2)

    def __call__(self, z):
        return relu(z) ** self.power

    def derivative(self, z):
        return self.power * relu(z) ** (self.power - 1)

    def second_derivative(self, z):
        if self.power == 2:
            return 2 * relu.derivative(z)
        return self.power * (self.power - 1) * relu(z) ** (self.power - 2)


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """The line z for z > 0, slope·z otherwise; the derivative at 0 is the slope.

    Attributes:
        slope: Slope of the left half, finite.
    """

    slope: float = 0.01
    kinked: ClassVar[bool] = True
    homogeneous: ClassVar[bool] = True

    def __post_init__(self):
        if not math.isfinite(self.slope):
            raise ValueError(f"Argument `slope` must be finite, but is {self.slope}.")

    def __call__(self, z):
        return jnp.where(z <= 0, self.slope * z, z)

    def derivative(self, z):
        return jnp.where(z > 0, jnp.ones_like(z), jnp.full_like(z, self.slope))

    def second_derivative(self, z):
        return jnp.zeros_like(z)


@dataclass(frozen=True)
class Tanh(Activation):
    """Hyperbolic tangent."""

    def __call__(self, z):
        return jnp.tanh(z)

    def derivative(self, z):
        return 1 - jnp.tanh(z) ** 2

    def second_derivative(self, z):
        value = jnp.tanh(z)
        return -2 * value * (1 - value**2)


@dataclass(frozen=True)
class Softplus(Activation):
    """log(1 + exp(z)), evaluated without overflow."""

    def __call__(self, z):
        return _softplus(z)

    def derivative(self, z):
        return _sigmoid(z)

    def second_derivative(self, z):
        return _sigmoid(z) * _sigmoid(-z)


# Both with derivatives of their own: those of the formulas would be slower, less
# exact, and wrong at z = 0, where |z| has none.
@jax.custom_jvp
def _softplus(z):
    """max(z, 0) + log(1 + e), e = exp(−|z|) ≤ 1.

    The logarithm is 2 artanh s with s = e/(2 + e) ≤ 1/3, whose 16 terms err by less
    than 2e-17: a polynomial, because XLA computes logarithms on the CPU one number at
    a time, ten times slower than all the rest.
    """
    e = jnp.exp(-jnp.abs(z))
    s = e / (2 + e)
    series = jnp.zeros_like(z)
    for k in reversed(range(16)):
        series = series * s**2 + 1 / (2 * k + 1)
    return jnp.where(z > 0, z, jnp.zeros_like(z)) + 2 * s * series


@jax.custom_jvp
def _sigmoid(z):
    """1/(1 + exp(−z)), from the exponential that `_softplus` needs as well."""
    e = jnp.exp(-jnp.abs(z))
    return jnp.where(z > 0, jnp.ones_like(z), e) / (1 + e)


@_softplus.defjvp
def _softplus_tangent(primals, tangents):
    (z,), (dz,) = primals, tangents
    return _softplus(z), _sigmoid(z) * dz


@_sigmoid.defjvp
def _sigmoid_tangent(primals, tangents):
    (z,), (dz,) = primals, tangents
    return _sigmoid(z), _sigmoid(z) * _sigmoid(-z) * dz


@dataclass(frozen=True)
class ELU(Activation):
    """z for z > 0, exp(z) − 1 otherwise; the second derivative at 0 is 1.

    Reference: Clevert, Unterthiner & Hochreiter (2015), arXiv:1511.07289.
    """

    def __call__(self, z):
        return jnp.where(z > 0, z, jnp.expm1(_not_above_zero(z)))

    def derivative(self, z):
        return jnp.where(z > 0, jnp.ones_like(z), jnp.exp(_not_above_zero(z)))

    def second_derivative(self, z):
        return jnp.where(z > 0, jnp.zeros_like(z), jnp.exp(_not_above_zero(z)))


def _not_above_zero(z):
    """Z where it is not above 0, else 0: no exponential overflows."""
    return jnp.where(z > 0, jnp.zeros_like(z), z)


@dataclass(frozen=True)
class GELU(Activation):
    """z Φ(z) with the exact Gaussian distribution function Φ (not the tanh fit)."""

    def __call__(self, z):
        return jax.nn.gelu(z, approximate=False)

    def derivative(self, z):
        density = jnp.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
        return jax.scipy.special.ndtr(z) + z * density

    def second_derivative(self, z):
        return (2 - z**2) * jnp.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


@dataclass(frozen=True)
class Erf(Activation):
    """Error function erf(z) = (2/√π) ∫_0^z exp(-s²) ds."""

    def __call__(self, z):
        return jax.scipy.special.erf(z)

    def derivative(self, z):
        return 2 / math.sqrt(math.pi) * jnp.exp(-(z**2))

    def second_derivative(self, z):
        return -2 * z * self.derivative(z)


@dataclass(frozen=True)
class Sin(Activation):
    """Sine."""

    def __call__(self, z):
        return jnp.sin(z)

    def derivative(self, z):
        return jnp.cos(z)

    def second_derivative(self, z):
        return -jnp.sin(z)


@dataclass(frozen=True)
class Cos(Activation):
    """Cosine."""

    def __call__(self, z):
        return jnp.cos(z)

    def derivative(self, z):
        return -jnp.sin(z)

    def second_derivative(self, z):
        return -jnp.cos(z)


@dataclass(frozen=True)
class Elephant(Activation):
    r"""1/(1+\|z/a\|^d), a bump of half-width a whose flanks steepen with d.

    Evaluated through u = min(t, 1/t)^d, t = \|z\|/a, so that nothing overflows far
    out: the value is 1/(1+u) for t ≤ 1 and u/(1+u) beyond, the derivative
    −(d/z) u/(1+u)² on both sides. A second derivative taken at exactly z = 0 is 0
    by convention (right for d > 2).

    Reference: Lan & Mahmood (2023), "Elephant Neural Networks" (arXiv:2310.01365).

    Attributes:
        a: Half-width: the value is 1/2 at z = ±a; positive.
        d: Steepness, above 1 so that the derivative at 0 exists and is 0.
    """

    a: float = 1.0
    d: float = 4.0

    def __post_init__(self):
        _checks.positive("a", self.a)
        if not (self.d > 1 and math.isfinite(self.d)):
            raise ValueError(
                f"Argument `d` must be above 1 and finite, but is {self.d}."
            )

    def __call__(self, z):
        zero, _, near, u = self._parts(z)
        one = jnp.ones_like(z)
        return jnp.where(zero, one, jnp.where(near, one, u) / (1 + u))

    def derivative(self, z):
        zero, nonzero, _, u = self._parts(z)
        slope = -self.d * u / (1 + u) ** 2 / nonzero
        return jnp.where(zero, jnp.zeros_like(z), slope)

    def second_derivative(self, z):
        zero, nonzero, near, u = self._parts(z)
        # d[(d+1)t^d − (d−1)]: divided by t^d beyond a, so that it stays finite.
        inner, outer = (self.d + 1) * u - (self.d - 1), (self.d + 1) - (self.d - 1) * u
        bend = self.d * u / (1 + u) ** 3 * jnp.where(near, inner, outer)
        return jnp.where(zero, jnp.zeros_like(z), bend / nonzero / nonzero)

    def _parts(self, z):
        # Double where: the branch not taken must have a finite derivative too.
        zero, one = z == 0, jnp.ones_like(z)
        nonzero = jnp.where(zero, one, z)
        t = jnp.abs(nonzero) / self.a
        near = t <= 1
        u = jnp.where(near, t, 1 / jnp.where(near, one, t)) ** self.d
        return zero, nonzero, near, u


@dataclass(frozen=True)
class Step(Activation):
    """1 for z > 0, else 0; the derivative is 0 everywhere, by convention at 0 too."""

    kinked: ClassVar[bool] = True

    def __call__(self, z):
        return (z > 0).astype(z.dtype)

    def derivative(self, z):
        return jnp.zeros_like(z)

    def second_derivative(self, z):
        return jnp.zeros_like(z)


@dataclass(frozen=True)
class Identity(Activation):
    """φ(z) = z: a linear network."""

    homogeneous: ClassVar[bool] = True

    def __call__(self, z):
        return z

    def derivative(self, z):
        return jnp.ones_like(z)

    def second_derivative(self, z):
        return jnp.zeros_like(z)


relu = ReLU()
relu2 = ReLUPower(2)
relu3 = ReLUPower(3)
leaky_relu = LeakyReLU()
tanh = Tanh()
softplus = Softplus()
elu = ELU()
gelu = GELU()
erf = Erf()
sin = Sin()
cos = Cos()
elephant = Elephant()
step = Step()
identity = Identity()

ACTIVATIONS: dict[str, Activation] = {
    "relu": relu,
    "relu2": relu2,
    "relu3": relu3,
    "leaky_relu": leaky_relu,
    "tanh": tanh,
    "softplus": softplus,
    "elu": elu,
    "gelu": gelu,
    "erf": erf,
    "sin": sin,
    "cos": cos,
    "elephant": elephant,
    "step": step,
    "identity": identity,
}


def activation(name: Any) -> Activation:
    """The activation of that name; an activation passes through.

    Args:
        name: A key of `ACTIVATIONS`, or an `Activation`.

    Returns:
        The activation.

    Raises:
        ValueError: If no activation has that name; the message says the nearest.

    Example:
        >>> activation("tanh")
        Tanh()
    """
    if isinstance(name, Activation):
        return name
    return ACTIVATIONS[_checks.known("activation", name, ACTIVATIONS)]
