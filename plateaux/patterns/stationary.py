r"""What kind of stationary point a two-layer ReLU network is at.

With v_i = (w_i, b_i), g_i = X̃ᵀ D_i (q ∘ r): ∂L/∂c_i = v_i·g_i and ∂L/∂v_i = c_i g_i.
Inside a cell the gradient is zero if and only if (X̃ᵀ(q ∘ r) = 0, with an affine part,
and) for every neuron g_i = 0, or c_i = 0 and v_i·g_i = 0. If all g_i = 0 these are the
normal equations of the cell; otherwise there is a direction of negative curvature.
"""

import enum
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .. import _checks
from ..networks.network import extended, outputs, preactivations
from ..networks.two_layer import TwoLayer, inner_weights
from ..problems.problem import Problem
from .cells import check_cells


class StationaryKind(enum.IntEnum):
    """What a network is at, to a tolerance.

    `moving`: not stationary. `minimum`: a global minimum over its cell, so a local
    minimum. `saddle`: a strict saddle, with a direction of negative curvature.
    `dead`: every neuron is off on all data, and the affine part, if any, is at its
    optimum. `boundary`: some pre-activation is zero, where the loss has no derivative.
    """

    moving = 0
    minimum = 1
    saddle = 2
    dead = 3
    boundary = 4


class StationaryPoint(NamedTuple):
    """A stationary point, or how far from one.

    Attributes:
        kind: A `StationaryKind`.
        gradient: Relative size of the gradient, the largest over neurons and affine
            part.
        normal: Relative size of every g_i: all within the tolerance at a minimum.
        neuron: Of a saddle, the neuron along which the loss falls fastest; else −1.
        direction: Of a saddle, the unit vector of parameters along which the second
            derivative of the loss is `curvature`; zero otherwise.
        curvature: Negative at a saddle; 0 otherwise. The gradient flow leaves the
            saddle like e^{−curvature t}.
    """

    kind: Int[Array, ""]
    gradient: Float[Array, ""]
    normal: Float[Array, " n"]
    neuron: Int[Array, ""]
    direction: TwoLayer
    curvature: Float[Array, ""]


def stationary_point(
    problem: Problem, network: TwoLayer, *, tolerance: Any
) -> StationaryPoint:
    r"""Classify a point at which the gradient is zero, or nearly so.

    Numbers are compared on their natural scales, so that units of x and y do not
    matter: g_i with ‖√q D_i X̃‖·(‖√q y‖ + ‖√q f‖), c_i and v_i with the size
    S = √((‖√q y‖ + ‖√q f‖)/‖√q X̃‖) at which a neuron matters, z_ik with ‖v_i‖‖x̃_k‖.

    At a saddle the block of the Hessian of neuron i at c_i = 0 is
    [[h_i², g_iᵀ], [g_i, 0]] with h_i² = Σ_k q_k φ(z_ik)², whose least eigenvalue
    (h_i² − √(h_i⁴ + 4‖g_i‖²))/2 is negative.

    Args:
        problem: Data with the squared loss.
        network: A two-layer ReLU network; for many at once use `jax.vmap`.
        tolerance: Relative numbers up to this count as zero. It has no default: how
            near is near decides the answer.

    Returns:
        The kind and its evidence. A boundary is reported before anything else; there
        `gradient` takes the pair that is on it as off.

    Raises:
        ValueError: If the loss is not squared, the activation is not the ReLU, or the
            tolerance is not positive.

    Example:
        >>> problem = Problem([[0.0], [1.0], [2.0]], [0.0, 1.0, 5.0])
        >>> origin = TwoLayer(w=[[1e-9]], b=[1e-9], c=[0.0])
        >>> point = stationary_point(problem, origin, tolerance=1e-6)
        >>> StationaryKind(int(point.kind)).name, bool(point.curvature < 0)
        ('saddle', True)

    Reference: derived after Ainsworth & Shin (2021), arXiv:2007.07213.
    """
    check_cells(problem, network)
    tolerance = jnp.asarray(_checks.positive("tolerance", tolerance), problem.x.dtype)
    return _stationary_point(problem, network, tolerance)


@eqx.filter_jit
def _stationary_point(
    problem: Problem, network: TwoLayer, tolerance: Float[Array, ""]
) -> StationaryPoint:
    q = problem.sample_weights
    root = jnp.sqrt(q)
    x1 = extended(problem.x)
    (z,) = preactivations(network, problem.x)
    active = z > 0
    f = outputs(network, problem.x)
    size = jnp.linalg.norm(root * problem.y) + jnp.linalg.norm(root * f)
    v = inner_weights(network)
    rows = jnp.where(active[:, :, None], (root[:, None] * x1)[None], 0)
    lengths = jnp.sqrt(jnp.sum(rows**2, axis=(1, 2)))
    g = jnp.where(active, (q * (f - problem.y))[None], 0) @ x1
    norms = _length(g)
    normal = _ratio(norms, lengths * size)
    whole = jnp.linalg.norm(root[:, None] * x1)
    scale = jnp.sqrt(_ratio(size, whole))
    along = jnp.abs(jnp.sum(v * g, axis=1))
    # c_i and v_i·g_i/‖g_i‖ against S; nothing to ask of a neuron whose g_i is zero.
    small = _ratio(jnp.maximum(jnp.abs(network.c) * norms, along), norms * scale)
    gradient = jnp.max(jnp.minimum(normal, small))
    if network.p is not None:
        affine = jnp.linalg.norm((q * (f - problem.y)) @ x1)
        gradient = jnp.maximum(gradient, _ratio(affine, whole * size))
    still = gradient <= tolerance
    edge = jnp.abs(z) <= tolerance * _length(v)[:, None] * _length(x1)[None, :]
    kind = jnp.where(
        jnp.all(normal <= tolerance), StationaryKind.minimum, StationaryKind.saddle
    )
    kind = jnp.where(jnp.any(active), kind, StationaryKind.dead)
    kind = jnp.where(still, kind, StationaryKind.moving)
    kind = jnp.where(still & jnp.any(edge), StationaryKind.boundary, kind)
    neuron, direction, curvature = _escape(network, z, q, g)
    saddle = kind == StationaryKind.saddle
    return StationaryPoint(
        kind.astype(jnp.int32),
        gradient,
        normal,
        jnp.where(saddle, neuron, -1),
        jax.tree.map(lambda leaf: jnp.where(saddle, leaf, 0), direction),
        jnp.where(saddle, curvature, 0),
    )


def _escape(network: TwoLayer, z, q, g):
    """The neuron, unit direction and value of the most negative curvature."""
    square = jnp.sum(q[None] * jnp.where(z > 0, z, 0) ** 2, axis=1)
    force = jnp.sum(g**2, axis=1)
    # (h² − √(h⁴ + 4‖g‖²))/2 without cancellation.
    curvatures = -2 * _ratio(force, square + jnp.sqrt(square**2 + 4 * force))
    neuron = jnp.argmin(curvatures).astype(jnp.int32)
    curvature = curvatures[neuron]
    outer = jnp.ones((), z.dtype)
    inner = _ratio(g[neuron], jnp.broadcast_to(curvature, g[neuron].shape))
    length = jnp.sqrt(outer**2 + jnp.sum(inner**2))
    chosen = jnp.arange(network.width, dtype=jnp.int32) == neuron
    zero = jax.tree.map(jnp.zeros_like, network)
    direction = eqx.tree_at(
        lambda net: (net.w, net.b, net.c),
        zero,
        (
            jnp.where(chosen[:, None], inner[:-1] / length, 0),
            jnp.where(chosen, inner[-1] / length, 0),
            jnp.where(chosen, outer / length, 0),
        ),
    )
    return neuron, direction, curvature


def _length(rows):
    return jnp.sqrt(jnp.sum(rows**2, axis=-1))


def _ratio(above, below):
    """above/below; 0 where both are zero."""
    return jnp.where(below == 0, 0, above / jnp.where(below == 0, 1, below))
