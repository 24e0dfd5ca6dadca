r"""Wasserstein distances of samples of numbers, and of the amplitudes of neurons.

In one dimension W_p(μ, ν)^p = ∫_0^1 |F⁻¹(s) − G⁻¹(s)|^p ds with the quantile functions
F⁻¹, G⁻¹ of μ and ν. For samples with equal weights these are steps, so the integral is
a finite sum and exact; for equally many numbers W_p^p = mean_k |u_(k) − v_(k)|^p over
the sorted samples.

After Chen, Luo & Wang (2024), arXiv:2410.20119, who follow the distribution of weight
amplitudes by such distances.
"""

import functools as ft
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import _checks
from .condensation import amplitudes


def wasserstein(u: Any, v: Any, *, p: Any = 1) -> Float[Array, ""]:
    r"""W_p between two samples of numbers, each with equal weights; exact.

    Costs two sorts. Has derivatives in the samples, 0 where they are equal.

    Args:
        u: A sample, shape (n,), n ≥ 1.
        v: A sample, shape (m,), of the same dtype; n and m may differ.
        p: Order, at least 1 and finite; a Python number.

    Returns:
        The distance, in units of the samples.

    Raises:
        ValueError: If a sample is empty or not one-dimensional, or p below 1.
        TypeError: If the samples are not floats of one dtype.

    Example:
        >>> print(wasserstein([0.0, 1.0], [5.0, 4.0]))
        4.0
        >>> print(f"{wasserstein([0.0, 6.0], [0.0, 0.0, 6.0], p=2) ** 2:.4f}")  # 36/6
        6.0000

    Reference: Santambrogio (2015), Optimal Transport for Applied Mathematicians,
    Proposition 2.17.
    """
    u, v = _sample("u", u), _sample("v", v)
    if u.dtype != v.dtype:
        raise TypeError(
            f"Arguments `u` and `v` must have one dtype, but have {u.dtype} and "
            f"{v.dtype}."
        )
    return _distance(u, v, _order(p))


@ft.partial(jax.jit, static_argnames="p")
def _distance(u, v, p) -> Float[Array, ""]:
    ith, jth, width = _steps(u.size, v.size)
    gap = jnp.abs(jnp.sort(u)[ith] - jnp.sort(v)[jth])
    # W_p of multiples is a multiple of W_p: no power of a small gap underflows.
    scale = jax.lax.stop_gradient(jnp.max(gap))
    relative = gap / jnp.where(scale == 0, jnp.ones_like(scale), scale)
    mean = jnp.asarray(width, u.dtype) @ relative**p
    return scale * jnp.where(mean == 0, jnp.ones_like(mean), mean) ** (1 / p)


def amplitude_distance(problem: Any, network: Any, *, p: Any = 1) -> Float[Array, ""]:
    r"""W_p between the outer weights |c_i| and the lengths ‖v_i‖ of the input weights.

    0 if the neurons are balanced. In a network that starts with weights of size
    n^{−α}, α > 1/2, weights are of size n^{−1/2} after the first descent: compare
    different widths after multiplication by √n.

    Args:
        problem: Data and loss, only checked.
        network: A network with one hidden layer.
        p: Order, at least 1.

    Returns:
        The distance, in units of the weights.

    Raises:
        ValueError: If the network has no single layer of neurons, or p is below 1.
        TypeError: If the problem is an equation.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[-1.0], [1.0]], [-2.0, 2.0])
        >>> network = px.TwoLayer(w=[[3.0], [1.0]], b=[4.0, 0.0], c=[-1.0, 4.0])
        >>> print(amplitude_distance(problem, network))
        0.5

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    inner, outer = amplitudes(problem, network)
    return wasserstein(inner, outer, p=p)


def distances_from(samples: Any, reference: Any, *, p: Any = 1) -> Float[Array, " t"]:
    r"""W_p of the law of every saved sample from a reference law.

    For example of the lengths ‖v_i‖ along a run from those at one of its times.

    Args:
        samples: A sample a saved time, shape (t, n).
        reference: A sample, shape (m,).
        p: Order, at least 1.

    Returns:
        One distance a saved time.

    Raises:
        ValueError: If shapes do not fit, or p is below 1.
        TypeError: If the samples are not floats of one dtype.

    Example:
        >>> lengths = jnp.array([[0.1, 0.2], [0.3, 0.1], [0.5, 1.1]])
        >>> print(distances_from(lengths, lengths[0]).round(5))
        [0.   0.05 0.65]
    """
    samples = _checks.floating("samples", samples)
    if samples.ndim != 2 or 0 in samples.shape:
        raise ValueError(
            "Argument `samples` must have shape (t, n), a sample a saved time, but has "
            f"shape {samples.shape}."
        )
    reference = _sample("reference", reference)
    return jax.vmap(lambda row: wasserstein(row, reference, p=p))(samples)


def _sample(name: str, value: Any) -> Float[Array, " n"]:
    array = _checks.floating(name, value)
    if array.ndim != 1 or not array.size:
        raise ValueError(
            f"Argument `{name}` must have shape (n,) with at least one number, but has "
            f"shape {array.shape}; for many samples use jax.vmap."
        )
    return array


def _order(p: Any) -> Any:
    if not (_checks.is_concrete(p) and 1 <= float(p) < float("inf")):
        raise ValueError(
            f"Argument `p` must be a finite number of at least 1, but is {p}."
        )
    return p


def _steps(n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places in both sorted samples between all jumps of either quantile function.

    Jumps are multiples of m and of n in units of 1/(nm), so whole numbers.
    """
    jumps = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    width = np.diff(jumps, prepend=0) / (n * m)
    return (jumps - 1) // m, (jumps - 1) // n, width
