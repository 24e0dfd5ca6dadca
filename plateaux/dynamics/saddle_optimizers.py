"""Optimizers that leave saddles faster than plain descent."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from .. import _checks
from .._lengths import unit_rows


def normalised_descent(step_size: Any) -> optax.GradientTransformation:
    r"""Normalised gradient descent θ⁺ = θ − h ∇L/‖∇L‖.

    Every step has length h, however small the gradient: the norm is computed without
    underflow and without an eps. Where the gradient is exactly 0 nothing moves. (The
    norms of `optax.normalize_by_update_norm` have an eps of 1e-6 by default, below
    which it is plain descent again.)

    Args:
        step_size: h > 0, in units of the parameters.

    Returns:
        An optimizer for `descend`; times count steps.

    Raises:
        ValueError: If the step size is not a positive number.

    Example:
        >>> optimizer = normalised_descent(0.5)
        >>> print(optimizer.update(jnp.array([3e-30, 4e-30]), optimizer.init(()))[0])
        [-0.3 -0.4]
    """
    h = _checks.positive("step_size", step_size)

    def update(updates: Any, state: Any, params: Any = None):
        del params
        flat, unravel = ravel_pytree(updates)
        return unravel(-jnp.asarray(h, flat.dtype) * unit_rows(flat)), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


class NoisyState(NamedTuple):
    """The state of noisy descent.

    Attributes:
        key: Of all draws.
        count: Steps taken.
    """

    key: Array
    count: Int[Array, ""]


def noisy_descent(
    step_size: Any, variance: Any = 0.01, decay: Any = 0.55, seed: Any = 0
) -> optax.GradientTransformation:
    r"""Perturbed gradient descent θ⁺ = θ − h (∇L + ξ_t), ξ_t ~ N(0, η/(1+t)^γ I).

    The noise of step t is drawn from the seed and the initial parameters: runs of other
    starts have other noise, and a lane of a sweep has its own whatever the chunk.

    Args:
        step_size: h > 0, in units of flow time.
        variance: η > 0, of every entry of the gradient at the first step.
        decay: γ, how fast it falls; 0 for noise of one size.
        seed: An integer, or an array of one.

    Returns:
        An optimizer for `descend`; times count steps.

    Raises:
        ValueError: If the step size or the variance is not a positive number.

    Example:
        >>> optimizer = noisy_descent(1.0, variance=4.0)
        >>> zero = jnp.zeros(20_000)
        >>> noise, state = optimizer.update(zero, optimizer.init(zero))
        >>> print(jnp.std(noise).round(), state.count)
        2.0 1

    Reference: Ge, Huang, Jin & Yuan (2015), arXiv:1503.02101; Neelakantan et al.
    (2015), arXiv:1511.06807, for the decay.
    """
    h = _checks.positive("step_size", step_size)
    eta = _checks.positive("variance", variance)

    def init(params: Any) -> NoisyState:
        key = jax.random.fold_in(jax.random.key(seed), _fingerprint(params))
        return NoisyState(key, jnp.zeros((), jnp.int32))

    def update(updates: Any, state: Any, params: Any = None):
        del params
        flat, unravel = ravel_pytree(updates)
        number = lambda value: jnp.asarray(value, flat.dtype)
        age = 1 + state.count.astype(flat.dtype)
        size = jnp.sqrt(number(eta) * age ** -number(decay))
        key = jax.random.fold_in(state.key, state.count)
        noise = size * jax.random.normal(key, flat.shape, flat.dtype)
        move = unravel(-number(h) * (flat + noise))
        return move, NoisyState(state.key, state.count + 1)

    return optax.GradientTransformation(init, update)


class SaddleFreeState(NamedTuple):
    """The state of saddle-free Newton.

    Attributes:
        count: Steps taken.
    """

    count: Int[Array, ""]


def saddle_free_newton(
    step_size: Any, damping: Any = 1e-3
) -> optax.GradientTransformationExtraArgs:
    r"""Saddle-free Newton θ⁺ = θ − h (|H| + μI)^{−1} ∇L, with the dense Hessian.

    H = Σ λ_i v_i v_iᵀ, |H| = Σ |λ_i| v_i v_iᵀ, μ = `damping` · max|λ_i|: no scale but
    that of H enters. Out of a quadratic saddle the distance grows by a factor of
    1 + h/(1 + damping) a step whatever the curvature, where plain descent has 1 + hκ. A
    Hessian of zeros moves nothing. It costs O(p²) memory and O(p³) time a step.

    Args:
        step_size: h > 0, a share of the Newton step.
        damping: Lower bound of |λ| relative to the largest, positive.

    Returns:
        An optimizer for `descend`, which gives it the value function; times count
        steps.

    Raises:
        ValueError: If a number is not positive.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[1.0]], [1.0])
        >>> chain = px.networks.Chain([1e-3, 1.1e-3])
        >>> run = px.descend(problem, chain, saddle_free_newton(0.5), num_steps=40)
        >>> bool(run.losses[-1] < 1e-6)
        True

    Reference: Dauphin, Pascanu, Gulcehre, Cho, Ganguli & Bengio (2014),
    arXiv:1406.2572.
    """
    h, mu = (
        _checks.positive(name, value)
        for name, value in (("step_size", step_size), ("damping", damping))
    )

    def update(updates: Any, state: Any, params: Any = None, **extra: Any):
        value_fn = extra.get("value_fn")
        if params is None or value_fn is None:
            raise TypeError(
                "Saddle-free Newton must be given `params` and `value_fn`, as "
                "px.descend gives them, but is not."
            )
        flat, unravel = ravel_pytree(params)
        gradient = ravel_pytree(updates)[0]
        matrix = jax.hessian(lambda v: value_fn(unravel(v)))(flat)
        move = -jnp.asarray(h, flat.dtype) * _solved(matrix, gradient, mu)
        return unravel(move), SaddleFreeState(state.count + 1)

    none = lambda params: SaddleFreeState(jnp.zeros((), jnp.int32))
    return optax.GradientTransformationExtraArgs(none, update)


def _fingerprint(params: Any) -> Array:
    """A number that differs between parameters."""
    bits = jax.lax.bitcast_convert_type(ravel_pytree(params)[0], jnp.uint32)
    odd = 2 * jnp.arange(bits.size, dtype=jnp.uint32) + 1
    return jnp.sum(jnp.ravel(bits) * odd, dtype=jnp.uint32)


def _solved(matrix: Float[Array, "p p"], gradient: Float[Array, " p"], damping: Any):
    """(|H| + μI)^{−1} g."""
    values, vectors = jnp.linalg.eigh(matrix)
    sizes = jnp.abs(values)
    largest = jnp.max(sizes)
    some = largest > 0
    # Divided by the largest first, or tiny curvatures would be lost.
    relative = sizes / jnp.where(some, largest, 1) + jnp.asarray(damping, sizes.dtype)
    share = vectors.T @ gradient / jnp.where(some, largest, 1)
    return jnp.where(some, vectors @ (share / relative), 0)
