"""Teachers: networks that others are to learn, and students that start at them."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .. import _checks
from . import _assembly, _draws
from .two_layer import TwoLayer


def teacher(
    key: Array,
    *,
    width: int,
    in_dim: int,
    scale: Any = 1.0,
    affine: bool = False,
    activation: Any = "relu",
    dtype: Any = None,
    network: Any = None,
    noise: Any = 0.0,
    lo: Any = -1.0,
    hi: Any = 1.0,
) -> TwoLayer:
    r"""A teacher: either a random one, or a given network, widened and perturbed.

    Without `network`: w_i uniform on the unit sphere, b_i = −w_i·u_i with u_i uniform
    on the box, c_i = ±1 with random signs: neurons of equal strength, each with its
    kink in the domain.

    With `network`, of n' ≤ n neurons: neuron i copies neuron i mod n', and its outer
    weight is divided by the number of copies, so that the function is unchanged (for
    every activation). Its affine part and its activation are kept. A student that
    starts here, with or without noise, starts at or near a global minimum.

    Args:
        key: Random key.
        width: Number of neurons n.
        in_dim: Number of inputs d.
        scale: As for `he`; it multiplies a given network's parameters too.
        affine: As for `he`; a given network's affine part is kept in any case.
        activation: As for `he`; a given network's wins.
        dtype: As for `he`.
        network: A `TwoLayer` to copy, or None.
        noise: Standard deviation ≥ 0 of a normal perturbation of w, b and c.
        lo: Lower corner of the box, a number or one per input, in units of x.
        hi: Upper corner, above `lo` in every input.

    Returns:
        A two-layer network.

    Raises:
        TypeError: As for `he`, or if `network` is not a `TwoLayer`.
        ValueError: As for `he`, if `network` is wider or has other inputs, `noise`
            is negative, or `lo` not below `hi`.

    Example:
        >>> net = TwoLayer(w=[[1.0], [2.0]], b=[0.0, 1.0], c=[3.0, 4.0])
        >>> student = teacher(jax.random.key(0), width=3, in_dim=1, network=net)
        >>> print(student.w[:, 0], student.c)
        [1. 2. 1.] [1.5 4.  1.5]

    Reference: Saad & Solla (1995), Phys. Rev. E 52, 4225.
    """
    _assembly.check_dimensions(width, in_dim)
    dtype = _draws.floating_dtype(dtype)
    noise = _not_negative("noise", noise, dtype)
    key_teacher, *key_noise = jax.random.split(key, 4)
    if network is None:
        parts = _random_teacher(key_teacher, width, in_dim, lo, hi, dtype)
        p = None
    else:
        parts = _widened(network, width, in_dim, dtype)
        p, activation = network.p, network.activation
    w, b, c = (
        part + noise * _draws.normal(k, part.shape, dtype)
        for k, part in zip(key_noise, parts, strict=True)
    )
    drawn = _assembly.assemble(w, b, c, scale, affine, activation)
    if p is None:
        return drawn
    p = jnp.asarray(scale, dtype) * p.astype(dtype)
    return TwoLayer(drawn.w, drawn.b, drawn.c, p, activation=activation)


def _random_teacher(key, width, in_dim, lo, hi, dtype):
    """Unit neurons through uniform points of the box, with signs."""
    key_w, key_u, key_c = jax.random.split(key, 3)
    w = _draws.directions(key_w, width, in_dim, dtype)
    u = _draws.box_points(key_u, width, *_draws.box(lo, hi, in_dim, dtype))
    b = -jnp.sum(w * u, axis=1)
    return w, b, _draws.signs(key_c, (width,), dtype)


def _widened(network, width, in_dim, dtype):
    """The same function with more neurons: copies that share the outer weight."""
    if not isinstance(network, TwoLayer):
        raise TypeError(
            "Argument `network` must be a TwoLayer network, but is a "
            f"{type(network).__name__}."
        )
    if network.in_dim != in_dim or network.width > width:
        raise ValueError(
            f"Argument `network` must have {in_dim} inputs and at most {width} neurons "
            f"(`in_dim` and `width`), but has {network.in_dim} inputs and "
            f"{network.width} neurons."
        )
    source = jnp.arange(width) % network.width
    copies = jnp.bincount(source, length=network.width).astype(dtype)
    w, b, c = (part.astype(dtype) for part in (network.w, network.b, network.c))
    return w[source], b[source], (c / copies)[source]


def _not_negative(name: str, value: Any, dtype: Any) -> Array:
    """The number in the dtype if it is at least 0 (or traced), else a refusal."""
    number = _checks.finite(name, jnp.asarray(value, dtype))
    if _checks.is_concrete(number) and bool(number < 0):
        raise ValueError(f"Argument `{name}` must be at least 0, but is {value}.")
    return number
