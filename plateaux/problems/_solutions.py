"""Functions that solve differential equations, and where they are looked at."""

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import _checks
from . import _prepare
from .operators import Function
from .quadrature import Quadrature, tensor


class Sines(eqx.Module):
    """u = Σ_j a_j sin(ω_j x)."""

    omega: Float[Array, " m"]
    a: Float[Array, " m"]

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        return self.a @ jnp.sin(self.omega * x[0])

    def source(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """−u''."""
        return (self.a * self.omega**2) @ jnp.sin(self.omega * x[0])


class ProductOfSines(eqx.Module):
    """u = Π_i sin(ω x_i)."""

    omega: Float[Array, ""]

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        return jnp.prod(jnp.sin(self.omega * x))

    def source(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """−Δu."""
        return x.shape[0] * self.omega**2 * self(x)


class Wave(eqx.Module):
    """u = c − a tanh(a (x − ct − x_0)/2ν)."""

    viscosity: Float[Array, ""]
    speed: Float[Array, ""]
    height: Float[Array, ""]
    position: Float[Array, ""]

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        away = x[1] - self.speed * x[0] - self.position
        front = jnp.tanh(self.height * away / (2 * self.viscosity))
        return self.speed - self.height * front


class Kink(eqx.Module):
    """u = tanh((x − x_0)/(√2 ε))."""

    width: Float[Array, ""]
    position: Float[Array, ""]

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        return jnp.tanh((x[0] - self.position) / (math.sqrt(2) * self.width))


class Difference(eqx.Module):
    """u − u*."""

    solution: eqx.Module

    def __call__(self, u: Function, x: Float[Array, " d"]) -> Float[Array, ""]:
        return u(x) - self.solution(x)  # pyright: ignore[reportCallIssue]


def interval_ends(domain: Any, dtype: Any) -> Quadrature:
    """The two ends of an interval, each of weight 1."""
    ends = jnp.asarray(_prepare.interval(domain), dtype)
    return Quadrature(ends[:, None], jnp.ones(2, dtype))


def square_boundary(side: Quadrature, ends: Quadrature) -> Quadrature:
    """The rule of a side on the four sides of a square."""
    one, two = tensor(ends, side), tensor(side, ends)
    return Quadrature(*map(jnp.concatenate, zip(one, two, strict=True)))


def sum_of_sines(frequencies: Any, amplitudes: Any, dtype: Any) -> Sines:
    """Σ_j a_j sin(2πν_j x), or a refusal."""
    frequencies = _prepare.numbers("frequencies", frequencies)
    amplitudes = _prepare.numbers("amplitudes", amplitudes)
    if len(frequencies) != len(amplitudes):
        raise ValueError(
            "Arguments `frequencies` and `amplitudes` must be of one length, but have "
            f"{len(frequencies)} and {len(amplitudes)} numbers."
        )
    omega = 2 * math.pi * np.asarray(frequencies)
    return Sines(jnp.asarray(omega, dtype), jnp.asarray(amplitudes, dtype))


def product_of_sines(frequency: Any, dtype: Any) -> ProductOfSines:
    """Π_i sin(2πν x_i), or a refusal."""
    omega = 2 * math.pi * _prepare.number("frequency", frequency)
    return ProductOfSines(jnp.asarray(omega, dtype))


def number(name: str, value: Any, dtype: Any, *, positive: bool = False) -> Array:
    """The option as an array of that dtype, or a refusal."""
    value = _prepare.number(name, value)
    return jnp.asarray(_checks.positive(name, value) if positive else value, dtype)
